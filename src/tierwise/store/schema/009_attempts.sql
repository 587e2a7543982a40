-- Several calls made for one request of the caller's, as a cascade does: which of them it was, and why the caller did
-- not get its answer. A call with rejected_by was paid for and nobody saw its answer.
ALTER TABLE llm_calls ADD COLUMN attempt BIGINT;              -- from 1; NULL for the only call made for its request
ALTER TABLE llm_calls ADD COLUMN attempt_of_span_id VARCHAR;  -- the first attempt's, in the same trace
ALTER TABLE llm_calls ADD COLUMN rejected_by VARCHAR;         -- a check, error, incomplete, late or sample

-- The user's own traffic, without tierwise's shadow calls: one row a request of the caller's. Where several attempts were
-- made at it, that is the one whose answer, or error, they got, at the cost of all of them.
CREATE OR REPLACE MACRO traffic(
    since := NULL, until := NULL, services := NULL, tenants := NULL, models := NULL, task_types := NULL, use_cases := NULL
) AS TABLE
WITH rejected AS (
    SELECT trace_id AS rejected_trace_id, attempt_of_span_id AS rejected_span_id, sum(cost_usd) AS rejected_usd
    FROM llm_calls
    WHERE rejected_by IS NOT NULL
    GROUP BY ALL
)
SELECT selected.* REPLACE (
    CASE
        WHEN rejected_usd IS NULL THEN cost_usd
        WHEN error_type IS NOT NULL THEN coalesce(cost_usd, 0) + rejected_usd
        ELSE cost_usd + rejected_usd
    END::DECIMAL(18, 12) AS cost_usd
)
FROM selected_calls(
    since := since, until := until, services := services, tenants := tenants, models := models,
    task_types := task_types, use_cases := use_cases
) AS selected
LEFT JOIN rejected ON rejected_trace_id = trace_id AND rejected_span_id = attempt_of_span_id
WHERE shadow_of_span_id IS NULL AND rejected_by IS NULL;

-- Every call that the user's own traffic was billed for, at its own cost: one row an attempt.
CREATE MACRO paid_calls(
    since := NULL, until := NULL, services := NULL, tenants := NULL, models := NULL, task_types := NULL, use_cases := NULL
) AS TABLE
SELECT * FROM selected_calls(
    since := since, until := until, services := services, tenants := tenants, models := models,
    task_types := task_types, use_cases := use_cases
)
WHERE shadow_of_span_id IS NULL;
