-- One row a provider and model that the callers asked for, dearest first. What attempts at other models were billed is
-- in the row of the model asked for, as are the tokens of the call whose answer was given; by the model sent,
-- `focus_costs` has each attempt at its own cost.
--   provider, model, calls, priced_calls, spend_usd (NULL when none is priced), spend_share (of all selected),
--   input_tokens, output_tokens, cache_read_tokens, reasoning_tokens
-- Parameters: $since, $until, $service, $tenant, $model, $task_type, $use_case.
SELECT
    provider,
    requested_model AS model,
    sum(calls)::BIGINT AS calls,
    coalesce(sum(calls) FILTER (priced), 0)::BIGINT AS priced_calls,
    sum(spend_usd) AS spend_usd,
    sum(spend_usd)::DOUBLE / nullif(sum(sum(spend_usd)) OVER (), 0)::DOUBLE AS spend_share,
    sum(input_tokens)::BIGINT AS input_tokens,
    sum(output_tokens)::BIGINT AS output_tokens,
    sum(cache_read_tokens)::BIGINT AS cache_read_tokens,
    sum(reasoning_tokens)::BIGINT AS reasoning_tokens
FROM selected_cells(
        $since, $until, $service, $tenant, $model, $task_type, $use_case, $rolled_from, $rolled_until
    ) AS cells
WHERE NOT shadow AND answered
GROUP BY provider, requested_model
ORDER BY sum(cells.spend_usd) DESC NULLS LAST, sum(cells.calls) DESC, provider, model;
