-- One row a service that has decided about calls: by which version of the policy it did so last.
--   service_name, policy_version, newest_call_time (UTC), calls (by that version)
-- Parameters: $since, $until, $service, $tenant, $model, $task_type, $use_case.
WITH decided AS (
    SELECT service_name, policy_version, start_time
    FROM traffic($since, $until, $service, $tenant, $model, $task_type, $use_case)
    WHERE policy_version IS NOT NULL
),
last AS (
    SELECT service_name, arg_max(policy_version, start_time) AS policy_version, max(start_time) AS newest
    FROM decided
    GROUP BY ALL
)
SELECT last.service_name, last.policy_version, last.newest::TIMESTAMP AS newest_call_time, count(*) AS calls
FROM last
JOIN decided USING (service_name, policy_version)
GROUP BY ALL
ORDER BY last.service_name;
