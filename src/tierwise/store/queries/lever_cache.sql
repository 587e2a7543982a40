-- One row a use case, model sent and group of conversations: what a prompt cache could serve of calls that use none.
--   provider, request_model, use_case_id, unit (a number), plain_calls (without cache reads or writes), followed_calls
--   (those of them that come within five minutes of the use case's call before, so that a cache would be warm);
--   and of the whole use case: shortest_input_tokens (of plain calls: no prefix that all share is longer) and
--   cached_prefix_tokens (the median read from the cache by calls that do use it; NULL without any)
-- Parameters: $units (groups that conversations are dealt into), $since, $until, $service, $tenant, $model, $task_type,
--   $use_case.
WITH seen AS (
    SELECT
        provider, request_model, use_case_id, input_tokens, cache_read_tokens,
        hash(coalesce(conversation_id, trace_id)) % $units::BIGINT AS unit,
        cache_read_tokens = 0 AND cache_write_tokens = 0 AS plain,
        coalesce(
            start_time::TIMESTAMP - lag(start_time::TIMESTAMP) OVER (
                PARTITION BY provider, request_model, use_case_id ORDER BY start_time
            ) <= INTERVAL 5 MINUTES,
            false
        ) AS followed
    FROM traffic($since, $until, $service, $tenant, $model, $task_type, $use_case)
    WHERE operation IN ('', 'chat') AND use_case_id IS NOT NULL AND priced AND input_tokens IS NOT NULL
),
prefixes AS (
    SELECT
        provider, request_model, use_case_id,
        min(input_tokens) FILTER (plain) AS shortest_input_tokens,
        median(cache_read_tokens) FILTER (cache_read_tokens > 0) AS cached_prefix_tokens
    FROM seen
    GROUP BY ALL
)
SELECT
    provider, request_model, use_case_id, unit,
    count(*) FILTER (plain) AS plain_calls,
    count(*) FILTER (plain AND followed) AS followed_calls,
    any_value(shortest_input_tokens) AS shortest_input_tokens,
    any_value(cached_prefix_tokens) AS cached_prefix_tokens
FROM seen JOIN prefixes USING (provider, request_model, use_case_id)
GROUP BY provider, request_model, use_case_id, unit
HAVING plain_calls > 0
ORDER BY provider, request_model, use_case_id, unit;
