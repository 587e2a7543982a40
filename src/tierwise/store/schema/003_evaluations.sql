-- One row a score of one answer.
CREATE TABLE evaluations (
    trace_id VARCHAR NOT NULL,
    span_id VARCHAR NOT NULL,
    name VARCHAR NOT NULL,
    source VARCHAR NOT NULL,                 -- structural | check | judge | human | feedback
    score DOUBLE,                            -- in [0, 1]; NULL: the evaluator abstained
    label VARCHAR,
    explanation VARCHAR,
    response_id VARCHAR,
    time TIMESTAMP_NS NOT NULL
);
