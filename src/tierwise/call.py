"""The vocabulary: what a call to a model is, and what was decided, paid and judged about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal, TypeVar, dataclass_transform

AttributeValue = str | bool | int | float | Sequence[str]

Kind = TypeVar("Kind")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def record(kind: type[Kind]) -> type[Kind]:
    """A dataclass that is frozen to the type checker only.

    Some of these are made in every call of the user's, and one that is frozen at run time takes three times as long.
    """
    return dataclass(slots=True, unsafe_hash=True)(kind)


@record
class Usage:
    """Tokens of one call. None means the provider did not say; 0 means it said none."""

    input_tokens: int | None = None
    """TOTAL input: fresh tokens, cache reads and cache writes."""
    output_tokens: int | None = None
    """Total output, reasoning included."""
    cache_read_tokens: int = 0
    """Part of input_tokens."""
    cache_write_tokens: int = 0
    """Part of input_tokens, whatever the cache's lifetime."""
    cache_write_5m_tokens: int = 0
    """Part of cache_write_tokens (Anthropic, five-minute cache)."""
    cache_write_1h_tokens: int = 0
    """Part of cache_write_tokens (Anthropic, one-hour cache)."""
    reasoning_tokens: int = 0
    """Part of output_tokens."""
    web_searches: int = 0
    """Billed per search, beside the tokens."""
    units: tuple[tuple[str, int | float], ...] = ()
    """(unit, amount) of everything else a price list bills by, under its name there and sorted by it:
    `input_audio_tokens`, a part of input_tokens, or `audio_seconds`, which is beside them. Amounts are above 0."""
    estimated: bool = False
    """The provider reported no usage; the counts are our estimate."""
    partial: bool = False
    """The stream ended before its usage arrived; the counts cover what was seen."""


@record
class Cost:
    """What one call cost, in USD."""

    input_usd: Decimal
    """Fresh input tokens only."""
    output_usd: Decimal
    cache_read_usd: Decimal = Decimal(0)
    cache_write_usd: Decimal = Decimal(0)
    other_usd: Decimal = Decimal(0)
    """Billed per use rather than per token, such as web searches."""
    price_version: str = ""
    """Which price list: `genai-prices 0.2.3`, or that with `+overrides:<hash>`."""
    source: Literal["provider", "local"] = "local"

    @property
    def total_usd(self) -> Decimal:
        return self.input_usd + self.output_usd + self.cache_read_usd + self.cache_write_usd + self.other_usd


@record
class Request:
    """What a routing rule and a compatibility check see of a call about to be made.

    `body` is the request as it will go on the wire. It is read, never changed and never consumed: a one-shot
    iterator of messages in it stays untouched.
    """

    provider: str
    """`gen_ai.provider.name`: openai, azure.ai.openai, anthropic, aws.bedrock, gcp.vertex_ai …"""
    operation: str
    """`gen_ai.operation.name`: chat, text_completion, embeddings …"""
    api: str
    """The wire surface: chat_completions, responses, messages, completions, embeddings …"""
    model: str
    """What the caller asked for."""
    body: Mapping[str, Any] = field(repr=False)
    """The request body; content never leaves the process through this field."""
    stream: bool = False
    task_type: str = "unknown"
    use_case_id: str = ""
    use_case_name: str | None = None
    tenant: str | None = None
    conversation_id: str | None = None
    complexity: str = "unknown"
    """low | medium | high | unknown."""
    input_tokens_estimate: int = 0
    """From the size of the text, about four characters a token; good to a factor of two."""
    attributes: Mapping[str, str] | None = None
    """What `use_case(attributes=…)` says about the call."""
    at_ns: int | None = None
    """When it is made, in nanoseconds since 1970; None: now."""
    betas: tuple[str, ...] = ()
    """Of the `anthropic-beta` header: features that not every model has."""


@record
class Escalation:
    """Which models may follow within one call, when the answer of the one before will not do."""

    models: tuple[str, ...]
    """After the first, in order; the requested model is the last, and its answer is never checked."""
    checks: tuple[str, ...]
    """Names of `tierwise.checks` that an answer has to pass; one that cannot be decided is passed."""
    check_timeout_s: float = 0.25
    """For each check."""
    patience_s: float | None = None
    """The requested model is started beside the first when that has no accepted answer after so long; None: one model
    at a time."""
    samples: int = 1
    """Answers of the first model to compare, for the `agreement` check; it alone is asked more than once."""


DecisionKind = Literal["unchanged", "routed", "would_route", "refused", "fell_back", "escalated", "rejected"]


@record
class Decision:
    """What the policy did with one call, and why. Recorded on the span whether or not it changed anything."""

    requested_model: str
    sent_model: str
    policy_version: int | None = None
    rule_id: str | None = None
    """The rule that matched; None when none did."""
    arm: Literal["control", "canary", "treated", "holdout"] | None = None
    """treated: sent to the rule's target at full share; canary: the same while share < 1; control: matched, outside the
    share; holdout: kept on the requested model for measuring. None when no rule matched, when the call was not eligible
    (refused, suspended, pinned), and in shadow mode."""
    decision: DecisionKind = "unchanged"
    """would_route: shadow mode; refused: the target cannot serve this request; fell_back: the target failed and another
    model answered; escalated: the answer of the model before did not pass, and this one was handed out; rejected: an
    attempt whose answer was not."""
    propensity: float | None = None
    """Probability, before the draw, of the arm that was drawn; in (0, 1]."""
    reason: str = ""
    """In words, for the person reading the trace."""
    escalation: Escalation | None = field(default=None, compare=False, repr=False)
    """What may follow `sent_model` within this call; not recorded."""

    @property
    def changed(self) -> bool:
        return self.sent_model != self.requested_model


@record
class Attempt:
    """The place of a call among those made for one request of the caller's, who saw the answer of one of them."""

    of: str
    """`<trace id>-<span id>` of the first attempt, itself included."""
    number: int
    """Counted from 1, in the order in which they began."""
    started_after_s: float = 0.0
    """From the caller's request to the beginning of this attempt."""
    rejected_by: str | None = None
    """Why the caller did not get this answer: a check's name, `error`, `incomplete`, `late` (another was faster),
    `sample` (made to compare with) or `cancelled`; None for the one that they got."""
    reason: str = ""
    """The same in words, without a word of the answer."""
    buffered: bool = False
    """A stream was read to its end before its first chunk was handed out."""
    checks: tuple[tuple[str, str], ...] = ()
    """(check, `passed`, `failed` or `undecided`), sorted by name."""
    checks_s: float = 0.0
    """How long the checks took together."""


@record
class Evaluation:
    """One score for one answer."""

    trace_id: str
    span_id: str
    name: str
    """What was judged, such as the use case's check."""
    source: Literal["structural", "check", "judge", "human", "feedback"]
    """In rising order of trust, but for feedback, which is anybody's."""
    score: float | None
    """In [0, 1], 1 is good; None when the evaluator abstained."""
    time_ns: int
    label: str | None = None
    explanation: str | None = None
    response_id: str | None = None


@record
class Call:
    """One billable request to a model, as a span describes it."""

    operation: str
    provider: str
    request_model: str
    """The model actually sent."""
    api: str | None = None
    response_model: str | None = None
    response_id: str | None = None
    finish_reasons: tuple[str, ...] = ()
    """One per choice; `error` for a choice whose reason never arrived."""
    usage: Usage = Usage()
    cost: Cost | None = None
    unpriced_reason: str | None = None
    """Why cost is None; None while it is not."""
    service_tier: str | None = None
    stream: bool = False
    time_to_first_chunk_s: float | None = None
    conversation_id: str | None = None
    server_address: str | None = None
    server_port: int | None = None
    error_type: str | None = None
    task_type: str = "unknown"
    task_confidence: float | None = None
    task_source: str | None = None
    task_sub_tag: str | None = None
    """A finer label within the task type, such as `judge` within classification."""
    complexity: str | None = None
    use_case_id: str | None = None
    use_case_name: str | None = None
    tenant: str | None = None
    decision: Decision | None = None
    attempt: Attempt | None = None
    """None for a call that is the only one made for its request, as nearly all are."""
    shadow_of: str | None = None
    """`<trace id>-<span id>` of the call this one shadows; None for the user's own traffic."""
    shadow_propensity: float | None = None
    parameters: Mapping[str, AttributeValue] = field(default_factory=dict[str, AttributeValue])
    """Request parameters by attribute key (`gen_ai.request.temperature` …)."""
    extra: Mapping[str, AttributeValue] = field(default_factory=dict[str, AttributeValue])
    """Every other attribute of the span, unchanged."""
