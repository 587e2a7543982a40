-- One row a use case and model sent, dearest first: what tells whether its calls could wait, and what went to waste.
--   provider, request_model, use_case_id, use_case_name (the newest said), calls, priced_calls, spend_usd,
--   streamed_calls, tool_calls (answers that call tools), conversations, failed_calls, failed_usd (billed for them),
--   truncated_calls, truncated_usd (answers cut off at the output limit), limited_calls (with an output limit),
--   largest_limit, largest_output_tokens, reasoning_tokens, output_tokens
-- Parameters: $since, $until, $service, $tenant, $model, $task_type, $use_case.
SELECT
    provider, request_model, use_case_id, arg_max(use_case_name, start_time) AS use_case_name,
    count(*) AS calls,
    count(*) FILTER (priced) AS priced_calls,
    sum(cost_usd) AS spend_usd,
    count(*) FILTER (stream) AS streamed_calls,
    count(*) FILTER (list_has_any(finish_reasons, ['tool_calls', 'tool_use', 'tool_call'])) AS tool_calls,
    count(DISTINCT hash(coalesce(conversation_id, trace_id))) AS conversations,
    count(error_type) AS failed_calls,
    sum(cost_usd) FILTER (error_type IS NOT NULL) AS failed_usd,
    count(*) FILTER (list_has_any(finish_reasons, ['length', 'max_tokens'])) AS truncated_calls,
    sum(cost_usd) FILTER (list_has_any(finish_reasons, ['length', 'max_tokens'])) AS truncated_usd,
    count(TRY_CAST(attributes."gen_ai.request.max_tokens" AS BIGINT)) AS limited_calls,
    max(TRY_CAST(attributes."gen_ai.request.max_tokens" AS BIGINT)) AS largest_limit,
    max(output_tokens) AS largest_output_tokens,
    sum(reasoning_tokens)::BIGINT AS reasoning_tokens,
    sum(output_tokens)::BIGINT AS output_tokens
FROM traffic($since, $until, $service, $tenant, $model, $task_type, $use_case)
WHERE operation IN ('', 'chat', 'text_completion', 'generate_content')
GROUP BY provider, request_model, use_case_id
ORDER BY spend_usd DESC NULLS LAST, use_case_id, request_model;
