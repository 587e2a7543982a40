-- One row a use case, model sent and group of conversations with calls that went to waste.
--   provider, request_model, use_case_id, unit (a number), calls, failed_usd (billed for calls that ended in an error),
--   retried_calls (calls of the conversation that repeat, within two minutes, one of the same size that had failed),
--   truncated_usd (billed for answers cut off at the output limit), repeated_calls and repeated_usd (calls with the
--   same input and output tokens as another of the use case within the minute before that did not fail), chance_calls
--   and chance_usd (the same for the minute that began eleven minutes before: what coincidence gives; both are of calls
--   later than the first eleven minutes)
-- Parameters: $units (groups that conversations are dealt into), $since, $until, $service, $tenant, $model, $task_type,
--   $use_case.
WITH seen AS (
    SELECT
        provider, request_model, use_case_id, start_time, error_type, cost_usd,
        hash(coalesce(conversation_id, trace_id)) % $units::BIGINT AS unit,
        coalesce(list_has_any(finish_reasons, ['length', 'max_tokens']), false) AS truncated,
        -- The first eleven minutes have nothing before them that could match by coincidence, so they are left out.
        input_tokens IS NOT NULL AND output_tokens IS NOT NULL AND error_type IS NULL
            AND start_time::TIMESTAMP - min(start_time::TIMESTAMP) OVER (
                PARTITION BY provider, request_model, use_case_id
            ) >= INTERVAL 660 SECONDS AS comparable,
        hash(
            provider, request_model, use_case_id, tenant, input_tokens, output_tokens, error_type IS NULL
        ) AS alike,
        hash(coalesce(conversation_id, trace_id), request_model, use_case_id) AS turn
    FROM traffic($since, $until, $service, $tenant, $model, $task_type, $use_case)
    WHERE operation IN ('', 'chat', 'text_completion', 'generate_content') AND use_case_id IS NOT NULL
),
marked AS (
    SELECT
        *,
        comparable AND count(*) OVER (
            PARTITION BY alike ORDER BY start_time::TIMESTAMP
            RANGE BETWEEN INTERVAL 60 SECONDS PRECEDING AND CURRENT ROW EXCLUDE CURRENT ROW
        ) > 0 AS repeated,
        comparable AND count(*) OVER (
            PARTITION BY alike ORDER BY start_time::TIMESTAMP
            RANGE BETWEEN INTERVAL 660 SECONDS PRECEDING AND INTERVAL 600 SECONDS PRECEDING
        ) > 0 AS by_chance,
        coalesce(
            lag(error_type IS NOT NULL AND error_type <> '') OVER (PARTITION BY turn ORDER BY start_time)
            AND start_time::TIMESTAMP - lag(start_time::TIMESTAMP) OVER (PARTITION BY turn ORDER BY start_time)
                <= INTERVAL 120 SECONDS,
            false
        ) AS retried
    FROM seen
)
SELECT
    provider, request_model, use_case_id, unit, count(*) AS calls,
    coalesce(sum(cost_usd) FILTER (error_type IS NOT NULL), 0)::DOUBLE AS failed_usd,
    count(*) FILTER (retried) AS retried_calls,
    coalesce(sum(cost_usd) FILTER (truncated), 0)::DOUBLE AS truncated_usd,
    count(*) FILTER (repeated) AS repeated_calls,
    coalesce(sum(cost_usd) FILTER (repeated), 0)::DOUBLE AS repeated_usd,
    count(*) FILTER (by_chance) AS chance_calls,
    coalesce(sum(cost_usd) FILTER (by_chance), 0)::DOUBLE AS chance_usd
FROM marked
GROUP BY ALL
HAVING failed_usd > 0 OR truncated_usd > 0 OR repeated_calls > 0 OR chance_calls > 0 OR retried_calls > 0
ORDER BY provider, request_model, use_case_id, unit;
