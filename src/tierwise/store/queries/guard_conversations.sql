-- One row a conversation (the trace when there is none) of what a rule sent to its target, in order of its first call:
-- what the rule's failures are counted by. A call that the requested model failed too says nothing about the target and
-- is left out, as are answers that the caller never saw.
--   start_time (UTC, of its first call), calls, failures (the target gave an error, or did not answer)
-- Parameters: $rule_id, $since, $until, $service, $tenant, $model, $task_type, $use_case.
SELECT
    min(start_time)::TIMESTAMP AS start_time,
    count(*) AS calls,
    count(*) FILTER (decision = 'fell_back' OR error_type IS NOT NULL) AS failures
FROM traffic($since, $until, $service, $tenant, $model, $task_type, $use_case)
WHERE rule_id = $rule_id AND arm IN ('treated', 'canary') AND decision <> 'rejected'
  AND NOT (decision = 'fell_back' AND error_type IS NOT NULL)
GROUP BY coalesce(conversation_id, trace_id)
ORDER BY 1, min(span_id);
