-- One row a day (UTC) and bucket: the series behind a stacked chart, by day, largest bucket first.
--   day, bucket ('unknown' when the call does not say), calls, spend_usd (NULL when none is priced),
--   input_tokens, output_tokens
-- Parameters: $dimension (total | model | task_type | use_case | service | tenant | provider; NULL is total),
--   $since, $until, $service, $tenant, $model, $task_type, $use_case.
SELECT
    start_time::DATE AS day,
    coalesce(
        CASE coalesce($dimension, 'total')
            WHEN 'total' THEN 'total'
            WHEN 'model' THEN request_model
            WHEN 'task_type' THEN task_type
            WHEN 'use_case' THEN coalesce(use_case_name, use_case_id)
            WHEN 'service' THEN service_name
            WHEN 'tenant' THEN tenant
            WHEN 'provider' THEN provider
            ELSE error('$dimension is one of total, model, task_type, use_case, service, tenant, provider')
        END,
        'unknown'
    ) AS bucket,
    count(*) AS calls,
    sum(cost_usd) AS spend_usd,
    sum(input_tokens)::BIGINT AS input_tokens,
    sum(output_tokens)::BIGINT AS output_tokens
FROM traffic($since, $until, $service, $tenant, $model, $task_type, $use_case)
GROUP BY ALL
ORDER BY day, spend_usd DESC NULLS LAST, bucket;
