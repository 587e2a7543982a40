-- One row a value that a filter can take, most calls first within its filter.
--   filter (service | tenant | model | task_type | use_case), value, label (what to show), calls
-- Parameters: $since, $until.
WITH selected AS MATERIALIZED (
    FROM traffic($since, $until)
    SELECT service_name, tenant, request_model, task_type, use_case_id, use_case_name, start_time
)
SELECT 'service' AS filter, service_name AS value, service_name AS label, count(*) AS calls FROM selected GROUP BY ALL
UNION ALL
SELECT 'tenant', tenant, tenant, count(*) FROM selected WHERE tenant IS NOT NULL GROUP BY ALL
UNION ALL
SELECT 'model', request_model, request_model, count(*) FROM selected GROUP BY ALL
UNION ALL
SELECT 'task_type', task_type, task_type, count(*) FROM selected GROUP BY ALL
UNION ALL
SELECT 'use_case', use_case_id, coalesce(arg_max(use_case_name, start_time), use_case_id), count(*)
FROM selected WHERE use_case_id IS NOT NULL GROUP BY use_case_id
ORDER BY filter, calls DESC, value;
