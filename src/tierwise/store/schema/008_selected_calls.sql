-- The calls that the common filters leave; a filter that is NULL or empty lets everything through. Times are
-- nanoseconds since 1970, `until` excluded. A use case is found by its id or by its name.
CREATE MACRO selected_calls(
    since := NULL, until := NULL, services := NULL, tenants := NULL, models := NULL, task_types := NULL, use_cases := NULL
) AS TABLE
SELECT * FROM llm_calls
WHERE (since IS NULL OR start_time >= make_timestamp_ns(since::BIGINT))
  AND (until IS NULL OR start_time < make_timestamp_ns(until::BIGINT))
  AND (coalesce(len(services::VARCHAR[]), 0) = 0 OR list_contains(services::VARCHAR[], service_name))
  AND (coalesce(len(tenants::VARCHAR[]), 0) = 0 OR list_contains(tenants::VARCHAR[], tenant))
  AND (coalesce(len(models::VARCHAR[]), 0) = 0 OR list_contains(models::VARCHAR[], request_model))
  AND (coalesce(len(task_types::VARCHAR[]), 0) = 0 OR list_contains(task_types::VARCHAR[], task_type))
  AND (coalesce(len(use_cases::VARCHAR[]), 0) = 0 OR list_contains(use_cases::VARCHAR[], use_case_id)
       OR list_contains(use_cases::VARCHAR[], use_case_name));

-- The user's own traffic, without tierwise's shadow calls.
CREATE MACRO traffic(
    since := NULL, until := NULL, services := NULL, tenants := NULL, models := NULL, task_types := NULL, use_cases := NULL
) AS TABLE
SELECT * FROM selected_calls(
    since := since, until := until, services := services, tenants := tenants, models := models,
    task_types := task_types, use_cases := use_cases
)
WHERE shadow_of_span_id IS NULL;
