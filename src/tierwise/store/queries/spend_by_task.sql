-- One row a task type, dearest first.
--   task_type ('unknown' when not classified), calls, errors, use_cases, spend_usd (NULL when none is priced),
--   input_tokens, output_tokens, mean_confidence (of those inferred; NULL when none is)
-- Parameters: $since, $until, $service, $tenant, $model, $task_type, $use_case.
SELECT
    task_type,
    count(*) AS calls,
    count(error_type) AS errors,
    count(DISTINCT use_case_id) AS use_cases,
    sum(cost_usd) AS spend_usd,
    sum(input_tokens)::BIGINT AS input_tokens,
    sum(output_tokens)::BIGINT AS output_tokens,
    avg(task_confidence) AS mean_confidence
FROM traffic($since, $until, $service, $tenant, $model, $task_type, $use_case)
GROUP BY ALL
ORDER BY spend_usd DESC NULLS LAST, calls DESC, task_type;
