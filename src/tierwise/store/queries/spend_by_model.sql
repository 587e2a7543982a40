-- One row a model sent, dearest first.
--   provider, model, calls, errors, priced_calls, spend_usd (NULL when none is priced),
--   input_tokens, output_tokens, cache_read_tokens, use_cases, duration_s_p50, duration_s_p95
-- Parameters: $since, $until, $service, $tenant, $model, $task_type, $use_case.
SELECT
    provider,
    request_model AS model,
    count(*) AS calls,
    count(error_type) AS errors,
    count(*) FILTER (priced) AS priced_calls,
    sum(cost_usd) AS spend_usd,
    sum(input_tokens)::BIGINT AS input_tokens,
    sum(output_tokens)::BIGINT AS output_tokens,
    sum(cache_read_tokens)::BIGINT AS cache_read_tokens,
    count(DISTINCT use_case_id) AS use_cases,
    quantile_cont(duration_s, 0.5) AS duration_s_p50,
    quantile_cont(duration_s, 0.95) AS duration_s_p95
FROM traffic($since, $until, $service, $tenant, $model, $task_type, $use_case)
GROUP BY ALL
ORDER BY spend_usd DESC NULLS LAST, calls DESC, model;
