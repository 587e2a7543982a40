-- One row a use case, dearest first. Calls without a use case are one row with a NULL id.
--   use_case_id, use_case_name and task_type (the newest said), models (asked for, dearest first), model (the first
--   of them), providers, services, tenants (count), calls, errors, priced_calls, spend_usd (NULL when none is priced),
--   input_tokens, output_tokens, conversations, duration_s_p50, duration_s_p95, scored_calls, mean_score (NULL when
--   none is scored), first_seen, last_seen (UTC)
-- Parameters: $since, $until, $service, $tenant, $model, $task_type, $use_case.
WITH selected AS MATERIALIZED (
    FROM traffic($since, $until, $service, $tenant, $model, $task_type, $use_case)
    SELECT trace_id, span_id, start_time, duration_s, service_name, provider, requested_model, error_type, priced,
           cost_usd, input_tokens, output_tokens, task_type, use_case_id, use_case_name, tenant, conversation_id
),
model_spend AS (
    SELECT use_case_id, requested_model, sum(cost_usd) AS spend_usd, count(*) AS calls FROM selected GROUP BY ALL
),
models AS (
    SELECT use_case_id, list(requested_model ORDER BY spend_usd DESC NULLS LAST, calls DESC, requested_model) AS models
    FROM model_spend GROUP BY ALL
),
scores AS (
    SELECT trace_id, span_id, avg(score) AS score FROM evaluations WHERE score IS NOT NULL GROUP BY ALL
)
SELECT
    selected.use_case_id,
    arg_max(use_case_name, start_time) AS use_case_name,
    arg_max(task_type, start_time) AS task_type,
    any_value(models.models) AS models,
    any_value(models.models[1]) AS model,
    list_sort(list(DISTINCT provider)) AS providers,
    list_sort(list(DISTINCT service_name)) AS services,
    count(DISTINCT tenant) AS tenants,
    count(*) AS calls,
    count(error_type) AS errors,
    count(*) FILTER (priced) AS priced_calls,
    sum(cost_usd) AS spend_usd,
    sum(input_tokens)::BIGINT AS input_tokens,
    sum(output_tokens)::BIGINT AS output_tokens,
    count(DISTINCT conversation_id) AS conversations,
    quantile_cont(duration_s, 0.5) AS duration_s_p50,
    quantile_cont(duration_s, 0.95) AS duration_s_p95,
    count(score) AS scored_calls,
    avg(score) AS mean_score,
    min(start_time)::TIMESTAMP AS first_seen,
    max(start_time)::TIMESTAMP AS last_seen
FROM selected
JOIN models ON models.use_case_id IS NOT DISTINCT FROM selected.use_case_id
LEFT JOIN scores USING (trace_id, span_id)
GROUP BY selected.use_case_id
ORDER BY spend_usd DESC NULLS LAST, calls DESC, selected.use_case_id;
