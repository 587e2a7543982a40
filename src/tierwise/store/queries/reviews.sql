-- Every verdict, newest first, with the pair it is about; `undone_at` says that it was taken back.
--   id, trace_id, span_id, shadow_trace_id, shadow_span_id, first, verdict, reason, propensity, shown, reviewer,
--   reviewed_at (UTC), undone_at (UTC), use_case_id, use_case_name, strong_model, weak_model
-- Parameters: $reviewer (NULL: all), $since, $until (of the call), $service, $tenant, $model, $task_type, $use_case.
SELECT
    reviews.* REPLACE (reviewed_at::TIMESTAMP AS reviewed_at, undone_at::TIMESTAMP AS undone_at),
    strong.use_case_id,
    strong.use_case_name,
    strong.requested_model AS strong_model,
    weak.request_model AS weak_model
FROM reviews
JOIN traffic($since, $until, $service, $tenant, $model, $task_type, $use_case) AS strong USING (trace_id, span_id)
JOIN llm_calls AS weak
    ON weak.trace_id = reviews.shadow_trace_id AND weak.span_id = reviews.shadow_span_id
WHERE $reviewer IS NULL OR reviewer = $reviewer
ORDER BY reviews.reviewed_at DESC, id;
