-- One row a service and instrumentation that calls arrive from, newest first.
--   service_name, instrumentation, calls, newest_call_time (UTC)
-- Parameters: $since, $until.
SELECT
    service_name, instrumentation, sum(calls)::BIGINT AS calls, max(newest_time)::TIMESTAMP AS newest_call_time
FROM selected_cells($since, $until, NULL, NULL, NULL, NULL, NULL, $rolled_from, $rolled_until)
WHERE NOT shadow AND answered
GROUP BY ALL
ORDER BY newest_call_time DESC, service_name, instrumentation;
