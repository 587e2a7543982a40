-- The other spans of a trace, thin: enough for the shape and the end-to-end time of what the calls were part of.
CREATE TABLE spans (
    trace_id VARCHAR NOT NULL,
    span_id VARCHAR NOT NULL,
    parent_span_id VARCHAR,
    name VARCHAR NOT NULL,
    kind VARCHAR NOT NULL,                   -- internal | server | client | producer | consumer
    service_name VARCHAR NOT NULL,
    start_time TIMESTAMP_NS NOT NULL,
    end_time TIMESTAMP_NS NOT NULL,
    status VARCHAR NOT NULL                  -- unset | ok | error
);
