-- One row a provider, model sent and service tier of the user's traffic: how much of it there is, and from when.
--   provider, request_model, service_tier, calls, conversations (about; the trace counts where there is none),
--   oldest_time, newest_time (UTC)
-- Parameters: $since, $until, $service, $tenant, $model, $task_type, $use_case.
SELECT
    provider, request_model, service_tier, count(*) AS calls,
    approx_count_distinct(coalesce(conversation_id, trace_id)) AS conversations,
    min(start_time)::TIMESTAMP AS oldest_time, max(start_time)::TIMESTAMP AS newest_time
FROM traffic($since, $until, $service, $tenant, $model, $task_type, $use_case)
GROUP BY ALL
ORDER BY calls DESC, provider, request_model, service_tier;
