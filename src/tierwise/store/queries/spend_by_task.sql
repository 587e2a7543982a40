-- One row a task type of the user's traffic, dearest first.
--   task_type, calls, priced_calls, spend_usd (NULL when none is priced), spend_share (of all selected), call_share,
--   input_tokens, output_tokens, use_cases (how many)
-- Parameters: $since, $until, $service, $tenant, $model, $task_type, $use_case.
SELECT
    task_type,
    sum(calls)::BIGINT AS calls,
    coalesce(sum(calls) FILTER (priced), 0)::BIGINT AS priced_calls,
    sum(spend_usd) AS spend_usd,
    sum(spend_usd)::DOUBLE / nullif(sum(sum(spend_usd)) OVER (), 0)::DOUBLE AS spend_share,
    sum(calls)::DOUBLE / sum(sum(calls)) OVER ()::DOUBLE AS call_share,
    sum(input_tokens)::BIGINT AS input_tokens,
    sum(output_tokens)::BIGINT AS output_tokens,
    count(DISTINCT use_case_id) AS use_cases
FROM selected_cells(
        $since, $until, $service, $tenant, $model, $task_type, $use_case, $rolled_from, $rolled_until
    ) AS cells
WHERE NOT shadow AND answered
GROUP BY task_type
ORDER BY sum(cells.spend_usd) DESC NULLS LAST, sum(cells.calls) DESC, task_type;
