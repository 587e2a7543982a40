-- One row a time step (UTC) and bucket that has calls: the series behind a stacked chart. The dearest buckets keep their
-- name, the rest are added up in one.
--   step and step_end (start and end of the step), bucket ('unknown' when the call does not say, 'everything else' for
--   the rest), rank (1 is the dearest bucket; the rest come last), calls, spend_usd and cost_per_call_usd (NULL when
--   none is priced), duration_s_p50, bucket_spend_usd (over all steps)
-- Parameters: $dimension (model | task_type | use_case; NULL is model), $step_s (seconds; NULL is a day), $buckets (how
--   many keep their name; NULL is 8), $since, $until, $service, $tenant, $model, $task_type, $use_case.
WITH selected AS MATERIALIZED (
    SELECT
        time_bucket(to_seconds(coalesce($step_s, 86400)::BIGINT), start_time::TIMESTAMP) AS step,
        coalesce(
            CASE coalesce($dimension, 'model')
                WHEN 'model' THEN request_model
                WHEN 'task_type' THEN task_type
                WHEN 'use_case' THEN coalesce(use_case_name, use_case_id)
                ELSE error('$dimension is one of model, task_type, use_case')
            END,
            'unknown'
        ) AS bucket,
        cost_usd,
        duration_s
    FROM traffic($since, $until, $service, $tenant, $model, $task_type, $use_case)
),
ranked AS (
    SELECT bucket, row_number() OVER (ORDER BY sum(cost_usd) DESC NULLS LAST, count(*) DESC, bucket) AS rank
    FROM selected GROUP BY bucket
),
named AS (
    SELECT
        step,
        if(rank <= coalesce($buckets, 8), bucket, 'everything else') AS bucket,
        if(rank <= coalesce($buckets, 8), rank, coalesce($buckets, 8) + 1) AS rank,
        cost_usd,
        duration_s
    FROM selected JOIN ranked USING (bucket)
)
SELECT
    step,
    step + to_seconds(coalesce($step_s, 86400)::BIGINT) AS step_end,
    bucket,
    rank::BIGINT AS rank,
    count(*) AS calls,
    sum(cost_usd) AS spend_usd,
    avg(cost_usd)::DOUBLE AS cost_per_call_usd,
    quantile_cont(duration_s, 0.5) AS duration_s_p50,
    sum(sum(cost_usd)) OVER (PARTITION BY bucket)::DECIMAL(38, 12) AS bucket_spend_usd
FROM named
GROUP BY step, bucket, rank
ORDER BY rank, step;
