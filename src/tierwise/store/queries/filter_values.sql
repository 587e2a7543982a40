-- One row a value that a filter can take, most calls first within its filter.
--   filter (service | tenant | model | task_type | use_case), value, label (what to show), calls
-- Parameters: $since, $until.
WITH selected AS MATERIALIZED (
    FROM selected_cells($since, $until, NULL, NULL, NULL, NULL, NULL, $rolled_from, $rolled_until)
    SELECT service_name, tenant, request_model, task_type, use_case_id, use_case_name, newest_time, calls
    WHERE NOT shadow AND answered
)
SELECT 'service' AS filter, service_name AS value, service_name AS label, sum(calls)::BIGINT AS calls
FROM selected GROUP BY ALL
UNION ALL
SELECT 'tenant', tenant, tenant, sum(calls)::BIGINT FROM selected WHERE tenant IS NOT NULL GROUP BY ALL
UNION ALL
SELECT 'model', request_model, request_model, sum(calls)::BIGINT FROM selected GROUP BY ALL
UNION ALL
SELECT 'task_type', task_type, task_type, sum(calls)::BIGINT FROM selected GROUP BY ALL
UNION ALL
SELECT 'use_case', use_case_id, coalesce(arg_max(use_case_name, newest_time), use_case_id), sum(calls)::BIGINT
FROM selected WHERE use_case_id IS NOT NULL GROUP BY use_case_id
ORDER BY filter, calls DESC, value;
