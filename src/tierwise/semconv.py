"""Every attribute key tierwise reads or writes.

`gen_ai.*` follows github.com/open-telemetry/semantic-conventions-genai (client-inference at commit ac48b1f9, token
metrics at 27f82f09; status Development). The constants of the `opentelemetry-semantic-conventions` package are not
used: in 0.66b2 each of its `gen_ai.*` names is marked as moved, and the newer names are absent. Cost attributes follow
that repository's pull request 443. `tierwise.*` is ours.
"""

from __future__ import annotations

from typing import Final

SCOPE_NAME: Final = "tierwise"

# --- who, what, where -------------------------------------------------------------------------------------------------
OPERATION_NAME: Final = "gen_ai.operation.name"
PROVIDER_NAME: Final = "gen_ai.provider.name"
SYSTEM_LEGACY: Final = "gen_ai.system"
CONVERSATION_ID: Final = "gen_ai.conversation.id"
OUTPUT_TYPE: Final = "gen_ai.output.type"
SERVER_ADDRESS: Final = "server.address"
SERVER_PORT: Final = "server.port"
ERROR_TYPE: Final = "error.type"

# --- request ----------------------------------------------------------------------------------------------------------
REQUEST_MODEL: Final = "gen_ai.request.model"
"""The model actually SENT: backends price by it. What the caller asked for is ROUTE_REQUESTED_MODEL."""
REQUEST_STREAM: Final = "gen_ai.request.stream"
REQUEST_TEMPERATURE: Final = "gen_ai.request.temperature"
REQUEST_TOP_P: Final = "gen_ai.request.top_p"
REQUEST_TOP_K: Final = "gen_ai.request.top_k"
REQUEST_MAX_TOKENS: Final = "gen_ai.request.max_tokens"
REQUEST_FREQUENCY_PENALTY: Final = "gen_ai.request.frequency_penalty"
REQUEST_PRESENCE_PENALTY: Final = "gen_ai.request.presence_penalty"
REQUEST_STOP_SEQUENCES: Final = "gen_ai.request.stop_sequences"
REQUEST_SEED: Final = "gen_ai.request.seed"
REQUEST_CHOICE_COUNT: Final = "gen_ai.request.choice.count"
REQUEST_REASONING_LEVEL: Final = "gen_ai.request.reasoning.level"
REQUEST_PREVIOUS_RESPONSE_ID: Final = "gen_ai.request.previous_response.id"
OPENAI_API_TYPE: Final = "openai.api.type"
OPENAI_REQUEST_SERVICE_TIER: Final = "openai.request.service_tier"

# --- response ---------------------------------------------------------------------------------------------------------
RESPONSE_ID: Final = "gen_ai.response.id"
RESPONSE_MODEL: Final = "gen_ai.response.model"
RESPONSE_FINISH_REASONS: Final = "gen_ai.response.finish_reasons"
RESPONSE_TIME_TO_FIRST_CHUNK: Final = "gen_ai.response.time_to_first_chunk"
OPENAI_RESPONSE_SERVICE_TIER: Final = "openai.response.service_tier"
OPENAI_SYSTEM_FINGERPRINT: Final = "openai.response.system_fingerprint"
ANTHROPIC_RESPONSE_SERVICE_TIER: Final = "anthropic.response.service_tier"

# --- usage ------------------------------------------------------------------------------------------------------------
USAGE_INPUT_TOKENS: Final = "gen_ai.usage.input_tokens"
"""TOTAL input: fresh, cache reads and cache writes."""
USAGE_OUTPUT_TOKENS: Final = "gen_ai.usage.output_tokens"
USAGE_CACHE_READ: Final = "gen_ai.usage.cache_read.input_tokens"
USAGE_CACHE_WRITE: Final = "gen_ai.usage.cache_write.input_tokens"
USAGE_CACHE_CREATION_LEGACY: Final = "gen_ai.usage.cache_creation.input_tokens"
USAGE_REASONING: Final = "gen_ai.usage.reasoning.output_tokens"
ANTHROPIC_CACHE_WRITE_5M: Final = "anthropic.usage.cache_creation.ephemeral_5m_input_tokens"
ANTHROPIC_CACHE_WRITE_1H: Final = "anthropic.usage.cache_creation.ephemeral_1h_input_tokens"

# --- cost (semantic-conventions-genai pull request 443) ---------------------------------------------------------------
COST_AMOUNT: Final = "gen_ai.usage.cost.amount"
COST_CURRENCY: Final = "gen_ai.usage.cost.currency"
COST_SOURCE: Final = "gen_ai.usage.cost.source"

# --- content: opt-in only ---------------------------------------------------------------------------------------------
SYSTEM_INSTRUCTIONS: Final = "gen_ai.system_instructions"
INPUT_MESSAGES: Final = "gen_ai.input.messages"
OUTPUT_MESSAGES: Final = "gen_ai.output.messages"

# --- evaluation event -------------------------------------------------------------------------------------------------
EVALUATION_EVENT: Final = "gen_ai.evaluation.result"
EVALUATION_NAME: Final = "gen_ai.evaluation.name"
EVALUATION_SCORE_VALUE: Final = "gen_ai.evaluation.score.value"
EVALUATION_SCORE_LABEL: Final = "gen_ai.evaluation.score.label"
EVALUATION_EXPLANATION: Final = "gen_ai.evaluation.explanation"
EVALUATION_SOURCE: Final = "tierwise.evaluation.source"
"""structural | check | judge | human | feedback, in rising order of trust."""

# --- metrics ----------------------------------------------------------------------------------------------------------
METRIC_TOKEN_USAGE: Final = "gen_ai.client.token.usage"
METRIC_OPERATION_DURATION: Final = "gen_ai.client.operation.duration"
METRIC_TIME_TO_FIRST_CHUNK: Final = "gen_ai.client.operation.time_to_first_chunk"
METRIC_COST: Final = "tierwise.cost"
TOKEN_TYPE: Final = "gen_ai.token.type"

# --- ours -------------------------------------------------------------------------------------------------------------
TASK_TYPE: Final = "tierwise.task.type"
TASK_CONFIDENCE: Final = "tierwise.task.confidence"
TASK_SOURCE: Final = "tierwise.task.source"
COMPLEXITY_BAND: Final = "tierwise.complexity.band"
USE_CASE_ID: Final = "tierwise.use_case.id"
USE_CASE_NAME: Final = "tierwise.use_case.name"
TENANT: Final = "tierwise.tenant"

COST_INPUT_USD: Final = "tierwise.cost.input_usd"
COST_OUTPUT_USD: Final = "tierwise.cost.output_usd"
COST_CACHE_READ_USD: Final = "tierwise.cost.cache_read_usd"
COST_CACHE_WRITE_USD: Final = "tierwise.cost.cache_write_usd"
COST_OTHER_USD: Final = "tierwise.cost.other_usd"
"""Billed per use rather than per token, such as web searches."""
PRICE_VERSION: Final = "tierwise.price.version"
PRICED: Final = "tierwise.priced"
UNPRICED_REASON: Final = "tierwise.unpriced.reason"

ROUTE_POLICY_VERSION: Final = "tierwise.route.policy_version"
ROUTE_RULE_ID: Final = "tierwise.route.rule_id"
ROUTE_ARM: Final = "tierwise.route.arm"
ROUTE_REQUESTED_MODEL: Final = "tierwise.route.requested_model"
ROUTE_DECISION: Final = "tierwise.route.decision"
ROUTE_PROPENSITY: Final = "tierwise.route.propensity"
ROUTE_REASON: Final = "tierwise.route.reason"

SHADOW_OF: Final = "tierwise.shadow.of"
"""`<trace id>-<span id>` (hex) of the call this one shadows; set only on shadow calls, which have a trace of their own
so that the user's trace keeps its shape and its cost."""
SHADOW_PROPENSITY: Final = "tierwise.shadow.propensity"

USAGE_ESTIMATED: Final = "tierwise.usage.estimated"
USAGE_PARTIAL: Final = "tierwise.usage.partial"
USAGE_WEB_SEARCHES: Final = "tierwise.usage.web_searches"
