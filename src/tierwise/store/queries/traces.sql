-- One row a trace with selected calls, by what is asked for: the list behind a waterfall.
--   trace_id, start_time (UTC, of its first selected call), duration_s (from the first to the end of the last), calls,
--   errors, models (sent, in order of their name), services, use_case (the dearest call's name, else id), task_type (of
--   that call), tenant, input_tokens, output_tokens, cost_usd (NULL when none is priced), unpriced_calls, traces (how
--   many there are in all)
-- Parameters: $order (newest | dearest | slowest; NULL is newest), $limit (NULL is 100), $since, $until, $service,
--   $tenant, $model, $task_type, $use_case.
WITH selected AS (
    FROM traffic($since, $until, $service, $tenant, $model, $task_type, $use_case)
    SELECT trace_id, span_id, start_time, end_time, cost_usd, priced
),
found AS (
    SELECT
        trace_id, min(start_time) AS started, max(end_time) AS ended, sum(cost_usd) AS cost_usd,
        count(*) OVER () AS traces
    FROM selected
    GROUP BY trace_id
    ORDER BY
        CASE coalesce($order, 'newest')
            WHEN 'newest' THEN epoch_ns(started)::DOUBLE
            WHEN 'dearest' THEN coalesce(sum(cost_usd)::DOUBLE, -1)
            WHEN 'slowest' THEN epoch_ns(ended)::DOUBLE - epoch_ns(started)::DOUBLE
            ELSE error('$order is one of newest, dearest, slowest')
        END DESC,
        trace_id
    LIMIT coalesce($limit, 100)
)
SELECT
    trace_id,
    started::TIMESTAMP AS start_time,
    (epoch_ns(ended) - epoch_ns(started)) / 1e9 AS duration_s,
    count(*) AS calls,
    count(error_type) AS errors,
    list_sort(list(DISTINCT request_model)) AS models,
    list_sort(list(DISTINCT service_name)) AS services,
    arg_max(coalesce(use_case_name, use_case_id), coalesce(calls.cost_usd, 0)) AS use_case,
    arg_max(task_type, coalesce(calls.cost_usd, 0)) AS task_type,
    any_value(tenant) AS tenant,
    sum(input_tokens)::BIGINT AS input_tokens,
    sum(output_tokens)::BIGINT AS output_tokens,
    any_value(found.cost_usd) AS cost_usd,
    count(*) FILTER (NOT priced) AS unpriced_calls,
    any_value(traces) AS traces
FROM found
JOIN traffic($since, $until, $service, $tenant, $model, $task_type, $use_case) AS calls USING (trace_id)
GROUP BY trace_id, started, ended
ORDER BY
    CASE coalesce($order, 'newest')
        WHEN 'newest' THEN epoch_ns(started)::DOUBLE
        WHEN 'dearest' THEN coalesce(any_value(found.cost_usd)::DOUBLE, -1)
        ELSE epoch_ns(ended)::DOUBLE - epoch_ns(started)::DOUBLE
    END DESC,
    trace_id;
