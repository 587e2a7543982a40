-- One row a call among those asked for that is stored, whenever it began.
--   span_id
-- Parameters: $spans (span ids, separated by commas).
SELECT DISTINCT span_id
FROM llm_calls
WHERE span_id IN (SELECT unnest(string_split($spans, ',')));
