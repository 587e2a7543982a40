-- One row a use case as it is counted, dearest first, with what people said about it.
--   use_case_id, label (its name, else its id), task_type (the newest), task_source (tag | use_case | inferred | label),
--   models (sent, dearest first), model_count, tenants (how many), calls, priced_calls, spend_usd (NULL when none is
--   priced), spend_share (of all selected spend, calls without a use case included), first_call_time, newest_call_time
--   (UTC), observed (the use cases that its calls name), excluded (from recommendations), split_by, last_edit (number of
--   the newest edit in force; NULL: none), use_cases (how many there are in all)
-- Parameters: $limit (NULL is 500), $since, $until, $service, $tenant, $model, $task_type, $use_case.
WITH by_model AS (
    SELECT
        use_case_id, request_model,
        arg_max(use_case_name, newest_time) AS use_case_name,
        arg_max(task_type, newest_time) AS task_type,
        arg_max(task_source, newest_time) AS task_source,
        sum(calls)::BIGINT AS calls, coalesce(sum(calls) FILTER (priced), 0)::BIGINT AS priced_calls, sum(spend_usd) AS spend_usd,
        list(DISTINCT tenant) AS tenants, list(DISTINCT observed_use_case_id) AS observed,
        min(first_time) AS first_time, max(newest_time) AS newest_time
    FROM selected_cells(
        $since, $until, $service, $tenant, $model, $task_type, $use_case, $rolled_from, $rolled_until
    )
    WHERE NOT shadow AND answered
    GROUP BY use_case_id, request_model
),
totals AS (
    SELECT
        use_case_id,
        arg_max(use_case_name, newest_time) AS use_case_name,
        arg_max(task_type, newest_time) AS task_type,
        arg_max(task_source, newest_time) AS task_source,
        list(request_model ORDER BY spend_usd DESC NULLS LAST, calls DESC, request_model) AS models,
        count(*) AS model_count,
        len(list_distinct(flatten(list(tenants)))) AS tenants,
        sum(calls)::BIGINT AS calls,
        sum(priced_calls)::BIGINT AS priced_calls,
        sum(spend_usd) AS spend_usd,
        list_sort(list_distinct(flatten(list(observed)))) AS observed,
        min(first_time) AS first_time,
        max(newest_time) AS newest_time
    FROM by_model
    GROUP BY use_case_id
),
shares AS (
    SELECT *, spend_usd::DOUBLE / nullif(sum(spend_usd) OVER (), 0)::DOUBLE AS spend_share FROM totals
),
newest_edits AS (
    SELECT use_case_id, max(id) AS last_edit FROM use_case_edits WHERE undone_at IS NULL GROUP BY use_case_id
)
SELECT
    use_case_id, coalesce(shares.use_case_name, use_case_id) AS label, shares.task_type, task_source, models,
    model_count, tenants, calls, priced_calls, spend_usd, spend_share, first_time::TIMESTAMP AS first_call_time,
    newest_time::TIMESTAMP AS newest_call_time, observed,
    coalesce(said.excluded, whole.excluded, false) AS excluded,
    (SELECT any_value(split_by) FROM use_case_map WHERE list_contains(observed, observed_use_case_id)) AS split_by,
    last_edit, count(*) OVER () AS use_cases
FROM shares
LEFT JOIN use_case_labels AS said USING (use_case_id)
LEFT JOIN use_case_labels AS whole ON whole.use_case_id = split_part(shares.use_case_id, '/', 1)
LEFT JOIN newest_edits USING (use_case_id)
WHERE use_case_id IS NOT NULL
ORDER BY spend_usd DESC NULLS LAST, calls DESC, use_case_id
LIMIT coalesce($limit, 500);
