-- One row: what a rule sent to its target, added up.
--   calls, failures (see guard_conversations), recent_calls and recent_failures (since $recent), cost_usd (since $day;
--   attempts whose answer the caller never saw included), unpriced (calls since $day without a price)
-- Parameters: $rule_id, $recent and $day (nanoseconds since 1970), $since, $until, $service, $tenant, $model,
--   $task_type, $use_case.
WITH sent AS (
    SELECT
        *,
        decision <> 'rejected' AND NOT (decision = 'fell_back' AND error_type IS NOT NULL) AS counts,
        decision = 'fell_back' OR error_type IS NOT NULL AS failed
    FROM traffic($since, $until, $service, $tenant, $model, $task_type, $use_case)
    WHERE rule_id = $rule_id AND arm IN ('treated', 'canary')
)
SELECT
    count(*) FILTER (counts) AS calls,
    count(*) FILTER (counts AND failed) AS failures,
    count(*) FILTER (counts AND start_time >= make_timestamp_ns($recent::BIGINT)) AS recent_calls,
    count(*) FILTER (counts AND failed AND start_time >= make_timestamp_ns($recent::BIGINT)) AS recent_failures,
    coalesce(sum(cost_usd) FILTER (start_time >= make_timestamp_ns($day::BIGINT)), 0)::DECIMAL(38, 12) AS cost_usd,
    count(*) FILTER (cost_usd IS NULL AND start_time >= make_timestamp_ns($day::BIGINT)) AS unpriced
FROM sent;
