-- One row a shadow call and the call it shadows, whether scored or not: what length and tokenizer ratios are measured
-- on. Only primaries that the requested (strong) model answered; the filters look at the primary. Oldest first.
--   start_time (UTC), trace_id, span_id, shadow_trace_id, shadow_span_id, use_case_id, use_case_name, task_type,
--   complexity, tenant, conversation_key (the conversation, else the trace), shadow_propensity, policy_version (in force
--   at the primary), provider, and of both, prefixed strong_ and weak_: provider, model, response_model, input_tokens,
--   output_tokens, cache_read_tokens, cache_write_tokens, cost_usd, price_version, duration_s, error_type,
--   observed_task_type, observed_use_case_id, observed_use_case_name: what the calls themselves say, and rules match on;
--   declared_attributes (of the primary: name=value, with the unit separator between);
--   prefixed weak_ alone: failed_checks (structural checks that the answer failed, between blanks; NULL: none was made)
-- Parameters: $since, $until, $service, $tenant, $model, $task_type, $use_case.
WITH verdicts AS (
    SELECT trace_id, span_id, coalesce(string_agg(name, ' ' ORDER BY name) FILTER (score < 0.5), '') AS failed_checks
    FROM (
        SELECT trace_id, span_id, name, arg_max(score, time) AS score
        FROM evaluations
        WHERE score IS NOT NULL AND source = 'structural'
        GROUP BY ALL
    )
    GROUP BY trace_id, span_id
),
weak AS MATERIALIZED (
    -- The few shadow calls come first, and with them the few primaries of the many calls that there are.
    SELECT
        trace_id, span_id, shadow_of_trace_id, shadow_of_span_id, shadow_propensity, provider, request_model,
        response_model, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, cost_usd, price_version,
        duration_s, error_type
    FROM llm_calls
    WHERE shadow_of_span_id IS NOT NULL
),
strong AS MATERIALIZED (
    SELECT primaries.*
    FROM traffic($since, $until, $service, $tenant, $model, $task_type, $use_case) AS primaries
    SEMI JOIN weak
        ON weak.shadow_of_trace_id = primaries.trace_id AND weak.shadow_of_span_id = primaries.span_id
    WHERE primaries.request_model = primaries.requested_model
)
SELECT
    strong.start_time::TIMESTAMP AS start_time,
    strong.trace_id,
    strong.span_id,
    weak.trace_id AS shadow_trace_id,
    weak.span_id AS shadow_span_id,
    strong.use_case_id,
    strong.use_case_name,
    strong.observed_task_type,
    strong.observed_use_case_id,
    strong.observed_use_case_name,
    strong.task_type,
    strong.complexity,
    array_to_string(TRY_CAST(strong.attributes."tierwise.use_case.attributes" AS VARCHAR[]), chr(31)) AS declared_attributes,
    strong.tenant,
    coalesce(strong.conversation_id, strong.trace_id) AS conversation_key,
    weak.shadow_propensity,
    strong.policy_version,
    strong.provider,
    strong.provider AS strong_provider,
    weak.provider AS weak_provider,
    strong.requested_model AS strong_model,
    weak.request_model AS weak_model,
    strong.response_model AS strong_response_model,
    weak.response_model AS weak_response_model,
    strong.input_tokens AS strong_input_tokens,
    weak.input_tokens AS weak_input_tokens,
    strong.output_tokens AS strong_output_tokens,
    weak.output_tokens AS weak_output_tokens,
    strong.cache_read_tokens AS strong_cache_read_tokens,
    weak.cache_read_tokens AS weak_cache_read_tokens,
    strong.cache_write_tokens AS strong_cache_write_tokens,
    weak.cache_write_tokens AS weak_cache_write_tokens,
    strong.cost_usd AS strong_cost_usd,
    weak.cost_usd AS weak_cost_usd,
    strong.price_version AS strong_price_version,
    weak.price_version AS weak_price_version,
    strong.duration_s AS strong_duration_s,
    weak.duration_s AS weak_duration_s,
    strong.error_type AS strong_error_type,
    weak.error_type AS weak_error_type,
    verdicts.failed_checks AS weak_failed_checks
FROM strong
JOIN weak ON weak.shadow_of_trace_id = strong.trace_id AND weak.shadow_of_span_id = strong.span_id
LEFT JOIN verdicts ON verdicts.trace_id = weak.trace_id AND verdicts.span_id = weak.span_id
ORDER BY strong.start_time, strong.trace_id, strong.span_id, weak.span_id;
