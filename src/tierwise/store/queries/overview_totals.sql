-- One row: what the selected traffic cost, and how much of it is known well enough to act on.
--   calls, errors, use_cases    counts of the user's own calls
--   spend_usd                   sum over priced calls; NULL when none is priced
--   priced_share                share of calls with a price, orders that another call is billed for left out; NULL
--                               without calls
--   classified_spend_share      share of spend whose task type is known; NULL without spend
--   estimated_share             share of calls whose token counts are our estimate; NULL without calls
--   input_tokens, output_tokens, cache_read_tokens
--   first_call_time, newest_call_time   UTC
--   evaluation_calls, evaluation_cost_usd   tierwise's shadow calls, which no other figure here contains
-- Parameters: $since, $until, $service, $tenant, $model, $task_type, $use_case.
WITH selected AS MATERIALIZED (
    FROM selected_calls($since, $until, $service, $tenant, $model, $task_type, $use_case)
    SELECT shadow_of_span_id IS NOT NULL AS shadow, cost_usd, priced, task_type, usage_estimated, error_type,
           use_case_id, input_tokens, output_tokens, cache_read_tokens, start_time,
           coalesce(starts_with(unpriced_reason, 'billed '), false) AS billed_elsewhere
)
SELECT
    count(*) FILTER (NOT shadow) AS calls,
    count(*) FILTER (NOT shadow AND error_type IS NOT NULL) AS errors,
    count(DISTINCT use_case_id) FILTER (NOT shadow) AS use_cases,
    sum(cost_usd) FILTER (NOT shadow) AS spend_usd,
    avg(priced::INTEGER) FILTER (NOT shadow AND NOT billed_elsewhere) AS priced_share,
    sum(cost_usd) FILTER (NOT shadow AND task_type <> 'unknown')::DOUBLE
        / nullif(sum(cost_usd) FILTER (NOT shadow), 0)::DOUBLE AS classified_spend_share,
    avg(usage_estimated::INTEGER) FILTER (NOT shadow) AS estimated_share,
    sum(input_tokens) FILTER (NOT shadow)::BIGINT AS input_tokens,
    sum(output_tokens) FILTER (NOT shadow)::BIGINT AS output_tokens,
    sum(cache_read_tokens) FILTER (NOT shadow)::BIGINT AS cache_read_tokens,
    min(start_time) FILTER (NOT shadow)::TIMESTAMP AS first_call_time,
    max(start_time) FILTER (NOT shadow)::TIMESTAMP AS newest_call_time,
    count(*) FILTER (shadow) AS evaluation_calls,
    coalesce(sum(cost_usd) FILTER (shadow), 0)::DECIMAL(38, 12) AS evaluation_cost_usd
FROM selected;
