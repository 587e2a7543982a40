-- One row a budget, largest first.
--   id, scope (all | tenant | use_case | model), value (whose; '' with scope all), monthly_usd, revision, who, why,
--   updated_at (UTC)
-- Parameters: none.
SELECT id, scope, value, monthly_usd, revision, who, why, updated_at::TIMESTAMP AS updated_at
FROM budgets
ORDER BY monthly_usd DESC, scope, value;
