-- The texts of one pair, as far as they were captured: JSON of the GenAI conventions' messages, NULL where there is none.
--   instructions, input_messages, and of both answers, prefixed strong_ and weak_: output
-- Parameters: $trace_id, $span_id, $shadow_trace_id, $shadow_span_id.
SELECT
    CAST(strong.attributes."gen_ai.system_instructions" AS VARCHAR) AS instructions,
    CAST(strong.attributes."gen_ai.input.messages" AS VARCHAR) AS input_messages,
    CAST(strong.attributes."gen_ai.output.messages" AS VARCHAR) AS strong_output,
    CAST(weak.attributes."gen_ai.output.messages" AS VARCHAR) AS weak_output
FROM llm_calls AS strong
JOIN llm_calls AS weak ON weak.trace_id = $shadow_trace_id AND weak.span_id = $shadow_span_id
WHERE strong.trace_id = $trace_id AND strong.span_id = $span_id;
