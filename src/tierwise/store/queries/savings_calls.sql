-- One row a call of the user's traffic, oldest first, with what repricing, simulating and measuring a policy need.
--   start_time (UTC), provider, operation, request_model, requested_model, service_tier, input_tokens,
--   output_tokens, cache_read_tokens, warm_read_tokens (those of them that the conversation's call before had sent:
--   another model's cache serves them too), cache_write_tokens, cache_write_1h_tokens, reasoning_tokens, web_searches,
--   cost_usd, task_type, complexity, use_case_id, use_case_name, tenant, conversation_id (the trace when there is
--   none), policy_version, rule_id, arm, decision, propensity, error_type,
--   observed_task_type, observed_use_case_id, observed_use_case_name: what the calls themselves say, and rules match on;
--   declared_attributes (name=value, with the unit separator between)
-- Parameters: $rule_id (NULL: all), $since, $until, $service, $tenant, $model, $task_type, $use_case.
SELECT
    start_time::TIMESTAMP AS start_time, provider, operation, request_model, requested_model, service_tier,
    input_tokens, output_tokens, cache_read_tokens,
    CASE WHEN cache_read_tokens > 0 THEN least(cache_read_tokens, coalesce(lag(input_tokens) OVER (
        PARTITION BY coalesce(conversation_id, trace_id), request_model ORDER BY start_time, span_id
    ), 0)) ELSE 0 END AS warm_read_tokens,
    cache_write_tokens, cache_write_1h_tokens, reasoning_tokens,
    web_searches, cost_usd, task_type, complexity, use_case_id, use_case_name, observed_task_type, observed_use_case_id, observed_use_case_name,
    tenant, coalesce(conversation_id, trace_id) AS conversation_id, policy_version, rule_id, arm, decision, propensity,
    error_type,
    array_to_string(TRY_CAST(attributes."tierwise.use_case.attributes" AS VARCHAR[]), chr(31)) AS declared_attributes
FROM traffic($since, $until, $service, $tenant, $model, $task_type, $use_case)
WHERE $rule_id IS NULL OR rule_id = $rule_id
ORDER BY 1, trace_id, span_id;
