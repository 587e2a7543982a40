-- One row a use case, model sent, reasoning effort as sent, and group of conversations.
--   provider, request_model, use_case_id, effort (NULL: the request named none), unit (a number), calls,
--   reasoning_tokens, output_tokens
-- Parameters: $units (groups that conversations are dealt into), $since, $until, $service, $tenant, $model, $task_type,
--   $use_case.
SELECT
    provider, request_model, use_case_id,
    CAST(attributes."gen_ai.request.reasoning.level" AS VARCHAR) AS effort,
    hash(coalesce(conversation_id, trace_id)) % $units::BIGINT AS unit,
    count(*) AS calls,
    sum(reasoning_tokens)::BIGINT AS reasoning_tokens,
    sum(output_tokens)::BIGINT AS output_tokens
FROM traffic($since, $until, $service, $tenant, $model, $task_type, $use_case)
WHERE operation IN ('', 'chat') AND use_case_id IS NOT NULL AND priced AND output_tokens IS NOT NULL
GROUP BY ALL
HAVING reasoning_tokens > 0
ORDER BY provider, request_model, use_case_id, effort, unit;
