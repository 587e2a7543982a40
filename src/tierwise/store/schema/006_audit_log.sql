-- Who did what, and why.
CREATE TABLE audit_log (
    time TIMESTAMP_NS NOT NULL,
    who VARCHAR NOT NULL,
    action VARCHAR NOT NULL,
    why VARCHAR NOT NULL,
    detail JSON NOT NULL
);
