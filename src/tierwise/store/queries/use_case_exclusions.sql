-- One row a use case that people keep out of recommendations.
--   use_case_id (as counted; of one that is split, its parts are meant too)
-- Parameters: none.
SELECT use_case_id FROM use_case_labels WHERE excluded ORDER BY use_case_id;
