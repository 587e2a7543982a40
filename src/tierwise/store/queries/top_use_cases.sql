-- One row a use case, dearest first, with its unit cost and its spend over time. Calls without a use case are one row
-- with a NULL id.
--   use_case_id, label (its name, else its id, else 'no use case'), task_type (the newest said), model (the dearest asked for), models (how many), calls,
--   priced_calls, spend_usd (NULL when none is priced), spend_share (of all selected), cost_per_call_usd,
--   cost_per_1k_calls_usd, input_tokens_per_call, output_tokens_per_call, error_share, duration_s_p50, duration_s_p95 (both
--   to 2.5%),
--   mean_score (NULL when none is scored), spend_series (USD a step, oldest first, 0 where there was no call)
-- Parameters: $limit (NULL is 20), $step_s (seconds; NULL is a day), $since, $until, $service, $tenant, $model,
--   $task_type, $use_case.
WITH cells AS MATERIALIZED (
    SELECT * FROM selected_cells(
        $since, $until, $service, $tenant, $model, $task_type, $use_case, $rolled_from, $rolled_until
    )
    WHERE NOT shadow AND answered
),
totals AS (
    SELECT
        use_case_id,
        arg_max(use_case_name, newest_time) AS use_case_name,
        arg_max(task_type, newest_time) AS task_type,
        count(DISTINCT requested_model) AS models,
        sum(calls)::BIGINT AS calls,
        coalesce(sum(calls) FILTER (priced), 0)::BIGINT AS priced_calls,
        sum(spend_usd) AS spend_usd,
        sum(spend_usd)::DOUBLE / sum(sum(spend_usd)) OVER ()::DOUBLE AS spend_share,
        sum(spend_usd)::DOUBLE / nullif(sum(costed_calls), 0) AS cost_per_call_usd,
        sum(input_tokens)::DOUBLE / nullif(sum(input_counted), 0) AS input_tokens_per_call,
        sum(output_tokens)::DOUBLE / nullif(sum(output_counted), 0) AS output_tokens_per_call,
        sum(errors)::DOUBLE / sum(cells.calls) AS error_share
    FROM cells
    GROUP BY use_case_id
    ORDER BY sum(cells.spend_usd) DESC NULLS LAST, sum(cells.calls) DESC, use_case_id
    LIMIT coalesce($limit, 20)
),
shown AS MATERIALIZED (
    SELECT cells.* FROM cells SEMI JOIN totals ON totals.use_case_id IS NOT DISTINCT FROM cells.use_case_id
),
durations AS (
    SELECT use_case_id, duration.step, sum(duration.calls) AS calls
    FROM (SELECT use_case_id, unnest(durations) AS duration FROM shown)
    GROUP BY ALL
),
ranked AS (
    SELECT
        use_case_id, step, sum(calls) OVER (PARTITION BY use_case_id ORDER BY step) AS below,
        sum(calls) OVER (PARTITION BY use_case_id) AS calls
    FROM durations
),
latencies AS (
    SELECT
        use_case_id,
        min(duration_of(step)) FILTER (WHERE below >= 0.5 * calls) AS duration_s_p50,
        min(duration_of(step)) FILTER (WHERE below >= 0.95 * calls) AS duration_s_p95
    FROM ranked
    GROUP BY use_case_id
),
dearest_models AS (
    SELECT use_case_id, requested_model AS model
    FROM shown
    GROUP BY use_case_id, requested_model
    QUALIFY row_number() OVER (
        PARTITION BY use_case_id ORDER BY sum(spend_usd) DESC NULLS LAST, sum(calls) DESC, requested_model
    ) = 1
),
stepped AS (
    SELECT use_case_id, time_bucket(to_seconds(coalesce($step_s, 86400)::BIGINT), day::TIMESTAMP) AS step,
           sum(spend_usd) AS spend_usd
    FROM shown
    GROUP BY ALL
),
steps AS (
    SELECT unnest(generate_series(min(step), max(step), to_seconds(coalesce($step_s, 86400)::BIGINT))) AS step
    FROM (SELECT time_bucket(to_seconds(coalesce($step_s, 86400)::BIGINT), day::TIMESTAMP) AS step FROM cells)
),
series AS (
    SELECT totals.use_case_id, list(coalesce(stepped.spend_usd, 0)::DOUBLE ORDER BY steps.step) AS spend_series
    FROM totals
    CROSS JOIN steps
    LEFT JOIN stepped ON stepped.use_case_id IS NOT DISTINCT FROM totals.use_case_id AND stepped.step = steps.step
    GROUP BY totals.use_case_id
),
scores AS (
    SELECT use_case_id, avg(score) AS mean_score
    FROM traffic($since, $until, $service, $tenant, $model, $task_type, $use_case)
    JOIN (SELECT trace_id, span_id, avg(score) AS score FROM evaluations WHERE score IS NOT NULL GROUP BY ALL)
        USING (trace_id, span_id)
    GROUP BY use_case_id
)
SELECT
    totals.use_case_id, coalesce(use_case_name, totals.use_case_id, 'no use case') AS label, task_type, model, models,
    calls, priced_calls, spend_usd, spend_share, cost_per_call_usd,
    1000 * cost_per_call_usd AS cost_per_1k_calls_usd,
    input_tokens_per_call, output_tokens_per_call, error_share, duration_s_p50, duration_s_p95, mean_score, spend_series
FROM totals
JOIN dearest_models ON dearest_models.use_case_id IS NOT DISTINCT FROM totals.use_case_id
JOIN latencies ON latencies.use_case_id IS NOT DISTINCT FROM totals.use_case_id
JOIN series ON series.use_case_id IS NOT DISTINCT FROM totals.use_case_id
LEFT JOIN scores ON scores.use_case_id IS NOT DISTINCT FROM totals.use_case_id
ORDER BY spend_usd DESC NULLS LAST, calls DESC, totals.use_case_id;
