-- One row a cell of the user's traffic: calls of one use case that a price list treats alike and that belong to one
-- group of conversations, with their tokens and cost added up. What repricing needs of millions of calls.
--   start_time (UTC, of the newest call), calls, provider, operation, request_model, requested_model, service_tier,
--   task_type, use_case_id, use_case_name, decision, unit (the conversation or group of conversations, a number),
--   input_tokens and output_tokens (NULL in a cell of calls whose counts are missing or contradict each other),
--   cache_read_tokens, warm_read_tokens (those of them that the conversation's call before had sent: another model's
--   cache serves them too; spread over the cells of a use case and model by their cache reads), cache_write_tokens,
--   cache_write_1h_tokens, reasoning_tokens, web_searches, cost_usd (NULL in a cell of calls without a price),
--   largest_input_tokens, largest_output_tokens; and with $detail also complexity, tenant, policy_version, rule_id,
--   arm, propensity, error_type, else NULL; declared_attributes (name=value, with the unit separator between; those that
--   $declared names)
--   observed_task_type, observed_use_case_id, observed_use_case_name: what the calls themselves say, and rules match on
-- Parameters: $units (groups that conversations are dealt into by a hash; NULL: each alone), $every (each how manieth
--   conversation is looked at for warm_read_tokens, NULL is 1), $long_input (a call with more input tokens stands with
--   those of its own size; NULL: never), $price_changes (nanoseconds since 1970 between commas, NULL for none; calls of
--   different periods stand apart), $detail (whether what a policy matches on keeps calls apart), and of what
--   only some policies look at, each NULL for no: $sizes (numbers of input tokens between commas; calls below and from
--   each on stand apart), $declared (names of attributes, with the unit separator between), $first_minute and
--   $minute_classes (a minute since 1970, and between commas a mark for it and each later one; calls of minutes with
--   different marks stand apart), $since, $until, $service, $tenant, $model, $task_type, $use_case.
WITH turns AS (
    SELECT
        provider, use_case_id, request_model, cache_read_tokens,
        least(cache_read_tokens, coalesce(lag(input_tokens) OVER (
            PARTITION BY hash(coalesce(conversation_id, trace_id), request_model) ORDER BY start_time
        ), 0)) AS warm_read_tokens
    FROM traffic($since, $until, $service, $tenant, $model, $task_type, $use_case)
    WHERE hash(coalesce(conversation_id, trace_id)) % coalesce($every, 1)::BIGINT = 0
),
warm AS (
    SELECT
        provider, use_case_id, request_model,
        sum(warm_read_tokens)::DOUBLE / nullif(sum(cache_read_tokens), 0)::DOUBLE AS share
    FROM turns
    GROUP BY ALL
),
marked AS (
    SELECT
        *,
        hash(coalesce(conversation_id, trace_id)) AS conversation,
        coalesce(
            cache_read_tokens >= 0 AND cache_write_1h_tokens >= 0 AND cache_write_tokens >= cache_write_1h_tokens
            AND reasoning_tokens >= 0 AND web_searches >= 0
            AND input_tokens >= cache_read_tokens + cache_write_tokens AND output_tokens >= reasoning_tokens,
            false
        ) AS sound,
        CASE WHEN $sizes IS NOT NULL THEN len(list_filter(
            string_split($sizes, ','), lambda least: least::BIGINT <= coalesce(input_tokens, 0)
        )) END AS size_class,
        CASE WHEN $minute_classes IS NOT NULL THEN list_extract(
            string_split($minute_classes, ','),
            greatest(epoch_ns(start_time) // 60_000_000_000 - $first_minute::BIGINT + 1, 0)
        ) END AS minute_class,
        CASE WHEN $declared IS NOT NULL THEN nullif(array_to_string(list_filter(
            TRY_CAST(attributes."tierwise.use_case.attributes" AS VARCHAR[]),
            lambda item: list_contains(string_split($declared, chr(31)), split_part(item, '=', 1))
        ), chr(31)), '') END AS declared_attributes
    FROM traffic($since, $until, $service, $tenant, $model, $task_type, $use_case)
),
cells AS (
    SELECT
        max(start_time)::TIMESTAMP AS start_time,
        count(*) AS calls,
        provider, operation, request_model, requested_model, service_tier, task_type, use_case_id, use_case_name,
        observed_task_type, observed_use_case_id, observed_use_case_name, decision,
        CASE WHEN $units IS NULL THEN conversation ELSE conversation % $units::BIGINT END AS unit,
        (sum(input_tokens) FILTER (sound))::BIGINT AS input_tokens,
        (sum(output_tokens) FILTER (sound))::BIGINT AS output_tokens,
        sum(cache_read_tokens)::BIGINT AS cache_read_tokens,
        sum(cache_write_tokens)::BIGINT AS cache_write_tokens,
        sum(cache_write_1h_tokens)::BIGINT AS cache_write_1h_tokens,
        sum(reasoning_tokens)::BIGINT AS reasoning_tokens,
        sum(web_searches)::BIGINT AS web_searches,
        sum(cost_usd)::DECIMAL(18, 12) AS cost_usd,
        max(input_tokens) AS largest_input_tokens,
        max(output_tokens) AS largest_output_tokens,
        CASE WHEN $detail THEN complexity END AS complexity,
        CASE WHEN $detail THEN tenant END AS tenant,
        CASE WHEN $detail THEN policy_version END AS policy_version,
        CASE WHEN $detail THEN rule_id END AS rule_id,
        CASE WHEN $detail THEN arm END AS arm,
        CASE WHEN $detail THEN propensity END AS propensity,
        CASE WHEN $detail THEN error_type END AS error_type,
        declared_attributes
    FROM marked
    GROUP BY
        provider, operation, request_model, requested_model, service_tier, task_type, use_case_id, use_case_name,
        observed_task_type, observed_use_case_id, observed_use_case_name, decision, unit,
        CASE WHEN $detail THEN complexity END, CASE WHEN $detail THEN tenant END,
        CASE WHEN $detail THEN policy_version END, CASE WHEN $detail THEN rule_id END,
        CASE WHEN $detail THEN arm END, CASE WHEN $detail THEN propensity END,
        CASE WHEN $detail THEN error_type END,
        declared_attributes, size_class, minute_class, sound, cost_usd IS NULL,
        CASE WHEN input_tokens > $long_input THEN input_tokens END,
        CASE WHEN $price_changes IS NULL THEN 0 ELSE len(list_filter(
            string_split($price_changes, ','), lambda change: make_timestamp_ns(change::BIGINT) <= marked.start_time
        )) END
)
SELECT cells.*, coalesce(cells.cache_read_tokens * warm.share, 0) AS warm_read_tokens
FROM cells
LEFT JOIN warm
    ON warm.provider = cells.provider AND warm.request_model = cells.request_model
   AND warm.use_case_id IS NOT DISTINCT FROM cells.use_case_id
ORDER BY cells.start_time, unit, cells.request_model, requested_model, cells.use_case_id;
