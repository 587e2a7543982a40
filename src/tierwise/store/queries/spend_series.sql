-- One row a time step (UTC) and bucket that has calls: the series behind a stacked chart. The dearest buckets keep their
-- name, the rest are added up in one.
--   step and step_end (start and end of the step), bucket ('unknown' when the call does not say, 'everything else' for
--   the rest), rank (1 is the dearest bucket; the rest come last), calls (attempts whose answer nobody saw are no calls,
--   and part of the spend), spend_usd and cost_per_call_usd (NULL when none is priced), duration_s_p50 (to 2.5%),
--   bucket_spend_usd (over all steps)
-- Parameters: $dimension (model | task_type | use_case; NULL is model), $step_s (seconds; NULL is a day), $buckets (how
--   many keep their name; NULL is 8), $since, $until, $service, $tenant, $model, $task_type, $use_case.
WITH selected AS MATERIALIZED (
    SELECT
        time_bucket(to_seconds(coalesce($step_s, 86400)::BIGINT), day::TIMESTAMP) AS step,
        request_model, task_type, use_case_id, use_case_name, answered, calls, cost_usd, costed_calls, durations
    FROM selected_cells(
        $since, $until, $service, $tenant, $model, $task_type, $use_case, $rolled_from, $rolled_until
    )
    WHERE NOT shadow AND coalesce($step_s, 86400)::BIGINT % 86400 = 0
    UNION ALL
    SELECT
        time_bucket(to_seconds(coalesce($step_s, 86400)::BIGINT), start_time::TIMESTAMP),
        request_model, task_type, use_case_id, use_case_name, rejected_by IS NULL, 1, cost_usd,
        (cost_usd IS NOT NULL)::BIGINT, [{'step': duration_step(duration_s), 'calls': 1}]
    FROM paid_calls($since, $until, $service, $tenant, $model, $task_type, $use_case)
    WHERE coalesce($step_s, 86400)::BIGINT % 86400 <> 0
),
bucketed AS (
    SELECT
        *,
        coalesce(
            CASE coalesce($dimension, 'model')
                WHEN 'model' THEN request_model
                WHEN 'task_type' THEN task_type
                WHEN 'use_case' THEN coalesce(use_case_name, use_case_id)
                ELSE error('$dimension is one of model, task_type, use_case')
            END,
            'unknown'
        ) AS bucket
    FROM selected
),
ranked AS (
    SELECT bucket, row_number() OVER (ORDER BY sum(cost_usd) DESC NULLS LAST, sum(calls) DESC, bucket) AS rank
    FROM bucketed GROUP BY bucket
),
named AS MATERIALIZED (
    SELECT
        step,
        if(rank <= coalesce($buckets, 8), bucket, 'everything else') AS bucket,
        if(rank <= coalesce($buckets, 8), rank, coalesce($buckets, 8) + 1) AS rank,
        cost_usd, costed_calls, durations, answered, calls
    FROM bucketed JOIN ranked USING (bucket)
),
durations AS (
    SELECT step, bucket, duration.step AS seconds_step, sum(duration.calls) AS calls
    FROM (SELECT step, bucket, unnest(durations) AS duration FROM named WHERE answered)
    GROUP BY ALL
),
halves AS (
    SELECT
        step, bucket, seconds_step,
        sum(calls) OVER (PARTITION BY step, bucket ORDER BY seconds_step) >= 0.5 * sum(calls) OVER (PARTITION BY step, bucket)
            AS reached
    FROM durations
),
medians AS (
    SELECT step, bucket, duration_of(min(seconds_step)) AS duration_s_p50 FROM halves WHERE reached GROUP BY step, bucket
)
SELECT
    named.step,
    named.step + to_seconds(coalesce($step_s, 86400)::BIGINT) AS step_end,
    named.bucket,
    rank::BIGINT AS rank,
    coalesce(sum(calls) FILTER (answered), 0)::BIGINT AS calls,
    sum(cost_usd) AS spend_usd,
    sum(cost_usd)::DOUBLE / nullif(sum(costed_calls) FILTER (answered), 0) AS cost_per_call_usd,
    any_value(duration_s_p50) AS duration_s_p50,
    sum(sum(cost_usd)) OVER (PARTITION BY named.bucket)::DECIMAL(38, 12) AS bucket_spend_usd
FROM named LEFT JOIN medians ON medians.step = named.step AND medians.bucket = named.bucket
GROUP BY named.step, named.bucket, rank
ORDER BY rank, named.step;
