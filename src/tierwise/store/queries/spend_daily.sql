-- One row a subject and UTC day on which it has calls, oldest first: what forecasts and anomalies are worked out of.
--   subject ('' without $dimension; calls that do not say whose they are have none), day, calls, priced_calls,
--   spend_usd (NULL when none is priced)
-- Parameters: $dimension (tenant | use_case | model; NULL: all traffic is one subject), $subjects (how many, dearest
--   first; NULL is 50), $since, $until, $service, $tenant, $model, $task_type, $use_case.
WITH selected AS (
    SELECT
        CASE coalesce($dimension, 'all')
            WHEN 'all' THEN ''
            WHEN 'tenant' THEN tenant
            WHEN 'use_case' THEN coalesce(use_case_name, use_case_id)
            WHEN 'model' THEN request_model
            ELSE error('$dimension is one of tenant, use_case, model')
        END AS subject,
        day,
        sum(calls)::BIGINT AS calls,
        coalesce(sum(calls) FILTER (priced), 0)::BIGINT AS priced_calls,
        sum(spend_usd) AS spend_usd
    FROM selected_cells(
        $since, $until, $service, $tenant, $model, $task_type, $use_case, $rolled_from, $rolled_until
    )
    WHERE NOT shadow AND answered
    GROUP BY subject, day
),
ranked AS (
    SELECT subject FROM selected WHERE subject IS NOT NULL
    GROUP BY subject ORDER BY sum(spend_usd) DESC NULLS LAST, subject LIMIT coalesce($subjects, 50)
)
SELECT subject, day, calls, priced_calls, spend_usd
FROM selected JOIN ranked USING (subject)
ORDER BY subject, day;
