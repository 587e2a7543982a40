-- What judges said about the weak answer of each pair, shown first and shown second: win, tie or loss.
--   use_case_id, provider, strong_model, weak_model, evaluation_name, shown_first, shown_second
-- Parameters: $since, $until (of the call), $service, $tenant, $model, $task_type, $use_case.
SELECT
    strong.use_case_id,
    strong.provider,
    strong.requested_model AS strong_model,
    weak.request_model AS weak_model,
    evaluations.name AS evaluation_name,
    split_part(label, '/', 1) AS shown_first,
    split_part(label, '/', 2) AS shown_second
FROM evaluations
JOIN llm_calls AS weak USING (trace_id, span_id)
JOIN traffic($since, $until, $service, $tenant, $model, $task_type, $use_case) AS strong
    ON strong.trace_id = weak.shadow_of_trace_id AND strong.span_id = weak.shadow_of_span_id
WHERE source = 'judge' AND label LIKE '%/%'
ORDER BY time, weak.span_id, evaluation_name;
