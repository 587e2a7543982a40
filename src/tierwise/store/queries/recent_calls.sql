-- The newest calls, newest first, shadow calls among them (is_shadow).
--   start_time (UTC), trace_id, span_id, service_name, provider, requested_model, request_model, task_type,
--   task_confidence, use_case_id, use_case_name, tenant, input_tokens, output_tokens, cache_read_tokens, cost_usd,
--   unpriced_reason, duration_s, time_to_first_chunk_s, finish_reasons, error_type, rule_id, arm, decision,
--   route_reason, is_shadow
-- Parameters: $limit (NULL is 100), $since, $until, $service, $tenant, $model, $task_type, $use_case.
SELECT
    start_time::TIMESTAMP AS start_time, trace_id, span_id, service_name, provider, requested_model, request_model,
    task_type, task_confidence, use_case_id, use_case_name, tenant, input_tokens, output_tokens, cache_read_tokens,
    cost_usd, unpriced_reason, duration_s, time_to_first_chunk_s, finish_reasons, error_type, rule_id, arm, decision,
    route_reason, shadow_of_span_id IS NOT NULL AS is_shadow
FROM selected_calls($since, $until, $service, $tenant, $model, $task_type, $use_case)
ORDER BY 1 DESC, trace_id, span_id
LIMIT coalesce($limit, 100);
