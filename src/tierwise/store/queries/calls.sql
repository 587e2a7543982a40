-- One row a call of the user's traffic, oldest first: every typed column of llm_calls, times UTC in microseconds.
-- Parameters: $since, $until, $service, $tenant, $model, $task_type, $use_case.
SELECT * EXCLUDE (attributes, observed_use_case_id, observed_use_case_name, observed_task_type)
    REPLACE (start_time::TIMESTAMP AS start_time, end_time::TIMESTAMP AS end_time)
FROM traffic($since, $until, $service, $tenant, $model, $task_type, $use_case) AS selected
ORDER BY selected.start_time, trace_id, span_id;
