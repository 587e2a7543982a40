-- One row: what the selected traffic cost, and how much of it is known well enough to act on.
--   calls, errors, use_cases    counts of the user's own calls; attempts whose answer nobody saw are none
--   spend_usd                   sum over priced calls; NULL when none is priced
--   priced_share                share of calls with a price, orders that another call is billed for left out; NULL
--                               without calls
--   classified_spend_share      share of spend whose task type is known; NULL without spend
--   estimated_share             share of calls whose token counts are our estimate; NULL without calls
--   input_tokens, output_tokens, cache_read_tokens
--   first_call_time, newest_call_time   UTC
--   evaluation_calls, evaluation_cost_usd   tierwise's shadow calls, which no other figure here contains
--   judge_calls, judge_cost_usd   calls that judges made of models; the user's own, so the figures above contain them
-- Parameters: $since, $until, $service, $tenant, $model, $task_type, $use_case.
WITH cells AS MATERIALIZED (
    SELECT
        *,
        coalesce(starts_with(unpriced_reason, 'billed '), false) AS billed_elsewhere,
        NOT shadow AND task_source = 'tag' AND task_type = 'classification'
            AND coalesce(starts_with(use_case_name, 'judge of '), false) AS by_judge
    FROM selected_cells(
        $since, $until, $service, $tenant, $model, $task_type, $use_case, $rolled_from, $rolled_until
    )
)
SELECT
    coalesce(sum(calls) FILTER (NOT shadow AND answered), 0)::BIGINT AS calls,
    coalesce(sum(errors) FILTER (NOT shadow AND answered), 0)::BIGINT AS errors,
    count(DISTINCT use_case_id) FILTER (NOT shadow) AS use_cases,
    sum(cost_usd) FILTER (NOT shadow) AS spend_usd,
    coalesce(sum(calls) FILTER (priced AND NOT shadow AND answered AND NOT billed_elsewhere), 0)::DOUBLE
        / nullif(sum(calls) FILTER (NOT shadow AND answered AND NOT billed_elsewhere), 0)::DOUBLE AS priced_share,
    sum(cost_usd) FILTER (NOT shadow AND task_type <> 'unknown')::DOUBLE
        / nullif(sum(cost_usd) FILTER (NOT shadow), 0)::DOUBLE AS classified_spend_share,
    sum(estimated_calls) FILTER (NOT shadow AND answered)::DOUBLE
        / nullif(sum(calls) FILTER (NOT shadow AND answered), 0)::DOUBLE AS estimated_share,
    sum(input_tokens) FILTER (NOT shadow)::BIGINT AS input_tokens,
    sum(output_tokens) FILTER (NOT shadow)::BIGINT AS output_tokens,
    sum(cache_read_tokens) FILTER (NOT shadow)::BIGINT AS cache_read_tokens,
    min(first_time) FILTER (NOT shadow)::TIMESTAMP AS first_call_time,
    max(newest_time) FILTER (NOT shadow)::TIMESTAMP AS newest_call_time,
    coalesce(sum(calls) FILTER (shadow), 0)::BIGINT AS evaluation_calls,
    coalesce(sum(cost_usd) FILTER (shadow), 0)::DECIMAL(38, 12) AS evaluation_cost_usd,
    coalesce(sum(calls) FILTER (by_judge AND answered), 0)::BIGINT AS judge_calls,
    coalesce(sum(cost_usd) FILTER (by_judge), 0)::DECIMAL(38, 12) AS judge_cost_usd
FROM cells;
