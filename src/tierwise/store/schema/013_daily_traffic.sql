-- Calls added up: one row a day (UTC) and everything that the dashboard filters or groups by. Only of days that
-- `daily_days` names; a call that lands in such a day, or leaves it, takes the day off that list in the same transaction.
CREATE TABLE daily_traffic (
    day DATE NOT NULL,
    service_name VARCHAR NOT NULL,
    instrumentation VARCHAR NOT NULL,
    tenant VARCHAR,
    provider VARCHAR NOT NULL,
    request_model VARCHAR NOT NULL,
    requested_model VARCHAR NOT NULL,
    service_tier VARCHAR,
    task_type VARCHAR NOT NULL,
    use_case_id VARCHAR,
    use_case_name VARCHAR,
    price_version VARCHAR,
    unpriced_reason VARCHAR,
    priced BOOLEAN NOT NULL,
    shadow BOOLEAN NOT NULL,
    answered BOOLEAN NOT NULL,               -- false: an attempt whose answer nobody saw
    calls BIGINT NOT NULL,
    errors BIGINT NOT NULL,
    estimated_calls BIGINT NOT NULL,
    cost_usd DECIMAL(38, 12),                -- what these calls themselves were billed
    spend_usd DECIMAL(38, 12),               -- of answered ones, with the rejected attempts made for them
    costed_calls BIGINT NOT NULL,            -- calls that have a spend
    cost_input_usd DECIMAL(38, 12),
    cost_output_usd DECIMAL(38, 12),
    cost_cache_read_usd DECIMAL(38, 12),
    cost_cache_write_usd DECIMAL(38, 12),
    input_tokens HUGEINT,
    output_tokens HUGEINT,
    input_counted BIGINT NOT NULL,           -- calls that say how many input tokens they had
    output_counted BIGINT NOT NULL,
    fresh_input_tokens HUGEINT,
    plain_output_tokens HUGEINT,             -- without reasoning
    cache_read_tokens HUGEINT NOT NULL,
    cache_write_tokens HUGEINT NOT NULL,
    reasoning_tokens HUGEINT NOT NULL,
    first_time TIMESTAMP_NS NOT NULL,
    newest_time TIMESTAMP_NS NOT NULL,
    task_source VARCHAR,                     -- of the newest call
    durations STRUCT(step SMALLINT, calls BIGINT)[] NOT NULL  -- a histogram in steps of 5%; see duration_of
);
CREATE TABLE daily_days (
    day DATE NOT NULL UNIQUE
);

-- Seconds → step of the histogram, and back to the middle of the step: off by 2.5% at most.
CREATE MACRO duration_step(seconds) AS floor(ln(greatest(seconds, 0.0001)) / ln(1.05))::SMALLINT;
CREATE MACRO duration_of(step) AS pow(1.05, step + 0.5);

-- The calls of a span of time, in nanoseconds since 1970 with the end excluded, added up in the columns of daily_traffic.
CREATE MACRO cells_of(since, until) AS TABLE
WITH rejected AS (
    SELECT trace_id AS rejected_trace_id, attempt_of_span_id AS rejected_span_id, sum(cost_usd) AS rejected_usd
    FROM llm_calls
    WHERE rejected_by IS NOT NULL
    GROUP BY ALL
),
chosen AS (
    SELECT
        start_time::DATE AS day, service_name, instrumentation, tenant, provider, request_model, requested_model,
        service_tier, task_type, use_case_id, use_case_name, price_version, unpriced_reason, priced,
        shadow_of_span_id IS NOT NULL AS shadow, rejected_by IS NULL AS answered, duration_step(duration_s) AS step,
        task_source, error_type, usage_estimated, cost_usd, cost_input_usd, cost_output_usd, cost_cache_read_usd,
        cost_cache_write_usd, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens,
        start_time,
        CASE
            WHEN rejected_by IS NOT NULL THEN NULL
            WHEN rejected_usd IS NULL THEN cost_usd
            WHEN error_type IS NOT NULL THEN coalesce(cost_usd, 0) + rejected_usd
            ELSE cost_usd + rejected_usd
        END AS spend_usd
    FROM llm_calls
    LEFT JOIN rejected ON rejected_trace_id = trace_id AND rejected_span_id = attempt_of_span_id
    WHERE (since IS NULL OR start_time >= make_timestamp_ns(since::BIGINT))
      AND (until IS NULL OR start_time < make_timestamp_ns(until::BIGINT))
),
steps AS (
    SELECT
        day, service_name, instrumentation, tenant, provider, request_model, requested_model, service_tier, task_type,
        use_case_id, use_case_name, price_version, unpriced_reason, priced, shadow, answered, step,
        count(*) AS calls,
        count(error_type) AS errors,
        count(*) FILTER (usage_estimated) AS estimated_calls,
        sum(cost_usd) AS cost_usd,
        sum(spend_usd) AS spend_usd,
        count(spend_usd) AS costed_calls,
        sum(cost_input_usd) AS cost_input_usd,
        sum(cost_output_usd) AS cost_output_usd,
        sum(cost_cache_read_usd) AS cost_cache_read_usd,
        sum(cost_cache_write_usd) AS cost_cache_write_usd,
        sum(input_tokens) AS input_tokens,
        sum(output_tokens) AS output_tokens,
        count(input_tokens) AS input_counted,
        count(output_tokens) AS output_counted,
        sum(greatest(input_tokens - cache_read_tokens - cache_write_tokens, 0)) AS fresh_input_tokens,
        sum(greatest(output_tokens - reasoning_tokens, 0)) AS plain_output_tokens,
        sum(cache_read_tokens) AS cache_read_tokens,
        sum(cache_write_tokens) AS cache_write_tokens,
        sum(reasoning_tokens) AS reasoning_tokens,
        min(start_time) AS first_time,
        max(start_time) AS newest_time,
        arg_max(task_source, start_time) AS task_source
    FROM chosen
    GROUP BY ALL
)
SELECT
    day, service_name, instrumentation, tenant, provider, request_model, requested_model, service_tier, task_type,
    use_case_id, use_case_name, price_version, unpriced_reason, priced, shadow, answered,
    sum(calls)::BIGINT AS calls,
    sum(errors)::BIGINT AS errors,
    sum(estimated_calls)::BIGINT AS estimated_calls,
    sum(cost_usd) AS cost_usd,
    sum(spend_usd) AS spend_usd,
    sum(costed_calls)::BIGINT AS costed_calls,
    sum(cost_input_usd) AS cost_input_usd,
    sum(cost_output_usd) AS cost_output_usd,
    sum(cost_cache_read_usd) AS cost_cache_read_usd,
    sum(cost_cache_write_usd) AS cost_cache_write_usd,
    sum(input_tokens)::HUGEINT AS input_tokens,
    sum(output_tokens)::HUGEINT AS output_tokens,
    sum(input_counted)::BIGINT AS input_counted,
    sum(output_counted)::BIGINT AS output_counted,
    sum(fresh_input_tokens)::HUGEINT AS fresh_input_tokens,
    sum(plain_output_tokens)::HUGEINT AS plain_output_tokens,
    sum(cache_read_tokens)::HUGEINT AS cache_read_tokens,
    sum(cache_write_tokens)::HUGEINT AS cache_write_tokens,
    sum(reasoning_tokens)::HUGEINT AS reasoning_tokens,
    min(first_time) AS first_time,
    max(newest_time) AS newest_time,
    arg_max(task_source, newest_time) AS task_source,
    list({'step': step, 'calls': calls}) AS durations
FROM steps
GROUP BY ALL;

-- What `selected_calls` selects, added up: whole days between rolled_from and rolled_until from daily_traffic, the rest
-- from the calls. What people said about use cases is applied as there.
CREATE MACRO selected_cells(
    since, until, services, tenants, models, task_types, use_cases, rolled_from, rolled_until
) AS TABLE
WITH cells AS (
    SELECT * FROM daily_traffic
    WHERE day >= make_timestamp_ns(rolled_from::BIGINT)::DATE AND day < make_timestamp_ns(rolled_until::BIGINT)::DATE
    UNION ALL BY NAME
    SELECT * FROM cells_of(since, least(until::BIGINT, rolled_from::BIGINT))
    UNION ALL BY NAME
    SELECT * FROM cells_of(greatest(since::BIGINT, rolled_until::BIGINT), until)
),
observed AS (
    SELECT
        cells.*,
        coalesce(use_case_map.use_case_id, cells.use_case_id) AS whole_id,
        CASE split_by WHEN 'tenant' THEN coalesce(tenant, 'no tenant') WHEN 'request_model' THEN requested_model END
            AS part
    FROM cells LEFT JOIN use_case_map ON observed_use_case_id = cells.use_case_id
    WHERE (coalesce(len(services::VARCHAR[]), 0) = 0 OR list_contains(services::VARCHAR[], service_name))
      AND (coalesce(len(tenants::VARCHAR[]), 0) = 0 OR list_contains(tenants::VARCHAR[], tenant))
      AND (coalesce(len(models::VARCHAR[]), 0) = 0 OR list_contains(models::VARCHAR[], request_model))
),
counted AS (
    SELECT
        observed.* EXCLUDE (whole_id, part)
            REPLACE (
                CASE WHEN part IS NULL THEN whole_id ELSE whole_id || '/' || part END AS use_case_id,
                coalesce(
                    labels_of_part.use_case_name,
                    coalesce(labels.use_case_name, observed.use_case_name, whole_id) || ' · ' || part,
                    labels.use_case_name,
                    observed.use_case_name
                ) AS use_case_name,
                coalesce(labels_of_part.task_type, labels.task_type, observed.task_type) AS task_type,
                CASE WHEN coalesce(labels_of_part.task_type, labels.task_type) IS NOT NULL THEN 'label'
                     ELSE task_source END AS task_source
            ),
        observed.use_case_id AS observed_use_case_id
    FROM observed
    LEFT JOIN use_case_labels AS labels ON labels.use_case_id = whole_id
    LEFT JOIN use_case_labels AS labels_of_part ON labels_of_part.use_case_id = whole_id || '/' || part
)
SELECT * FROM counted
WHERE (coalesce(len(task_types::VARCHAR[]), 0) = 0 OR list_contains(task_types::VARCHAR[], task_type))
  AND (coalesce(len(use_cases::VARCHAR[]), 0) = 0 OR list_contains(use_cases::VARCHAR[], use_case_id)
       OR list_contains(use_cases::VARCHAR[], use_case_name));
