-- One row a service and instrumentation that calls arrive from, newest first.
--   service_name, instrumentation, calls, newest_call_time (UTC)
-- Parameters: $since, $until.
SELECT service_name, instrumentation, count(*) AS calls, max(start_time)::TIMESTAMP AS newest_call_time
FROM traffic($since, $until)
GROUP BY ALL
ORDER BY newest_call_time DESC, service_name, instrumentation;
