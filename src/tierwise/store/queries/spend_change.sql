-- One row: the selected traffic against that of the period of equal length just before it.
--   calls, spend_usd, cost_per_call_usd (over priced calls), duration_s_p50, duration_s_p95, use_cases,
--   previous_spend_usd, spend_change, calls_change, cost_per_call_change (shares: 0.1 is 10% more), previous_first_time
--   The changes are NULL without $since, and where the period before holds nothing to compare with.
-- Parameters: $since, $until (NULL is now), $service, $tenant, $model, $task_type, $use_case.
WITH bounds AS (
    SELECT
        $since::BIGINT AS since,
        coalesce($until::BIGINT, epoch_ns(now()::TIMESTAMP_NS)) AS until
),
selected AS MATERIALIZED (
    SELECT
        coalesce(epoch_ns(start_time) >= since, true) AS inside, cost_usd, priced, duration_s, use_case_id, start_time
    FROM traffic(NULL, $until, $service, $tenant, $model, $task_type, $use_case), bounds
    WHERE since IS NULL OR epoch_ns(start_time) >= since - (until - since)
),
totals AS (
    SELECT
        count(*) FILTER (inside) AS calls,
        sum(cost_usd) FILTER (inside) AS spend_usd,
        avg(cost_usd) FILTER (inside)::DOUBLE AS cost_per_call_usd,
        quantile_cont(duration_s, 0.5) FILTER (inside) AS duration_s_p50,
        quantile_cont(duration_s, 0.95) FILTER (inside) AS duration_s_p95,
        count(DISTINCT use_case_id) FILTER (inside) AS use_cases,
        count(*) FILTER (NOT inside) AS previous_calls,
        sum(cost_usd) FILTER (NOT inside) AS previous_spend_usd,
        avg(cost_usd) FILTER (NOT inside)::DOUBLE AS previous_cost_per_call_usd,
        min(start_time) FILTER (NOT inside)::TIMESTAMP AS previous_first_time
    FROM selected
)
SELECT
    calls, spend_usd, cost_per_call_usd, duration_s_p50, duration_s_p95, use_cases, previous_spend_usd,
    spend_usd::DOUBLE / nullif(previous_spend_usd, 0)::DOUBLE - 1 AS spend_change,
    calls / nullif(previous_calls, 0) - 1 AS calls_change,
    cost_per_call_usd / nullif(previous_cost_per_call_usd, 0) - 1 AS cost_per_call_change,
    previous_first_time
FROM totals;
