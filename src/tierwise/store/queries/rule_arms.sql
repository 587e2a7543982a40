-- One row a conversation and arm of a rule: the calls of the two that count alike, added up. What measuring a rule in
-- force needs of millions of calls. In the order in which conversations began under the rule.
--   start_time (UTC, of the oldest call), calls, policy_version, rule_id, arm, decision, error_type (of one of them; NULL:
--   none failed), use_case_id, conversation_hash (a number; of the trace when there is no conversation),
--   cost_usd (their sum; NULL in a row of calls without a price)
-- Parameters: $rule_id (NULL: all), $since, $until, $service, $tenant, $model, $task_type, $use_case.
SELECT
    min(start_time)::TIMESTAMP AS start_time,
    count(*) AS calls,
    policy_version, rule_id, arm, decision,
    min(error_type) AS error_type,
    use_case_id,
    hash(coalesce(conversation_id, trace_id)) AS conversation_hash,
    sum(cost_usd)::DECIMAL(18, 12) AS cost_usd
FROM traffic($since, $until, $service, $tenant, $model, $task_type, $use_case)
WHERE rule_id IS NOT NULL AND ($rule_id IS NULL OR rule_id = $rule_id)
GROUP BY
    policy_version, rule_id, arm, decision, use_case_id, conversation_hash, error_type IS NULL, cost_usd IS NULL
ORDER BY 1, min(trace_id), min(span_id);
