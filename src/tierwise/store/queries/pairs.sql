-- One row a pair and evaluation: a primary call answered by the requested (strong) model, its shadow call on a cheaper
-- candidate (weak), and the score that an evaluation of the same name and source gave to each. The newest score counts
-- where one was given twice; abstentions are no score. The filters look at the primary. Oldest first.
--   start_time (UTC), scored_at (UTC, when the later of the two was first scored), trace_id, span_id, shadow_trace_id,
--   shadow_span_id, use_case_id, use_case_name, task_type, complexity, tenant, conversation_key (the conversation, else
--   the trace), shadow_propensity, review_propensity (of a person's scores: probability that the pair was drawn for
--   review; else NULL), policy_version (in force at the primary), provider, evaluation_name,
--   evaluation_source, strong_score, weak_score, and of both, prefixed strong_ and weak_: provider, model,
--   response_model, input_tokens, output_tokens, cache_read_tokens, cost_usd, price_version, duration_s,
--   declared_attributes (name=value, with the unit separator between), observed_task_type, observed_use_case_id,
--   observed_use_case_name: what the calls themselves say, and rules match on;
--   prefixed weak_ alone: failed_checks (structural checks that the answer failed, between blanks; NULL: none was made)
-- Parameters: $evaluation and $source (NULL: all), $since, $until, $service, $tenant, $model, $task_type, $use_case.
WITH scores AS (
    SELECT trace_id, span_id, name, source, arg_max(score, time) AS score, min(time) AS first_time
    FROM evaluations
    WHERE score IS NOT NULL
      AND ($evaluation IS NULL OR name = $evaluation)
      AND ($source IS NULL OR source = $source)
    GROUP BY ALL
),
reviewed AS (
    SELECT shadow_trace_id, shadow_span_id, arg_max(propensity, reviewed_at) AS review_propensity
    FROM reviews WHERE undone_at IS NULL AND verdict <> 'skip' GROUP BY ALL
),
verdicts AS (
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
        response_model, input_tokens, output_tokens, cache_read_tokens, cost_usd, price_version, duration_s
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
    greatest(strong_scores.first_time, weak_scores.first_time)::TIMESTAMP AS scored_at,
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
    CASE WHEN strong_scores.source = 'human' AND strong_scores.name = 'review' THEN review_propensity END
        AS review_propensity,
    strong.policy_version,
    strong.provider,
    strong_scores.name AS evaluation_name,
    strong_scores.source AS evaluation_source,
    strong_scores.score AS strong_score,
    weak_scores.score AS weak_score,
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
    strong.cost_usd AS strong_cost_usd,
    weak.cost_usd AS weak_cost_usd,
    strong.price_version AS strong_price_version,
    weak.price_version AS weak_price_version,
    strong.duration_s AS strong_duration_s,
    weak.duration_s AS weak_duration_s,
    verdicts.failed_checks AS weak_failed_checks
FROM strong
JOIN weak ON weak.shadow_of_trace_id = strong.trace_id AND weak.shadow_of_span_id = strong.span_id
JOIN scores AS strong_scores
    ON strong_scores.trace_id = strong.trace_id AND strong_scores.span_id = strong.span_id
JOIN scores AS weak_scores
    ON weak_scores.trace_id = weak.trace_id AND weak_scores.span_id = weak.span_id
   AND weak_scores.name = strong_scores.name AND weak_scores.source = strong_scores.source
LEFT JOIN reviewed ON reviewed.shadow_trace_id = weak.trace_id AND reviewed.shadow_span_id = weak.span_id
LEFT JOIN verdicts ON verdicts.trace_id = weak.trace_id AND verdicts.span_id = weak.span_id
ORDER BY strong.start_time, strong.trace_id, strong.span_id, weak.span_id, evaluation_name, evaluation_source;
