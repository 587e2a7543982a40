-- One row a reviewed pair and evaluation: what the first person who decided said (skipped pairs are left out), and what
-- the evaluation first gave each answer. A pair without any other score has one row with a NULL evaluation.
--   reviewed_at (UTC), shadow_trace_id, shadow_span_id, reviewer, verdict, first, reason, propensity, use_case_id,
--   use_case_name, task_type, tenant, complexity, input_tokens, provider, evaluation_name,
--   evaluation_source, and of both, prefixed strong_ and weak_: model, human (what the person gave), score (what the
--   evaluation gave; strong_score is NULL where it looked at the weak answer alone)
-- Parameters: $since, $until (of the call), $service, $tenant, $model, $task_type, $use_case.
WITH standing AS (
    SELECT * FROM reviews WHERE undone_at IS NULL AND verdict <> 'skip'
    QUALIFY row_number() OVER (PARTITION BY shadow_trace_id, shadow_span_id ORDER BY reviewed_at, id) = 1
),
answer AS (
    SELECT trace_id, span_id FROM standing UNION SELECT shadow_trace_id, shadow_span_id FROM standing
),
scores AS (
    SELECT trace_id, span_id, name, source, arg_min(score, time) AS score
    FROM evaluations SEMI JOIN answer USING (trace_id, span_id)
    WHERE score IS NOT NULL AND source <> 'human'
    GROUP BY ALL
)
SELECT
    standing.reviewed_at::TIMESTAMP AS reviewed_at,
    standing.shadow_trace_id,
    standing.shadow_span_id,
    reviewer,
    verdict,
    first,
    reason,
    standing.propensity,
    strong.use_case_id,
    strong.use_case_name,
    strong.task_type,
    strong.tenant,
    strong.complexity,
    strong.input_tokens,
    strong.provider,
    strong.requested_model AS strong_model,
    weak.request_model AS weak_model,
    (verdict IN ('strong', 'both_good'))::INTEGER::DOUBLE AS strong_human,
    (verdict IN ('weak', 'both_good'))::INTEGER::DOUBLE AS weak_human,
    weak_scores.name AS evaluation_name,
    weak_scores.source AS evaluation_source,
    strong_scores.score AS strong_score,
    weak_scores.score AS weak_score
FROM standing
JOIN traffic($since, $until, $service, $tenant, $model, $task_type, $use_case) AS strong USING (trace_id, span_id)
JOIN llm_calls AS weak
    ON weak.trace_id = standing.shadow_trace_id AND weak.span_id = standing.shadow_span_id
LEFT JOIN scores AS weak_scores ON weak_scores.trace_id = weak.trace_id AND weak_scores.span_id = weak.span_id
LEFT JOIN scores AS strong_scores
    ON strong_scores.trace_id = strong.trace_id AND strong_scores.span_id = strong.span_id
   AND strong_scores.name = weak_scores.name AND strong_scores.source = weak_scores.source
ORDER BY standing.reviewed_at, standing.shadow_span_id, evaluation_name, evaluation_source;
