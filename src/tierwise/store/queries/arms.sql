-- One row a policy version, rule, arm and use case: what realised savings are computed from.
--   policy_version, rule_id, arm, use_case_id, use_case_name, n (calls), errors, fell_back (calls), priced_calls,
--   cost_usd (sum over priced calls), mean_cost_usd, cost_usd_variance (sample variance; NULL below two priced calls),
--   input_tokens, output_tokens, mean_duration_s, duration_s_p95, scored_calls, mean_score and score_variance (over
--   calls, each the mean of its scores), conversations, first_seen, last_seen (UTC)
-- Parameters: $rule_id (NULL: all), $since, $until, $service, $tenant, $model, $task_type, $use_case.
WITH scores AS (
    SELECT trace_id, span_id, avg(score) AS score FROM evaluations WHERE score IS NOT NULL GROUP BY ALL
)
SELECT
    policy_version,
    rule_id,
    arm,
    use_case_id,
    arg_max(use_case_name, start_time) AS use_case_name,
    count(*) AS n,
    count(error_type) AS errors,
    count(*) FILTER (decision = 'fell_back') AS fell_back,
    count(*) FILTER (priced) AS priced_calls,
    sum(cost_usd) AS cost_usd,
    avg(cost_usd)::DOUBLE AS mean_cost_usd,
    var_samp(cost_usd::DOUBLE) AS cost_usd_variance,
    sum(input_tokens)::BIGINT AS input_tokens,
    sum(output_tokens)::BIGINT AS output_tokens,
    avg(duration_s) AS mean_duration_s,
    quantile_cont(duration_s, 0.95) AS duration_s_p95,
    count(score) AS scored_calls,
    avg(score) AS mean_score,
    var_samp(score) AS score_variance,
    count(DISTINCT coalesce(conversation_id, trace_id)) AS conversations,
    min(start_time)::TIMESTAMP AS first_seen,
    max(start_time)::TIMESTAMP AS last_seen
FROM traffic($since, $until, $service, $tenant, $model, $task_type, $use_case)
LEFT JOIN scores USING (trace_id, span_id)
WHERE arm IS NOT NULL AND ($rule_id IS NULL OR rule_id = $rule_id)
GROUP BY policy_version, rule_id, arm, use_case_id
ORDER BY policy_version, rule_id, arm, use_case_id;
