-- One row a UTC day, model, kind of token, tenant, use case and service with a cost, in the columns of FOCUS 1.2 (FinOps
-- Open Cost and Usage Specification). Calls without a price have no row: their cost is not known, and not 0.
--   BillingAccountId and BillingAccountName (NULL: the account is the provider's to know), BillingCurrency,
--   BillingPeriodStart, BillingPeriodEnd, ChargePeriodStart, ChargePeriodEnd (UTC), ChargeCategory, ChargeClass,
--   ChargeDescription, ChargeFrequency, BilledCost, EffectiveCost, ContractedCost, ListCost (NULL: a price of one's own
--   hides it), ConsumedQuantity, ConsumedUnit, PricingCategory, PricingQuantity, PricingUnit, ContractedUnitPrice,
--   ListUnitPrice, ProviderName, PublisherName, InvoiceIssuerName, ServiceCategory, ServiceSubcategory, ServiceName,
--   SkuId, SkuMeter, SkuPriceId, RegionId, RegionName, ResourceId, ResourceName, ResourceType, SubAccountId and
--   SubAccountName (the tenant), Tags (JSON), x_Calls, x_TaskType, x_UseCaseId, x_UseCaseName, x_PriceVersion
-- Parameters: $since, $until, $service, $tenant, $model, $task_type, $use_case.
WITH days AS (
    SELECT
        date_trunc('day', start_time::TIMESTAMP) AS day, provider, request_model, service_name, tenant, task_type,
        use_case_id, use_case_name, max(price_version) AS price_version, coalesce(service_tier, '') AS service_tier,
        count(*) AS calls,
        sum(greatest(input_tokens - cache_read_tokens - cache_write_tokens, 0))::BIGINT AS input_quantity,
        sum(cost_input_usd) AS input_usd,
        sum(cache_read_tokens)::BIGINT AS cache_read_quantity, sum(cost_cache_read_usd) AS cache_read_usd,
        sum(cache_write_tokens)::BIGINT AS cache_write_quantity, sum(cost_cache_write_usd) AS cache_write_usd,
        sum(output_tokens)::BIGINT AS output_quantity, sum(cost_output_usd) AS output_usd,
        sum(cost_usd - coalesce(cost_input_usd, 0) - coalesce(cost_cache_read_usd, 0)
            - coalesce(cost_cache_write_usd, 0) - coalesce(cost_output_usd, 0)) AS other_usd
    FROM paid_calls($since, $until, $service, $tenant, $model, $task_type, $use_case)
    WHERE cost_usd IS NOT NULL
    GROUP BY ALL
),
meters AS (
    SELECT *, 'Input tokens' AS meter, input_quantity AS quantity, input_usd AS usd FROM days
    UNION ALL
    SELECT *, 'Cached input tokens', cache_read_quantity, cache_read_usd FROM days
    UNION ALL
    SELECT *, 'Cache write tokens', cache_write_quantity, cache_write_usd FROM days
    UNION ALL
    SELECT *, 'Output tokens', output_quantity, output_usd FROM days
    UNION ALL
    SELECT *, 'Other', NULL, other_usd FROM days
)
SELECT
    NULL::VARCHAR AS "BillingAccountId",
    NULL::VARCHAR AS "BillingAccountName",
    'USD' AS "BillingCurrency",
    date_trunc('month', day) AS "BillingPeriodStart",
    date_trunc('month', day) + INTERVAL 1 MONTH AS "BillingPeriodEnd",
    day AS "ChargePeriodStart",
    day + INTERVAL 1 DAY AS "ChargePeriodEnd",
    'Usage' AS "ChargeCategory",
    NULL::VARCHAR AS "ChargeClass",
    meter || ' of ' || request_model AS "ChargeDescription",
    'Usage-Based' AS "ChargeFrequency",
    usd AS "BilledCost",
    usd AS "EffectiveCost",
    usd AS "ContractedCost",
    NULL::DECIMAL(38, 12) AS "ListCost",
    quantity::DECIMAL(38, 6) AS "ConsumedQuantity",
    CASE WHEN quantity IS NOT NULL THEN 'Tokens' END AS "ConsumedUnit",
    'Standard' AS "PricingCategory",
    (quantity / 1e6)::DECIMAL(38, 12) AS "PricingQuantity",
    CASE WHEN quantity IS NOT NULL THEN '1000000 Tokens' END AS "PricingUnit",
    (usd::DOUBLE / nullif(quantity / 1e6, 0))::DECIMAL(38, 12) AS "ContractedUnitPrice",
    NULL::DECIMAL(38, 12) AS "ListUnitPrice",
    provider AS "ProviderName",
    provider AS "PublisherName",
    provider AS "InvoiceIssuerName",
    'AI and Machine Learning' AS "ServiceCategory",
    'Generative AI' AS "ServiceSubcategory",
    provider || ' API' AS "ServiceName",
    provider || '/' || request_model AS "SkuId",
    meter AS "SkuMeter",
    provider || '/' || request_model || '/' || lower(meter) || if(service_tier = '', '', '/' || service_tier)
        AS "SkuPriceId",
    NULL::VARCHAR AS "RegionId",
    NULL::VARCHAR AS "RegionName",
    request_model AS "ResourceId",
    request_model AS "ResourceName",
    'Model' AS "ResourceType",
    tenant AS "SubAccountId",
    tenant AS "SubAccountName",
    json_object('service', service_name, 'tenant', tenant, 'task_type', task_type, 'use_case',
                coalesce(use_case_name, use_case_id))::VARCHAR AS "Tags",
    calls AS "x_Calls",
    task_type AS "x_TaskType",
    use_case_id AS "x_UseCaseId",
    use_case_name AS "x_UseCaseName",
    price_version AS "x_PriceVersion"
FROM meters
WHERE usd <> 0 OR (quantity > 0 AND usd IS NOT NULL)
ORDER BY day, provider, request_model, meter, service_name, tenant, use_case_id, task_type, service_tier;
