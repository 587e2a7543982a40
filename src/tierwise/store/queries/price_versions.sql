-- One row a price list that priced calls, shadow calls among them, newest use first.
--   price_version, calls, newest_call_time (UTC)
-- Parameters: $since, $until, $service, $tenant, $model, $task_type, $use_case.
SELECT price_version, sum(calls)::BIGINT AS calls, max(newest_time)::TIMESTAMP AS newest_call_time
FROM selected_cells(
        $since, $until, $service, $tenant, $model, $task_type, $use_case, $rolled_from, $rolled_until
    )
WHERE price_version IS NOT NULL AND price_version <> ''
GROUP BY price_version
ORDER BY newest_call_time DESC, price_version;
