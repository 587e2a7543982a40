-- One row a model sent and kind of token that it used, dearest model first: what the tokens were, and what each kind cost.
--   provider, model, model_rank (1 is the dearest), kind (fresh input | cache read | cache write | output | reasoning),
--   kind_rank, tokens, share (of the model's tokens), cost_usd (NULL when none is priced; reasoning is billed within
--   output and has none of its own)
-- Parameters: $models (how many; NULL is 8), $since, $until, $service, $tenant, $model, $task_type, $use_case.
WITH models AS (
    SELECT
        provider,
        request_model AS model,
        sum(fresh_input_tokens) AS fresh_input,
        sum(cache_read_tokens) AS cache_read,
        sum(cache_write_tokens) AS cache_write,
        sum(plain_output_tokens) AS output,
        sum(reasoning_tokens) AS reasoning,
        sum(cost_input_usd) AS cost_input_usd,
        sum(cost_cache_read_usd) AS cost_cache_read_usd,
        sum(cost_cache_write_usd) AS cost_cache_write_usd,
        sum(cost_output_usd) AS cost_output_usd,
        row_number() OVER (ORDER BY sum(cost_usd) DESC NULLS LAST, sum(calls) DESC, request_model) AS model_rank
    FROM selected_cells(
        $since, $until, $service, $tenant, $model, $task_type, $use_case, $rolled_from, $rolled_until
    )
    WHERE NOT shadow
    GROUP BY provider, request_model
    QUALIFY model_rank <= coalesce($models, 8)
),
kinds AS (
    SELECT provider, model, model_rank, 'fresh input' AS kind, 1 AS kind_rank, fresh_input AS tokens,
           cost_input_usd AS cost_usd FROM models
    UNION ALL
    SELECT provider, model, model_rank, 'cache read', 2, cache_read, cost_cache_read_usd FROM models
    UNION ALL
    SELECT provider, model, model_rank, 'cache write', 3, cache_write, cost_cache_write_usd FROM models
    UNION ALL
    SELECT provider, model, model_rank, 'output', 4, output, cost_output_usd FROM models
    UNION ALL
    SELECT provider, model, model_rank, 'reasoning', 5, reasoning, NULL FROM models
)
SELECT
    provider, model, model_rank::BIGINT AS model_rank, kind, kind_rank, tokens::BIGINT AS tokens,
    tokens::DOUBLE / sum(tokens) OVER (PARTITION BY provider, model)::DOUBLE AS share,
    cost_usd
FROM kinds
WHERE tokens > 0
ORDER BY model_rank, kind_rank;
