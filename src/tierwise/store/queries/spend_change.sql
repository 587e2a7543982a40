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
cells AS MATERIALIZED (
    SELECT true AS inside, * FROM selected_cells(
        $since, $until, $service, $tenant, $model, $task_type, $use_case, $rolled_from, $rolled_until
    )
    WHERE NOT shadow AND answered
    UNION ALL
    SELECT false, * FROM selected_cells(
        $since::BIGINT - (coalesce($until::BIGINT, epoch_ns(now()::TIMESTAMP_NS)) - $since::BIGINT), $since, $service,
        $tenant, $model, $task_type, $use_case, $rolled_before_from, $rolled_before_until
    )
    WHERE NOT shadow AND answered AND $since IS NOT NULL
),
durations AS (
    SELECT duration.step, sum(duration.calls) AS calls
    FROM (SELECT unnest(durations) AS duration FROM cells WHERE inside)
    GROUP BY ALL
),
ranked AS (
    SELECT step, sum(calls) OVER (ORDER BY step) AS below, sum(calls) OVER () AS calls FROM durations
),
totals AS (
    SELECT
        coalesce(sum(calls) FILTER (inside), 0)::BIGINT AS calls,
        sum(spend_usd) FILTER (inside) AS spend_usd,
        (sum(spend_usd) FILTER (inside))::DOUBLE / nullif(sum(costed_calls) FILTER (inside), 0) AS cost_per_call_usd,
        (SELECT min(duration_of(step)) FROM ranked WHERE below >= 0.5 * calls) AS duration_s_p50,
        (SELECT min(duration_of(step)) FROM ranked WHERE below >= 0.95 * calls) AS duration_s_p95,
        count(DISTINCT use_case_id) FILTER (inside) AS use_cases,
        sum(calls) FILTER (NOT inside) AS previous_calls,
        sum(spend_usd) FILTER (NOT inside) AS previous_spend_usd,
        (sum(spend_usd) FILTER (NOT inside))::DOUBLE / nullif(sum(costed_calls) FILTER (NOT inside), 0)
            AS previous_cost_per_call_usd,
        min(first_time) FILTER (NOT inside)::TIMESTAMP AS previous_first_time
    FROM cells
)
SELECT
    calls, spend_usd, cost_per_call_usd, duration_s_p50, duration_s_p95, use_cases, previous_spend_usd,
    spend_usd::DOUBLE / nullif(previous_spend_usd, 0)::DOUBLE - 1 AS spend_change,
    calls / nullif(previous_calls, 0) - 1 AS calls_change,
    cost_per_call_usd / nullif(previous_cost_per_call_usd, 0) - 1 AS cost_per_call_change,
    previous_first_time
FROM totals;
