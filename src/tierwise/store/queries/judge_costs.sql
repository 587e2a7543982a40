-- What the calls that judges make cost, by the use case whose answers they judge. A judge's own calls are traffic under
-- the use case "judge of NAME".
--   use_case (name, or id where it has none), calls, cost_usd (NULL: none is priced)
-- Parameters: $since, $until, $service, $tenant, $model, $task_type, $use_case (of the judge's calls).
SELECT
    substr(use_case_name, 10) AS use_case,
    count(*) AS calls,
    sum(cost_usd) AS cost_usd
FROM traffic($since, $until, $service, $tenant, $model, $task_type, $use_case)
WHERE starts_with(use_case_name, 'judge of ') AND task_source = 'tag' AND task_type = 'classification'
GROUP BY ALL
ORDER BY use_case;
