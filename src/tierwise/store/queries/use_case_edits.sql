-- One row an edit of a use case, newest first.
--   id, kind (rename | label | exclude | merge | split), use_case_id, value, who, why, created_at (UTC), undone_at (UTC;
--   NULL: in force), undone_by
-- Parameters: none.
SELECT id, kind, use_case_id, value, who, why, created_at::TIMESTAMP AS created_at, undone_at::TIMESTAMP AS undone_at,
       undone_by
FROM use_case_edits
ORDER BY id DESC;
