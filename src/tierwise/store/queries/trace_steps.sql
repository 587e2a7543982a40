-- One row a step of one trace, parents before their children: the user's calls, and the spans around them.
--   span_id, parent_span_id, depth (0 is a step whose parent is not stored), kind (call | span), name (of the span; of a
--   call operation and model), service_name, start_time (UTC), offset_s (since the trace began), duration_s,
--   status (ok | error | unset), error_type, provider, request_model, requested_model, response_model,
--   use_case (name, else id), task_type, tenant, input_tokens, output_tokens, cache_read_tokens, reasoning_tokens,
--   cost_usd (NULL without a price), unpriced_reason, decision, rule_id, arm, route_reason, finish_reasons,
--   score (mean of its scores), shadows (shadow calls made of it), trace_cost_usd (of all its calls)
-- Parameters: $trace_id.
WITH RECURSIVE steps AS MATERIALIZED (
    SELECT
        span_id, parent_span_id, 'call' AS kind, operation || ' ' || request_model AS name, service_name, start_time,
        end_time, duration_s, CASE WHEN error_type IS NULL THEN 'ok' ELSE 'error' END AS status, error_type, provider,
        request_model, requested_model, response_model, coalesce(use_case_name, use_case_id) AS use_case, task_type,
        tenant, input_tokens, output_tokens, cache_read_tokens, reasoning_tokens, cost_usd, unpriced_reason, decision,
        rule_id, arm, route_reason, finish_reasons
    FROM paid_calls() WHERE trace_id = $trace_id
    UNION ALL BY NAME
    SELECT
        span_id, parent_span_id, 'span' AS kind, name, service_name, start_time, end_time,
        (epoch_ns(end_time) - epoch_ns(start_time)) / 1e9 AS duration_s, status
    FROM spans WHERE trace_id = $trace_id
),
placed AS (
    SELECT span_id, 0 AS depth, [epoch_ns(start_time)] AS path FROM steps
    WHERE parent_span_id IS NULL OR parent_span_id NOT IN (SELECT span_id FROM steps)
    UNION ALL
    SELECT steps.span_id, depth + 1, list_append(path, epoch_ns(start_time))
    FROM placed JOIN steps ON steps.parent_span_id = placed.span_id
    WHERE depth < 64
),
scores AS (
    SELECT span_id, avg(score) AS score FROM evaluations
    WHERE trace_id = $trace_id AND score IS NOT NULL GROUP BY span_id
),
shadows AS (
    SELECT shadow_of_span_id AS span_id, count(*) AS shadows FROM llm_calls
    WHERE shadow_of_trace_id = $trace_id GROUP BY ALL
)
SELECT
    steps.* EXCLUDE (start_time, end_time, duration_s, status, kind, name, service_name, error_type),
    depth::BIGINT AS depth, kind, name, service_name, error_type,
    start_time::TIMESTAMP AS start_time,
    (epoch_ns(start_time) - min(epoch_ns(start_time)) OVER ()) / 1e9 AS offset_s,
    duration_s, status, score, coalesce(shadows, 0) AS shadows,
    sum(cost_usd) OVER () AS trace_cost_usd
FROM steps
JOIN placed USING (span_id)
LEFT JOIN scores USING (span_id)
LEFT JOIN shadows USING (span_id)
ORDER BY path, span_id;
