"""Every attribute key tierwise reads or writes.

`gen_ai.*` follows github.com/open-telemetry/semantic-conventions-genai (client-inference at commit ac48b1f9, token
metrics at 27f82f09; status Development). The constants of the `opentelemetry-semantic-conventions` package are not
used: in 0.66b2 each of its `gen_ai.*` names is marked as moved, and the newer names are absent. Cost attributes follow
that repository's pull request 443. `tierwise.*` is ours.

The text under each key is its row in docs/attributes.md, as `python docs/attributes.py` writes it: what it says | type
| when it is there | requirement level | whose convention it is.
"""

from __future__ import annotations

from typing import Final

SCOPE_NAME: Final = "tierwise"
"""Instrumentation scope of every span, metric and event that tierwise emits | scope | always | — | tierwise"""

# --- who, what, where -------------------------------------------------------------------------------------------------
OPERATION_NAME: Final = "gen_ai.operation.name"
"""What was asked for: `chat`, `text_completion`, `embeddings` … | string | always, from the span's start | required |
semconv"""
PROVIDER_NAME: Final = "gen_ai.provider.name"
"""Who is asked and bills it: `openai`, `anthropic`, `azure.ai.openai`, `aws.bedrock`, `gcp.vertex_ai` …; told by the
client's class, else by the host | string | always, from the span's start | required | semconv"""
SYSTEM_LEGACY: Final = "gen_ai.system"
"""The former name of `gen_ai.provider.name`, which several backends still read | string | always | — | semconv
1.36"""
CONVERSATION_ID: Final = "gen_ai.conversation.id"
"""From `use_case(conversation=…)`, else the `conversation` of a Responses request; never made up | string | known |
conditionally required | semconv"""
OUTPUT_TYPE: Final = "gen_ai.output.type"
"""What the request asks to get: `text`, `json`, `image`, `speech` | string | the request says it | conditionally
required | semconv"""
SERVER_ADDRESS: Final = "server.address"
"""Host of the client's base URL | string | always | recommended | semconv, stable"""
SERVER_PORT: Final = "server.port"
"""Port of the client's base URL | int | always | conditionally required | semconv, stable"""
ERROR_TYPE: Final = "error.type"
"""Class name of the exception that reached the caller, such as `RateLimitError` or `APITimeoutError`; an answer that
reports a failure itself gives its code | string | the call failed | conditionally required | semconv, stable"""

# --- request ----------------------------------------------------------------------------------------------------------
REQUEST_MODEL: Final = "gen_ai.request.model"
"""The model actually SENT: backends price by it. What the caller asked for is `tierwise.route.requested_model` |
string | always, from the span's start | conditionally required | semconv"""
REQUEST_STREAM: Final = "gen_ai.request.stream"
"""Whether the answer is streamed | boolean | streams | conditionally required | semconv"""
REQUEST_TEMPERATURE: Final = "gen_ai.request.temperature"
"""Sampling temperature | double | the request sets it | recommended | semconv"""
REQUEST_TOP_P: Final = "gen_ai.request.top_p"
"""Nucleus sampling | double | the request sets it | recommended | semconv"""
REQUEST_TOP_K: Final = "gen_ai.request.top_k"
"""Anthropic's `top_k`; `top_logprobs` is something else and is not recorded | int | the request sets it |
conditionally required | semconv"""
REQUEST_MAX_TOKENS: Final = "gen_ai.request.max_tokens"
"""`max_tokens`, `max_completion_tokens` or `max_output_tokens` | int | the request sets it | recommended | semconv"""
REQUEST_FREQUENCY_PENALTY: Final = "gen_ai.request.frequency_penalty"
"""Frequency penalty | double | the request sets it | recommended | semconv"""
REQUEST_PRESENCE_PENALTY: Final = "gen_ai.request.presence_penalty"
"""Presence penalty | double | the request sets it | recommended | semconv"""
REQUEST_STOP_SEQUENCES: Final = "gen_ai.request.stop_sequences"
"""Where generation stops | string[] | the request sets it | recommended | semconv"""
REQUEST_SEED: Final = "gen_ai.request.seed"
"""Seed of the sampling | int | the request sets it | conditionally required | semconv"""
REQUEST_CHOICE_COUNT: Final = "gen_ai.request.choice.count"
"""`n`, how many answers are wanted | int | the request sets it, and it is not 1 | conditionally required | semconv"""
REQUEST_REASONING_LEVEL: Final = "gen_ai.request.reasoning.level"
"""`reasoning_effort`, `reasoning.effort` or `output_config.effort`, as sent | string | the request sets it |
recommended | semconv"""
REQUEST_PREVIOUS_RESPONSE_ID: Final = "gen_ai.request.previous_response.id"
"""`previous_response_id` of a Responses request | string | the request sets it | recommended | semconv"""
OPENAI_API_TYPE: Final = "openai.api.type"
"""Which API: `chat_completions`, `responses`, `messages`, `completions`, `embeddings` …; the conventions know the
first two | string | always | recommended | semconv openai"""
OPENAI_REQUEST_SERVICE_TIER: Final = "openai.request.service_tier"
"""Service tier asked for | string | the request sets it | conditionally required | semconv openai"""

# --- response ---------------------------------------------------------------------------------------------------------
RESPONSE_ID: Final = "gen_ai.response.id"
"""The provider's id of the answer | string | the answer has one | recommended | semconv"""
RESPONSE_MODEL: Final = "gen_ai.response.model"
"""The model that says it answered | string | the answer says it | recommended | semconv"""
RESPONSE_FINISH_REASONS: Final = "gen_ai.response.finish_reasons"
"""Why each choice ended, in the provider's words; `error` for one whose reason never came | string[] | there is an
answer | recommended | semconv"""
RESPONSE_TIME_TO_FIRST_CHUNK: Final = "gen_ai.response.time_to_first_chunk"
"""From the request to the first chunk, in seconds | double | streams with a chunk | recommended | semconv"""
OPENAI_RESPONSE_SERVICE_TIER: Final = "openai.response.service_tier"
"""Service tier that served the call | string | the answer says it | conditionally required | semconv openai"""
OPENAI_SYSTEM_FINGERPRINT: Final = "openai.response.system_fingerprint"
"""`system_fingerprint` of the answer | string | the answer says it | recommended | semconv openai"""
ANTHROPIC_RESPONSE_SERVICE_TIER: Final = "anthropic.response.service_tier"
"""Service tier that served the call; `fast` in fast mode | string | the answer says it | — | anthropic SDK"""

# --- usage ------------------------------------------------------------------------------------------------------------
USAGE_INPUT_TOKENS: Final = "gen_ai.usage.input_tokens"
"""TOTAL input: fresh, cache reads and cache writes | int | known or estimated | recommended | semconv"""
USAGE_OUTPUT_TOKENS: Final = "gen_ai.usage.output_tokens"
"""TOTAL output, reasoning included | int | known or estimated | recommended | semconv"""
USAGE_CACHE_READ: Final = "gen_ai.usage.cache_read.input_tokens"
"""Part of the input that a cache served | int | above 0 | recommended | semconv"""
USAGE_CACHE_WRITE: Final = "gen_ai.usage.cache_write.input_tokens"
"""Part of the input that was written to a cache | int | above 0 | recommended | semconv"""
USAGE_CACHE_CREATION_LEGACY: Final = "gen_ai.usage.cache_creation.input_tokens"
"""The former name of the count of cache writes: backends that know only this one price them as fresh input otherwise
| int | above 0 | — | semconv 1.41"""
USAGE_REASONING: Final = "gen_ai.usage.reasoning.output_tokens"
"""Part of the output spent on reasoning | int | above 0 | recommended | semconv"""
ANTHROPIC_CACHE_WRITE_5M: Final = "anthropic.usage.cache_creation.ephemeral_5m_input_tokens"
"""Cache writes that last five minutes | int | above 0 | — | anthropic SDK"""
ANTHROPIC_CACHE_WRITE_1H: Final = "anthropic.usage.cache_creation.ephemeral_1h_input_tokens"
"""Cache writes that last one hour, at a higher price | int | above 0 | — | anthropic SDK"""
USAGE_TEXT_INPUT: Final = "gen_ai.usage.text.input_tokens"
"""Part of the input that is text | int | the provider splits it | recommended | semconv"""
USAGE_TEXT_OUTPUT: Final = "gen_ai.usage.text.output_tokens"
"""Part of the output that is text | int | the provider splits it | recommended | semconv"""
USAGE_TEXT_CACHE_READ: Final = "gen_ai.usage.text.cache_read.input_tokens"
"""Part of the cache reads that is text | int | the provider splits it | recommended | semconv"""
USAGE_IMAGE_INPUT: Final = "gen_ai.usage.image.input_tokens"
"""Part of the input that is images | int | the provider splits it | recommended | semconv"""
USAGE_IMAGE_OUTPUT: Final = "gen_ai.usage.image.output_tokens"
"""Part of the output that is images | int | the provider splits it | recommended | semconv"""
USAGE_IMAGE_CACHE_READ: Final = "gen_ai.usage.image.cache_read.input_tokens"
"""Part of the cache reads that is images | int | the provider splits it | recommended | semconv"""
USAGE_AUDIO_INPUT: Final = "gen_ai.usage.audio.input_tokens"
"""Part of the input that is audio | int | the provider splits it | recommended | semconv"""
USAGE_AUDIO_OUTPUT: Final = "gen_ai.usage.audio.output_tokens"
"""Part of the output that is audio | int | the provider splits it | recommended | semconv"""
USAGE_AUDIO_CACHE_READ: Final = "gen_ai.usage.audio.cache_read.input_tokens"
"""Part of the cache reads that is audio | int | the provider splits it | recommended | semconv"""

# --- cost (semantic-conventions-genai pull request 443) ---------------------------------------------------------------
COST_AMOUNT: Final = "gen_ai.usage.cost.amount"
"""What the call cost in all | double | priced | — | proposal 443"""
COST_CURRENCY: Final = "gen_ai.usage.cost.currency"
"""`USD` | string | priced | — | proposal 443"""
COST_SOURCE: Final = "gen_ai.usage.cost.source"
"""`local`, from the price list, or `provider`, who said it | string | priced | — | proposal 443"""

# --- content: opt-in only ---------------------------------------------------------------------------------------------
SYSTEM_INSTRUCTIONS: Final = "gen_ai.system_instructions"
"""Instructions given beside the conversation | any; JSON on spans | content is captured | opt-in | semconv"""
INPUT_MESSAGES: Final = "gen_ai.input.messages"
"""The conversation that was sent | any; JSON on spans | content is captured | opt-in | semconv"""
OUTPUT_MESSAGES: Final = "gen_ai.output.messages"
"""The answer, its first choice | any; JSON on spans | content is captured | opt-in | semconv"""
TOOL_DEFINITIONS: Final = "gen_ai.tool.definitions"
"""Type and name of each tool offered | any; JSON on spans | content is captured | opt-in | semconv"""
CONTENT_TRUNCATED: Final = "tierwise.content.truncated"
"""The captured content was cut to the size limits | boolean | it was | — | tierwise"""
CONTENT_DROPPED: Final = "tierwise.content.dropped"
"""The content was dropped because the redactor failed | boolean | it was | — | tierwise"""

# --- events of a call: opt-in only ------------------------------------------------------------------------------------
DETAILS_EVENT: Final = "gen_ai.client.inference.operation.details"
"""One call with its content: the span's attributes and the content's, at DEBUG | event | events are on | opt-in |
semconv"""
EXCEPTION_EVENT: Final = "gen_ai.client.operation.exception"
"""What a call failed with, at WARN | event | events are on | recommended | semconv"""
EXCEPTION_TYPE: Final = "exception.type"
"""Full class name of the exception | string | on the exception event | conditionally required | semconv, stable"""
EXCEPTION_MESSAGE: Final = "exception.message"
"""Its message, redacted: it may quote the prompt | string | content goes in events | recommended | semconv, stable"""

# --- evaluation event -------------------------------------------------------------------------------------------------
EVALUATION_EVENT: Final = "gen_ai.evaluation.result"
"""One score of an answer, from a check, a judge, a person or feedback | event | there is a score | — | semconv"""
EVALUATION_NAME: Final = "gen_ai.evaluation.name"
"""What was judged | string | always | required | semconv"""
EVALUATION_SCORE_VALUE: Final = "gen_ai.evaluation.score.value"
"""In [0, 1], 1 is good | double | the evaluator did not abstain | conditionally required | semconv"""
EVALUATION_SCORE_LABEL: Final = "gen_ai.evaluation.score.label"
"""The score in a word | string | given | conditionally required | semconv"""
EVALUATION_EXPLANATION: Final = "gen_ai.evaluation.explanation"
"""Why, in words | string | given | recommended | semconv"""
EVALUATION_SOURCE: Final = "tierwise.evaluation.source"
"""`structural`, `check`, `judge`, `human` or `feedback`, in rising order of trust but for the last, which is
anybody's | string | always | — | tierwise"""

# --- metrics ----------------------------------------------------------------------------------------------------------
METRIC_TOKEN_USAGE: Final = "gen_ai.client.token.usage"
"""Tokens of a call, by `gen_ai.token.type` | histogram, {token} | usage is known | recommended | semconv 1.41"""
METRIC_OPERATION_DURATION: Final = "gen_ai.client.operation.duration"
"""From the request to the end of the answer; with `error.type` for a failed call | histogram, s | always | required |
semconv 1.41"""
METRIC_TIME_TO_FIRST_CHUNK: Final = "gen_ai.client.operation.time_to_first_chunk"
"""From the request to the first chunk | histogram, s | streams | recommended | semconv 1.41"""
METRIC_COST: Final = "tierwise.cost"
"""Cost of calls, by task type and use case name as well | counter, USD | priced | — | tierwise"""
TOKEN_TYPE: Final = "gen_ai.token.type"
"""`input` or `output` | string | on token usage | required | semconv 1.41"""

# --- ours -------------------------------------------------------------------------------------------------------------
TASK_TYPE: Final = "tierwise.task.type"
"""What the call is for: `extraction`, `classification`, `summarization` …; `unknown` when nothing says it | string |
always | — | tierwise"""
TASK_CONFIDENCE: Final = "tierwise.task.confidence"
"""Of the task type, in [0, 1] | double | inferred | — | tierwise"""
TASK_SOURCE: Final = "tierwise.task.source"
"""How the task type is known: `tag`, `use_case` or `inferred` | string | known | — | tierwise"""
TASK_SUB_TAG: Final = "tierwise.task.sub_tag"
"""A finer label within the task type, such as `judge` within classification | string | inferred | — | tierwise"""
COMPLEXITY_BAND: Final = "tierwise.complexity.band"
"""`low`, `medium`, `high` or `unknown` | string | always | — | tierwise"""
USE_CASE_ID: Final = "tierwise.use_case.id"
"""Of the calls that share a prompt template: a hash of its static parts, or of the declared name | string | always |
— | tierwise"""
USE_CASE_NAME: Final = "tierwise.use_case.name"
"""As declared by `use_case(…)` | string | declared | — | tierwise"""
USE_CASE_ATTRIBUTES: Final = "tierwise.use_case.attributes"
"""What `use_case(attributes=…)` says, each as `name=value`, in order of the names | string[] | declared | — |
tierwise"""
TENANT: Final = "tierwise.tenant"
"""For whom the call was made, as declared | string | declared | — | tierwise"""

COST_INPUT_USD: Final = "tierwise.cost.input_usd"
"""Fresh input's part of the cost | double | priced and above 0 | — | tierwise"""
COST_OUTPUT_USD: Final = "tierwise.cost.output_usd"
"""Output's part of the cost | double | priced and above 0 | — | tierwise"""
COST_CACHE_READ_USD: Final = "tierwise.cost.cache_read_usd"
"""Cache reads' part of the cost | double | priced and above 0 | — | tierwise"""
COST_CACHE_WRITE_USD: Final = "tierwise.cost.cache_write_usd"
"""Cache writes' part of the cost | double | priced and above 0 | — | tierwise"""
COST_OTHER_USD: Final = "tierwise.cost.other_usd"
"""What is billed per use rather than per token, such as web searches | double | priced and above 0 | — | tierwise"""
COST_STATED_USD: Final = "tierwise.cost.stated_usd"
"""What the log or instrumentation that the call comes from says it cost, kept beside our own figure | double | it says
so | — | tierwise"""
COST_REPORTED_USD: Final = "tierwise.cost.reported_usd"
"""What another instrumentation said the call cost, where the price list gives another figure | double | written by the
collector, where they differ | — | tierwise"""
PRICE_VERSION: Final = "tierwise.price.version"
"""Which price list, with a hash of your overrides | string | priced | — | tierwise"""
PRICED: Final = "tierwise.priced"
"""Whether the cost is known; an unknown cost is absent, never 0 | boolean | always | — | tierwise"""
UNPRICED_REASON: Final = "tierwise.unpriced.reason"
"""Why the cost is not known | string | not priced | — | tierwise"""

ROUTE_POLICY_VERSION: Final = "tierwise.route.policy_version"
"""Version of the policy that decided | int | a policy is loaded | — | tierwise"""
ROUTE_RULE_ID: Final = "tierwise.route.rule_id"
"""The rule that matched | string | a rule matched | — | tierwise"""
ROUTE_ARM: Final = "tierwise.route.arm"
"""`treated`, `canary`, `control` or `holdout` | string | a rule assigned one | — | tierwise"""
ROUTE_REQUESTED_MODEL: Final = "tierwise.route.requested_model"
"""What the caller asked for | string | a policy is loaded | — | tierwise"""
ROUTE_DECISION: Final = "tierwise.route.decision"
"""`unchanged`, `routed`, `would_route`, `refused`, `fell_back`, `escalated`, or `rejected` for an attempt whose answer
was not handed out | string | a policy is loaded | — | tierwise"""
ROUTE_PROPENSITY: Final = "tierwise.route.propensity"
"""Probability of the arm before it was drawn, in (0, 1] | double | drawn | — | tierwise"""
ROUTE_REASON: Final = "tierwise.route.reason"
"""Why, in words | string | a policy is loaded | — | tierwise"""

ATTEMPT_OF: Final = "tierwise.attempt.of"
"""`<trace id>-<span id>` (hex) of the first of the attempts that one request of the caller's took, itself included |
string | cascades and speculation | — | tierwise"""
ATTEMPT_NUMBER: Final = "tierwise.attempt.number"
"""Which of them this is, from 1 | int | cascades and speculation | — | tierwise"""
ATTEMPT_ACCEPTED: Final = "tierwise.attempt.accepted"
"""Whether the caller got this answer, or this error; of the attempts at one request it is true once | boolean |
cascades and speculation | — | tierwise"""
ATTEMPT_REJECTED_BY: Final = "tierwise.attempt.rejected_by"
"""Why not: the name of a check, `error`, `incomplete`, `late`, `sample` or `cancelled` | string | not accepted | — |
tierwise"""
ATTEMPT_REASON: Final = "tierwise.attempt.reason"
"""The same in words | string | not accepted | — | tierwise"""
ATTEMPT_STARTED_AFTER: Final = "tierwise.attempt.started_after_s"
"""From the caller's request to the beginning of this attempt, in seconds; what the caller waited is this and the
attempt's own duration | double | cascades and speculation | — | tierwise"""
ATTEMPT_BUFFERED: Final = "tierwise.attempt.buffered"
"""The stream was read to its end, for its checks, before its first chunk was handed out | boolean | it was | — |
tierwise"""
ATTEMPT_CHECKS: Final = "tierwise.attempt.checks_s"
"""How long the checks of the answer took together, in seconds | double | it was checked | — | tierwise"""
CHECK_PREFIX: Final = "tierwise.check."
"""Before a check's name: what it found, `passed`, `failed` or `undecided` | string | the answer was checked | — |
tierwise"""

SHADOW_OF: Final = "tierwise.shadow.of"
"""`<trace id>-<span id>` (hex) of the call this one shadows, which has a trace of its own so that the user's keeps
its shape and its cost | string | shadow calls | — | tierwise"""
SHADOW_PROPENSITY: Final = "tierwise.shadow.propensity"
"""Probability with which the call was drawn for shadowing | double | shadow calls | — | tierwise"""

USAGE_ESTIMATED: Final = "tierwise.usage.estimated"
"""The provider reported no usage; the counts are estimates from the length of the texts | boolean | it is so | — |
tierwise"""
USAGE_PARTIAL: Final = "tierwise.usage.partial"
"""The answer ended before its usage arrived; the counts cover what was seen | boolean | it is so | — | tierwise"""
USAGE_WEB_SEARCHES: Final = "tierwise.usage.web_searches"
"""Searches billed beside the tokens | int | above 0 | — | tierwise"""
USAGE_UNIT_PREFIX: Final = "tierwise.usage."
"""Before the price list's name of any other unit a call is billed by: `tierwise.usage.audio_seconds` | int or double
| above 0 | — | tierwise"""

INFERENCE_REGION: Final = "tierwise.inference.region"
"""Where the provider says it processed the call, when that may cost more | string | the answer says it | — |
tierwise"""
BATCH_ID: Final = "tierwise.batch.id"
"""The batch that the call stands for | string | batches | — | tierwise"""
BATCH_REQUESTS: Final = "tierwise.batch.requests"
"""Requests of one model in a batch, which one span stands for | int | batches | — | tierwise"""
