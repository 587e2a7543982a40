-- One row: when the oldest of the newest calls of the user's traffic began.
--   calls (so many there are, at most as many as asked for), oldest_time (UTC; NULL without calls), oldest_ns (the same,
--   nanoseconds since 1970)
-- Parameters: $calls (how many; NULL is all), $since, $until, $service, $tenant, $model, $task_type, $use_case.
WITH newest AS (
    SELECT start_time
    FROM traffic($since, $until, $service, $tenant, $model, $task_type, $use_case)
    ORDER BY start_time DESC
    LIMIT coalesce($calls, 9223372036854775807)
)
SELECT count(*) AS calls, min(start_time)::TIMESTAMP AS oldest_time, epoch_ns(min(start_time)) AS oldest_ns FROM newest;
