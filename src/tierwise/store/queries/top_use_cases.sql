-- One row a use case, dearest first, with its unit cost and its spend over time. Calls without a use case are one row
-- with a NULL id.
--   use_case_id, label (its name, else its id, else 'no use case'), task_type (the newest said), model (the dearest asked for), models (how many), calls,
--   priced_calls, spend_usd (NULL when none is priced), spend_share (of all selected), cost_per_call_usd,
--   cost_per_1k_calls_usd, input_tokens_per_call, output_tokens_per_call, error_share, duration_s_p50, duration_s_p95,
--   mean_score (NULL when none is scored), spend_series (USD a step, oldest first, 0 where there was no call)
-- Parameters: $limit (NULL is 20), $step_s (seconds; NULL is a day), $since, $until, $service, $tenant, $model,
--   $task_type, $use_case.
WITH selected AS MATERIALIZED (
    FROM traffic($since, $until, $service, $tenant, $model, $task_type, $use_case)
    SELECT trace_id, span_id, start_time, duration_s, requested_model, error_type, priced, cost_usd, input_tokens,
           output_tokens, task_type, use_case_id, use_case_name,
           time_bucket(to_seconds(coalesce($step_s, 86400)::BIGINT), start_time::TIMESTAMP) AS step
),
scores AS (
    SELECT trace_id, span_id, avg(score) AS score FROM evaluations WHERE score IS NOT NULL GROUP BY ALL
),
totals AS (
    SELECT
        use_case_id,
        arg_max(use_case_name, start_time) AS use_case_name,
        arg_max(task_type, start_time) AS task_type,
        count(DISTINCT requested_model) AS models,
        count(*) AS calls,
        count(*) FILTER (priced) AS priced_calls,
        sum(cost_usd) AS spend_usd,
        avg(cost_usd)::DOUBLE AS cost_per_call_usd,
        avg(input_tokens) AS input_tokens_per_call,
        avg(output_tokens) AS output_tokens_per_call,
        count(error_type) / count(*) AS error_share,
        quantile_cont(duration_s, 0.5) AS duration_s_p50,
        quantile_cont(duration_s, 0.95) AS duration_s_p95,
        avg(score) AS mean_score
    FROM selected LEFT JOIN scores USING (trace_id, span_id)
    GROUP BY use_case_id
),
dearest_models AS (
    SELECT use_case_id, requested_model AS model
    FROM selected
    GROUP BY use_case_id, requested_model
    QUALIFY row_number() OVER (
        PARTITION BY use_case_id ORDER BY sum(cost_usd) DESC NULLS LAST, count(*) DESC, requested_model
    ) = 1
),
steps AS (
    SELECT unnest(generate_series(min(step), max(step), to_seconds(coalesce($step_s, 86400)::BIGINT))) AS step
    FROM selected
),
series AS (
    SELECT use_case_id, list(coalesce(spend_usd, 0)::DOUBLE ORDER BY step) AS spend_series
    FROM (SELECT DISTINCT use_case_id FROM selected)
    CROSS JOIN steps
    LEFT JOIN (SELECT use_case_id AS id, step AS spent_in, sum(cost_usd) AS spend_usd FROM selected GROUP BY ALL)
        ON id IS NOT DISTINCT FROM use_case_id AND spent_in = step
    GROUP BY use_case_id
)
SELECT
    totals.use_case_id, coalesce(use_case_name, totals.use_case_id, 'no use case') AS label, task_type, model, models,
    calls, priced_calls, spend_usd,
    spend_usd::DOUBLE / nullif(sum(spend_usd) OVER (), 0)::DOUBLE AS spend_share,
    cost_per_call_usd,
    1000 * cost_per_call_usd AS cost_per_1k_calls_usd,
    input_tokens_per_call, output_tokens_per_call, error_share, duration_s_p50, duration_s_p95, mean_score, spend_series
FROM totals
JOIN dearest_models ON dearest_models.use_case_id IS NOT DISTINCT FROM totals.use_case_id
JOIN series ON series.use_case_id IS NOT DISTINCT FROM totals.use_case_id
ORDER BY spend_usd DESC NULLS LAST, calls DESC, totals.use_case_id
LIMIT coalesce($limit, 20);
