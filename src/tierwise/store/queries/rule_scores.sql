-- One row a score of a call that a rule put in an arm, oldest first; abstentions are left out.
--   start_time (UTC), policy_version, rule_id, arm, use_case_id, conversation_id (the trace when there is none),
--   evaluation_name, evaluation_source, score (the newest of its name and source)
-- Parameters: $rule_id (NULL: all), $since, $until, $service, $tenant, $model, $task_type, $use_case.
WITH scores AS (
    SELECT trace_id, span_id, name, source, arg_max(score, time) AS score
    FROM evaluations
    WHERE score IS NOT NULL
    GROUP BY ALL
)
SELECT
    start_time::TIMESTAMP AS start_time, policy_version, rule_id, arm, use_case_id,
    coalesce(conversation_id, trace_id) AS conversation_id,
    name AS evaluation_name, source AS evaluation_source, score
FROM traffic($since, $until, $service, $tenant, $model, $task_type, $use_case)
JOIN scores USING (trace_id, span_id)
WHERE arm IS NOT NULL AND ($rule_id IS NULL OR rule_id = $rule_id)
ORDER BY 1, trace_id, span_id, name, source;
