-- One row a billable call to a model. Calls with shadow_of_span_id are tierwise's own measuring, never the user's
-- traffic. A NULL means that nobody said; it is never written for 0.
CREATE TABLE llm_calls (
    trace_id VARCHAR NOT NULL,
    span_id VARCHAR NOT NULL,
    parent_span_id VARCHAR,
    start_time TIMESTAMP_NS NOT NULL,
    end_time TIMESTAMP_NS NOT NULL,
    duration_s DOUBLE NOT NULL,
    service_name VARCHAR NOT NULL,
    instrumentation VARCHAR NOT NULL,        -- name of the instrumentation scope
    operation VARCHAR NOT NULL,
    provider VARCHAR NOT NULL,
    api VARCHAR,
    request_model VARCHAR NOT NULL,          -- the model sent
    requested_model VARCHAR NOT NULL,        -- the model the caller asked for
    response_model VARCHAR,
    response_id VARCHAR,
    stream BOOLEAN NOT NULL,
    time_to_first_chunk_s DOUBLE,
    finish_reasons VARCHAR[] NOT NULL,
    error_type VARCHAR,
    service_tier VARCHAR,
    input_tokens BIGINT,                     -- total: fresh, cache reads and cache writes
    output_tokens BIGINT,                    -- total, reasoning included
    cache_read_tokens BIGINT NOT NULL,
    cache_write_tokens BIGINT NOT NULL,
    cache_write_1h_tokens BIGINT NOT NULL,
    reasoning_tokens BIGINT NOT NULL,
    web_searches BIGINT NOT NULL,
    usage_estimated BOOLEAN NOT NULL,
    usage_partial BOOLEAN NOT NULL,
    cost_usd DECIMAL(18, 12),
    cost_input_usd DECIMAL(18, 12),          -- fresh input only
    cost_output_usd DECIMAL(18, 12),
    cost_cache_read_usd DECIMAL(18, 12),
    cost_cache_write_usd DECIMAL(18, 12),
    cost_other_usd DECIMAL(18, 12),
    cost_source VARCHAR,                     -- provider | local
    price_version VARCHAR,
    priced BOOLEAN NOT NULL,
    unpriced_reason VARCHAR,
    task_type VARCHAR NOT NULL,
    task_confidence DOUBLE,
    task_source VARCHAR,
    complexity VARCHAR,
    use_case_id VARCHAR,
    use_case_name VARCHAR,
    tenant VARCHAR,
    conversation_id VARCHAR,
    policy_version BIGINT,
    rule_id VARCHAR,
    arm VARCHAR,
    decision VARCHAR,
    propensity DOUBLE,
    route_reason VARCHAR,
    shadow_of_trace_id VARCHAR,
    shadow_of_span_id VARCHAR,
    shadow_propensity DOUBLE,
    server_address VARCHAR,
    attributes VARIANT                       -- every other attribute, and the resource's under "resource."
);
