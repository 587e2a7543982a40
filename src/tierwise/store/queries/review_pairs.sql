-- One row a pair that can be reviewed: a call answered by the requested (strong) model without an error, and its shadow
-- call on a cheaper (weak) one. Oldest first. What is drawn for review depends only on what was known a minute after the
-- shadow call ended, so that later scores do not change a draw.
--   start_time (UTC), trace_id, span_id, shadow_trace_id, shadow_span_id, use_case_id, use_case_name, task_type, tenant,
--   provider, strong_model, weak_model, policy_version and rule_id (in force at the primary), draw (in [0, 1), the same
--   for ever: the pair is drawn when it lies below the pair's probability), disagrees (an evaluation scored the two
--   answers at least a quarter apart within that minute), and of the first verdict that stands: review_verdict,
--   review_propensity, reviewer, reviewed_at (UTC); NULL while there is none
-- Parameters: $settled_ns (the shadow call ended at or before, ns since 1970; NULL: any), $below and $alike_below (only
-- pairs whose draw lies below, those that do not disagree below the latter; NULL: all), $since, $until, $service, $tenant, $model, $task_type, $use_case.
WITH shadow AS MATERIALIZED (
    SELECT
        trace_id,
        span_id,
        shadow_of_trace_id,
        shadow_of_span_id,
        request_model,
        end_time,
        md5_number_lower('review ' || trace_id || span_id)::DOUBLE / 18446744073709551616.0 AS draw
    FROM llm_calls
    WHERE shadow_of_span_id IS NOT NULL AND error_type IS NULL
      AND ($settled_ns IS NULL OR end_time <= make_timestamp_ns($settled_ns::BIGINT))
      AND ($below IS NULL
           OR md5_number_lower('review ' || trace_id || span_id)::DOUBLE / 18446744073709551616.0 < $below::DOUBLE)
),
pair AS MATERIALIZED (
    SELECT
        strong.start_time::TIMESTAMP AS start_time,
        strong.trace_id,
        strong.span_id,
        weak.trace_id AS shadow_trace_id,
        weak.span_id AS shadow_span_id,
        strong.use_case_id,
        strong.use_case_name,
        strong.task_type,
        strong.tenant,
        strong.provider,
        strong.requested_model AS strong_model,
        weak.request_model AS weak_model,
        strong.policy_version,
        strong.rule_id,
        draw,
        epoch_ns(weak.end_time) + 60000000000 AS settled_ns
    FROM traffic($since, $until, $service, $tenant, $model, $task_type, $use_case) AS strong
    JOIN shadow AS weak ON weak.shadow_of_trace_id = strong.trace_id AND weak.shadow_of_span_id = strong.span_id
    WHERE strong.request_model = strong.requested_model AND strong.error_type IS NULL
),
answer AS (
    SELECT trace_id, span_id FROM pair UNION SELECT shadow_trace_id, shadow_span_id FROM pair
),
scores AS (
    SELECT trace_id, span_id, name, source, arg_min(score, time) AS score, epoch_ns(min(time)) AS time_ns
    FROM evaluations SEMI JOIN answer USING (trace_id, span_id)
    WHERE score IS NOT NULL AND source IN ('structural', 'check', 'judge')
    GROUP BY ALL
),
disagreements AS (
    SELECT DISTINCT shadow_trace_id, shadow_span_id
    FROM pair
    JOIN scores AS strong ON strong.trace_id = pair.trace_id AND strong.span_id = pair.span_id
    JOIN scores AS weak
        ON weak.trace_id = pair.shadow_trace_id AND weak.span_id = pair.shadow_span_id
       AND weak.name = strong.name AND weak.source = strong.source
    WHERE abs(strong.score - weak.score) >= 0.25 AND greatest(strong.time_ns, weak.time_ns) <= settled_ns
),
standing AS (
    SELECT
        shadow_trace_id,
        shadow_span_id,
        arg_min(verdict, reviewed_at) AS review_verdict,
        arg_min(propensity, reviewed_at) AS review_propensity,
        arg_min(reviewer, reviewed_at) AS reviewer,
        min(reviewed_at)::TIMESTAMP AS reviewed_at
    FROM reviews
    WHERE undone_at IS NULL
    GROUP BY ALL
)
SELECT
    pair.* EXCLUDE (settled_ns),
    disagreements.shadow_span_id IS NOT NULL AS disagrees,
    review_verdict,
    review_propensity,
    reviewer,
    reviewed_at
FROM pair
LEFT JOIN disagreements USING (shadow_trace_id, shadow_span_id)
LEFT JOIN standing USING (shadow_trace_id, shadow_span_id)
WHERE $alike_below IS NULL OR disagreements.shadow_span_id IS NOT NULL OR draw < $alike_below::DOUBLE
ORDER BY start_time, trace_id, span_id, shadow_span_id;
