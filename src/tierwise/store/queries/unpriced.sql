-- One row a model and reason among calls without a price, most calls first; orders that another call is billed for are none.
--   provider, model, unpriced_reason, calls, input_tokens, output_tokens, newest_call_time (UTC)
-- Parameters: $since, $until, $service, $tenant, $model, $task_type, $use_case.
SELECT
    provider,
    request_model AS model,
    coalesce(unpriced_reason, 'unknown') AS unpriced_reason,
    sum(calls)::BIGINT AS calls,
    sum(input_tokens)::BIGINT AS input_tokens,
    sum(output_tokens)::BIGINT AS output_tokens,
    max(newest_time)::TIMESTAMP AS newest_call_time
FROM selected_cells(
        $since, $until, $service, $tenant, $model, $task_type, $use_case, $rolled_from, $rolled_until
    )
WHERE NOT shadow AND answered AND NOT priced AND NOT coalesce(starts_with(unpriced_reason, 'billed '), false)
GROUP BY ALL
ORDER BY calls DESC, model, unpriced_reason;
