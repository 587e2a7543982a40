-- Every span of one trace, by start: calls to models (is_call) and the others.
--   span_id, parent_span_id, name, kind, service_name, start_time, end_time (UTC), duration_s, status
--   (unset | ok | error), is_call, request_model, task_type, input_tokens, output_tokens, cost_usd, attributes (JSON
--   text; NULL for spans that are no calls)
-- Parameters: $trace_id.
SELECT
    span_id, parent_span_id, operation || ' ' || request_model AS name, 'client' AS kind, service_name,
    start_time::TIMESTAMP AS start_time, end_time::TIMESTAMP AS end_time, duration_s,
    CASE WHEN error_type IS NULL THEN 'unset' ELSE 'error' END AS status,
    true AS is_call, request_model, task_type, input_tokens, output_tokens, cost_usd,
    attributes::JSON::VARCHAR AS attributes
FROM llm_calls
WHERE trace_id = $trace_id
UNION ALL
SELECT
    span_id, parent_span_id, name, kind, service_name, start_time::TIMESTAMP, end_time::TIMESTAMP,
    (epoch_ns(end_time) - epoch_ns(start_time)) / 1e9, status,
    false, NULL, NULL, NULL, NULL, NULL, NULL
FROM spans
WHERE trace_id = $trace_id
ORDER BY start_time, is_call, span_id;
