-- What people decided about use cases, one row a decision. Never deleted: one that is taken back says when and by whom.
CREATE TABLE use_case_edits (
    id BIGINT NOT NULL UNIQUE,
    kind VARCHAR NOT NULL,                   -- rename | label | exclude | merge | split
    use_case_id VARCHAR NOT NULL,            -- whose calls
    value VARCHAR NOT NULL,                  -- name | task type | '' | use case it counts as | tenant or request_model
    who VARCHAR NOT NULL,
    why VARCHAR NOT NULL,
    created_at TIMESTAMP_NS NOT NULL,
    undone_at TIMESTAMP_NS,
    undone_by VARCHAR
);
-- What the edits in force come to: as which use case calls count. Written anew with every edit, from `use_case_edits`.
CREATE TABLE use_case_map (
    observed_use_case_id VARCHAR NOT NULL UNIQUE,
    use_case_id VARCHAR NOT NULL,            -- as which its calls count
    split_by VARCHAR                         -- tenant | request_model: each value of it is a use case of its own
);
-- What the edits in force say about a use case as it is counted: after merging and splitting.
CREATE TABLE use_case_labels (
    use_case_id VARCHAR NOT NULL UNIQUE,
    use_case_name VARCHAR,
    task_type VARCHAR,
    excluded BOOLEAN NOT NULL                -- from recommendations
);
-- Limits on spend a calendar month (UTC). What it covers is a tenant, a use case, a model sent, or everything.
CREATE TABLE budgets (
    id VARCHAR NOT NULL UNIQUE,
    scope VARCHAR NOT NULL,                  -- tenant | use_case | model | all
    value VARCHAR NOT NULL,                  -- whose; '' with scope all
    monthly_usd DECIMAL(18, 6) NOT NULL,
    revision BIGINT NOT NULL,
    who VARCHAR NOT NULL,
    why VARCHAR NOT NULL,
    updated_at TIMESTAMP_NS NOT NULL
);
-- What was found wrong, once a subject and period.
CREATE TABLE alerts (
    id VARCHAR NOT NULL UNIQUE,              -- the same for the same finding, so that it is told once
    kind VARCHAR NOT NULL,                   -- budget | forecast | anomaly | drift
    subject VARCHAR NOT NULL,
    message VARCHAR NOT NULL,
    sql VARCHAR NOT NULL,                    -- gives the rows behind it
    detail JSON NOT NULL,
    time TIMESTAMP_NS NOT NULL
);

-- The calls that the common filters leave; a filter that is NULL or empty lets everything through. Times are
-- nanoseconds since 1970, `until` excluded. A use case is found by its id or by its name. What people said about use
-- cases is applied here, and nowhere else; `observed_…` is what the call itself says.
CREATE OR REPLACE MACRO selected_calls(
    since := NULL, until := NULL, services := NULL, tenants := NULL, models := NULL, task_types := NULL, use_cases := NULL
) AS TABLE
WITH observed AS (
    SELECT
        llm_calls.*,
        coalesce(use_case_map.use_case_id, llm_calls.use_case_id) AS whole_id,
        CASE split_by WHEN 'tenant' THEN coalesce(tenant, 'no tenant') WHEN 'request_model' THEN requested_model END
            AS part
    FROM llm_calls LEFT JOIN use_case_map ON observed_use_case_id = llm_calls.use_case_id
    WHERE (since IS NULL OR start_time >= make_timestamp_ns(since::BIGINT))
      AND (until IS NULL OR start_time < make_timestamp_ns(until::BIGINT))
      AND (coalesce(len(services::VARCHAR[]), 0) = 0 OR list_contains(services::VARCHAR[], service_name))
      AND (coalesce(len(tenants::VARCHAR[]), 0) = 0 OR list_contains(tenants::VARCHAR[], tenant))
      AND (coalesce(len(models::VARCHAR[]), 0) = 0 OR list_contains(models::VARCHAR[], request_model))
),
counted AS (
    SELECT
        observed.* EXCLUDE (whole_id, part)
            REPLACE (
                CASE WHEN part IS NULL THEN whole_id ELSE whole_id || '/' || part END AS use_case_id,
                coalesce(
                    labels_of_part.use_case_name,
                    coalesce(labels.use_case_name, observed.use_case_name, whole_id) || ' · ' || part,
                    labels.use_case_name,
                    observed.use_case_name
                ) AS use_case_name,
                coalesce(labels_of_part.task_type, labels.task_type, observed.task_type) AS task_type,
                CASE WHEN coalesce(labels_of_part.task_type, labels.task_type) IS NOT NULL THEN 'label'
                     ELSE task_source END AS task_source
            ),
        observed.use_case_id AS observed_use_case_id,
        observed.use_case_name AS observed_use_case_name,
        observed.task_type AS observed_task_type
    FROM observed
    LEFT JOIN use_case_labels AS labels ON labels.use_case_id = whole_id
    LEFT JOIN use_case_labels AS labels_of_part ON labels_of_part.use_case_id = whole_id || '/' || part
)
SELECT * FROM counted
WHERE (coalesce(len(task_types::VARCHAR[]), 0) = 0 OR list_contains(task_types::VARCHAR[], task_type))
  AND (coalesce(len(use_cases::VARCHAR[]), 0) = 0 OR list_contains(use_cases::VARCHAR[], use_case_id)
       OR list_contains(use_cases::VARCHAR[], use_case_name));
