-- One row: the last write-ahead sequence whose spans are in the tables. Written in the transaction that lands them.
CREATE TABLE landed (sequence BIGINT NOT NULL);
INSERT INTO landed VALUES (0);
