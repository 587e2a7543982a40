-- One row an alert, newest first.
--   id, kind (budget | forecast | anomaly | drift), subject, message, sql (gives the rows behind it), detail (JSON text),
--   time (UTC)
-- Parameters: $since, $limit (NULL is 200).
SELECT id, kind, subject, message, sql, detail::VARCHAR AS detail, time::TIMESTAMP AS time
FROM alerts
WHERE $since IS NULL OR alerts.time >= make_timestamp_ns($since::BIGINT)
ORDER BY alerts.time DESC, id
LIMIT coalesce($limit, 200);
