-- One row a score, newest first, with the call it judges where that is stored.
--   time (UTC), trace_id, span_id, name, source, score, label, explanation, response_id, use_case_id, use_case_name,
--   task_type, request_model, is_shadow (NULL when the call is not stored)
-- Parameters: $evaluation, $source, $trace_id (NULL: all), $limit (NULL is 1000).
WITH newest AS (
    SELECT * FROM evaluations
    WHERE ($evaluation IS NULL OR name = $evaluation)
      AND ($source IS NULL OR source = $source)
      AND ($trace_id IS NULL OR trace_id = $trace_id)
    ORDER BY time::TIMESTAMP DESC, trace_id, span_id, name
    LIMIT coalesce($limit, 1000)
)
SELECT
    time::TIMESTAMP AS time, newest.trace_id, newest.span_id, name, source, score, label, explanation,
    newest.response_id, use_case_id, use_case_name, task_type, request_model,
    CASE WHEN llm_calls.span_id IS NULL THEN NULL ELSE shadow_of_span_id IS NOT NULL END AS is_shadow
FROM newest
LEFT JOIN llm_calls USING (trace_id, span_id)
ORDER BY 1 DESC, newest.trace_id, newest.span_id, name;
