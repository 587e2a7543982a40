-- One row a use case that the calls name and that counts as another, or in parts: as what it counts. A use case without
-- a row counts as itself.
--   observed_use_case_id, use_case_id (as which it counts), split_by (tenant | request_model | NULL)
-- Parameters: none.
SELECT observed_use_case_id, use_case_id, split_by FROM use_case_map ORDER BY use_case_id, observed_use_case_id;
