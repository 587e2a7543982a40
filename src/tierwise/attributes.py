"""A `Call` as span attributes, and back.

`to_attributes()` runs in the app, `from_attributes()` in the collector. They stand side by side so that writer and
reader cannot drift: `from_attributes(to_attributes(call)) == call` for all that a span can carry.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from decimal import Decimal
from operator import attrgetter
from typing import Any

from tierwise import semconv as sc
from tierwise.call import Attempt, AttributeValue, Call, Cost, Decision, Usage

_PARAMETER_KEYS = frozenset(
    {
        sc.REQUEST_TEMPERATURE,
        sc.REQUEST_TOP_P,
        sc.REQUEST_TOP_K,
        sc.REQUEST_MAX_TOKENS,
        sc.REQUEST_FREQUENCY_PENALTY,
        sc.REQUEST_PRESENCE_PENALTY,
        sc.REQUEST_STOP_SEQUENCES,
        sc.REQUEST_SEED,
        sc.REQUEST_CHOICE_COUNT,
        sc.REQUEST_REASONING_LEVEL,
        sc.REQUEST_PREVIOUS_RESPONSE_ID,
        sc.OPENAI_REQUEST_SERVICE_TIER,
        sc.OUTPUT_TYPE,
    }
)

_TEXT_FIELDS: tuple[tuple[str, str], ...] = (
    ("api", sc.OPENAI_API_TYPE),
    ("response_model", sc.RESPONSE_MODEL),
    ("response_id", sc.RESPONSE_ID),
    ("conversation_id", sc.CONVERSATION_ID),
    ("server_address", sc.SERVER_ADDRESS),
    ("server_port", sc.SERVER_PORT),
    ("error_type", sc.ERROR_TYPE),
    ("time_to_first_chunk_s", sc.RESPONSE_TIME_TO_FIRST_CHUNK),
    ("task_confidence", sc.TASK_CONFIDENCE),
    ("task_source", sc.TASK_SOURCE),
    ("task_sub_tag", sc.TASK_SUB_TAG),
    ("complexity", sc.COMPLEXITY_BAND),
    ("use_case_id", sc.USE_CASE_ID),
    ("use_case_name", sc.USE_CASE_NAME),
    ("tenant", sc.TENANT),
    ("shadow_of", sc.SHADOW_OF),
    ("shadow_propensity", sc.SHADOW_PROPENSITY),
    ("unpriced_reason", sc.UNPRICED_REASON),
)
"""Fields that stand on the span under one key and are left out when None."""
_TEXT_KEYS = tuple(key for _, key in _TEXT_FIELDS)
_text_values = attrgetter(*(name for name, _ in _TEXT_FIELDS))

_USAGE_FIELDS: tuple[tuple[str, str], ...] = (
    ("cache_write_5m_tokens", sc.ANTHROPIC_CACHE_WRITE_5M),
    ("cache_write_1h_tokens", sc.ANTHROPIC_CACHE_WRITE_1H),
    ("reasoning_tokens", sc.USAGE_REASONING),
    ("cache_read_tokens", sc.USAGE_CACHE_READ),
    ("cache_write_tokens", sc.USAGE_CACHE_WRITE),
    ("web_searches", sc.USAGE_WEB_SEARCHES),
)
"""Counts that are left out when 0."""

_UNIT_KEYS = {
    "input_text_tokens": sc.USAGE_TEXT_INPUT,
    "output_text_tokens": sc.USAGE_TEXT_OUTPUT,
    "cache_text_read_tokens": sc.USAGE_TEXT_CACHE_READ,
    "input_image_tokens": sc.USAGE_IMAGE_INPUT,
    "output_image_tokens": sc.USAGE_IMAGE_OUTPUT,
    "cache_image_read_tokens": sc.USAGE_IMAGE_CACHE_READ,
    "input_audio_tokens": sc.USAGE_AUDIO_INPUT,
    "output_audio_tokens": sc.USAGE_AUDIO_OUTPUT,
    "cache_audio_read_tokens": sc.USAGE_AUDIO_CACHE_READ,
}
"""Units that the semantic conventions have a name for; the rest stand under a prefix of ours."""

_COST_FIELDS: tuple[tuple[str, str], ...] = (
    ("input_usd", sc.COST_INPUT_USD),
    ("output_usd", sc.COST_OUTPUT_USD),
    ("cache_read_usd", sc.COST_CACHE_READ_USD),
    ("cache_write_usd", sc.COST_CACHE_WRITE_USD),
    ("other_usd", sc.COST_OTHER_USD),
)

USD_PLACES = Decimal("1e-12")
"""Costs are rounded to this step on the span, so that a double carries them without loss."""


def to_attributes(call: Call) -> dict[str, AttributeValue]:
    """The span attributes that describe `call`; what is None or empty is left out."""
    attributes: dict[str, AttributeValue] = {
        sc.OPERATION_NAME: call.operation,
        sc.PROVIDER_NAME: call.provider,
        sc.SYSTEM_LEGACY: call.provider,
        sc.REQUEST_MODEL: call.request_model,
        sc.TASK_TYPE: call.task_type,
        sc.PRICED: call.cost is not None,
        **call.parameters,
        **call.extra,
    }
    for key, value in zip(_TEXT_KEYS, _text_values(call), strict=True):
        if value is not None:
            attributes[key] = value
    if call.stream:
        attributes[sc.REQUEST_STREAM] = True
    if call.finish_reasons:
        attributes[sc.RESPONSE_FINISH_REASONS] = call.finish_reasons
    if call.service_tier is not None:
        key = sc.ANTHROPIC_RESPONSE_SERVICE_TIER if call.api == "messages" else sc.OPENAI_RESPONSE_SERVICE_TIER
        attributes[key] = call.service_tier
    _usage_to_attributes(call.usage, attributes)
    if call.cost is not None:
        _cost_to_attributes(call.cost, attributes)
    if call.decision is not None:
        _decision_to_attributes(call.decision, attributes)
    if call.attempt is not None:
        _attempt_to_attributes(call.attempt, attributes)
    return attributes


def _usage_to_attributes(usage: Usage, attributes: dict[str, AttributeValue]) -> None:
    if usage.input_tokens is not None:
        attributes[sc.USAGE_INPUT_TOKENS] = usage.input_tokens
    if usage.output_tokens is not None:
        attributes[sc.USAGE_OUTPUT_TOKENS] = usage.output_tokens
    for name, key in _USAGE_FIELDS:
        count = getattr(usage, name)
        if count:
            attributes[key] = count
    if usage.cache_write_tokens:
        # Backends that do not know the new name price cache writes as fresh input.
        attributes[sc.USAGE_CACHE_CREATION_LEGACY] = usage.cache_write_tokens
    for unit, amount in usage.units:
        attributes[_UNIT_KEYS.get(unit) or sc.USAGE_UNIT_PREFIX + unit] = amount
    if usage.estimated:
        attributes[sc.USAGE_ESTIMATED] = True
    if usage.partial:
        attributes[sc.USAGE_PARTIAL] = True


def _cost_to_attributes(cost: Cost, attributes: dict[str, AttributeValue]) -> None:
    attributes[sc.COST_AMOUNT] = float(cost.total_usd)
    attributes[sc.COST_CURRENCY] = "USD"
    attributes[sc.COST_SOURCE] = cost.source
    attributes[sc.PRICE_VERSION] = cost.price_version
    for name, key in _COST_FIELDS:
        amount: Decimal = getattr(cost, name)
        if amount:
            attributes[key] = float(amount)


def _decision_to_attributes(decision: Decision, attributes: dict[str, AttributeValue]) -> None:
    attributes[sc.ROUTE_REQUESTED_MODEL] = decision.requested_model
    attributes[sc.ROUTE_DECISION] = decision.decision
    if decision.policy_version is not None:
        attributes[sc.ROUTE_POLICY_VERSION] = decision.policy_version
    if decision.rule_id is not None:
        attributes[sc.ROUTE_RULE_ID] = decision.rule_id
    if decision.arm is not None:
        attributes[sc.ROUTE_ARM] = decision.arm
    if decision.propensity is not None:
        attributes[sc.ROUTE_PROPENSITY] = decision.propensity
    if decision.reason:
        attributes[sc.ROUTE_REASON] = decision.reason


def _attempt_to_attributes(attempt: Attempt, attributes: dict[str, AttributeValue]) -> None:
    attributes[sc.ATTEMPT_OF] = attempt.of
    attributes[sc.ATTEMPT_NUMBER] = attempt.number
    attributes[sc.ATTEMPT_ACCEPTED] = attempt.rejected_by is None
    attributes[sc.ATTEMPT_STARTED_AFTER] = attempt.started_after_s
    if attempt.rejected_by is not None:
        attributes[sc.ATTEMPT_REJECTED_BY] = attempt.rejected_by
    if attempt.reason:
        attributes[sc.ATTEMPT_REASON] = attempt.reason
    if attempt.buffered:
        attributes[sc.ATTEMPT_BUFFERED] = True
    if attempt.checks:
        attributes[sc.ATTEMPT_CHECKS] = attempt.checks_s
    for name, found in attempt.checks:
        attributes[sc.CHECK_PREFIX + name] = found


def from_attributes(attributes: Mapping[str, Any]) -> Call:
    """The call that span attributes in tierwise's own dialect describe.

    Values of a wrong type are ignored field by field: what arrives from the network is not ours to trust.
    """
    found: tuple[dict[str, Any], ...] = ({}, {}, {}, {}, {}, {}, {}, {}, {})
    fields, usage, units, cost, decision, parameters, attempt, checks, extra = found
    for key, value in attributes.items():
        place = _PLACES.get(key)
        if place is not None:
            part, name, read = place
            if (said := read(value)) is not None:
                found[part][name] = said
        elif key.startswith(sc.USAGE_UNIT_PREFIX):
            if (amount := _positive(value)) is not None:
                units[key.removeprefix(sc.USAGE_UNIT_PREFIX)] = amount
        elif key.startswith(sc.CHECK_PREFIX) and value in _FOUND:
            checks[key.removeprefix(sc.CHECK_PREFIX)] = value
        else:
            extra[key] = value
    legacy_provider, legacy_tier = fields.pop("legacy_provider", None), fields.pop("other_tier", None)
    return Call(
        operation=fields.pop("operation", None) or "chat",
        provider=fields.pop("provider", None) or legacy_provider or "unknown",
        request_model=fields.pop("request_model", None) or "unknown",
        service_tier=fields.pop("service_tier", None) or legacy_tier,
        task_type=fields.pop("task_type", None) or "unknown",
        usage=_usage(usage, units),
        cost=_cost(cost),
        decision=_decision(decision, attributes),
        attempt=_attempt(attempt, checks),
        parameters=parameters,
        extra=extra,
        **fields,
    )


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _is_number(value: Any) -> bool:
    """Whether it is a number as OTLP can carry it; JSON can hold integers that no float can."""
    if isinstance(value, bool):
        return False
    return isinstance(value, float) or (isinstance(value, int) and abs(value) < 2**63)


def _number(value: Any) -> float | None:
    return float(value) if _is_number(value) else None


def _count(value: Any) -> int | None:
    return int(value) if _is_number(value) and math.isfinite(value) and value >= 0 else None


def _usage(said: dict[str, Any], units: dict[str, int | float]) -> Usage:
    legacy = said.pop("legacy_cache_write_tokens", 0)
    if legacy and not said.get("cache_write_tokens"):
        said["cache_write_tokens"] = legacy
    return Usage(units=tuple(sorted(units.items())), **said)


def _cost(said: dict[str, Any]) -> Cost | None:
    total: Decimal | None = said.pop("total_usd", None)
    if total is None or said.pop("currency", "USD") != "USD":
        return None
    parts = {name: said.pop(name, _NO_USD) for name, _ in _COST_FIELDS}
    rest = total - sum(parts.values(), _NO_USD)
    if abs(rest) > _ROUNDING_USD:
        # Another writer gave a total without our split: the total is the fact, so the rest is kept under "other".
        parts["other_usd"] += rest
    return Cost(**parts, **said)


_NO_USD = Decimal(0)
_ROUNDING_USD = Decimal("1e-9")


def _amount(value: Any) -> Decimal | None:
    number = _number(value)
    return usd(number) if number is not None and abs(number) < MOST_USD else None


MOST_USD = 1_000_000
"""No call costs as much, and the store's DECIMAL(18, 12) holds no more: such an amount is taken for a mistake."""


def usd(amount: float | Decimal) -> Decimal:
    """`amount` as money: a Decimal at the twelve places the store keeps."""
    return Decimal(str(amount)).quantize(USD_PLACES)


_ARMS = frozenset({"control", "canary", "treated", "holdout"})
_DECISIONS = frozenset({"unchanged", "routed", "would_route", "refused", "fell_back", "escalated", "rejected"})
_FOUND = ("passed", "failed", "undecided")
"""What a check can find; a tuple, because it is asked about values that may not be hashable."""


def _decision(said: dict[str, Any], attributes: Mapping[str, Any]) -> Decision | None:
    if "requested_model" not in said:
        return None
    return Decision(sent_model=_text(attributes.get(sc.REQUEST_MODEL)) or said["requested_model"], **said)


def _attempt(said: dict[str, Any], checks: dict[str, str]) -> Attempt | None:
    if "of" not in said or "number" not in said:
        return None
    return Attempt(checks=tuple(sorted(checks.items())), **said)


def _positive(value: Any) -> int | float | None:
    return value if _is_number(value) and math.isfinite(value) and value > 0 else None


def _one_of(names: frozenset[str]) -> Callable[[Any], str | None]:
    return lambda value: value if isinstance(value, str) and value in names else None


def _reasons(value: Any) -> tuple[str, ...] | None:
    return tuple(map(str, value)) if isinstance(value, list | tuple) else None


def _true(value: Any) -> bool | None:
    return True if value is True else None


def _nothing(_: Any) -> None:
    return None


def _source(value: Any) -> str:
    return "provider" if value == "provider" else "local"


_FIELD, _USAGE, _UNIT, _COST, _DECISION, _PARAMETER, _ATTEMPT = range(7)
_NUMBERS = frozenset({"time_to_first_chunk_s", "task_confidence", "shadow_propensity"})

_PLACES: Mapping[str, tuple[int, str, Callable[[Any], Any]]] = {
    **{
        key: (_FIELD, name, _number if name in _NUMBERS else _count if name == "server_port" else _text)
        for name, key in _TEXT_FIELDS
    },
    **{key: (_USAGE, name, _count) for name, key in _USAGE_FIELDS},
    **{key: (_UNIT, unit, _positive) for unit, key in _UNIT_KEYS.items()},
    **{key: (_COST, name, _amount) for name, key in _COST_FIELDS},
    **{key: (_PARAMETER, key, lambda value: value) for key in _PARAMETER_KEYS},
    sc.OPERATION_NAME: (_FIELD, "operation", _text),
    sc.PROVIDER_NAME: (_FIELD, "provider", _text),
    sc.SYSTEM_LEGACY: (_FIELD, "legacy_provider", _text),
    sc.REQUEST_MODEL: (_FIELD, "request_model", _text),
    sc.REQUEST_STREAM: (_FIELD, "stream", _true),
    sc.RESPONSE_FINISH_REASONS: (_FIELD, "finish_reasons", _reasons),
    sc.OPENAI_RESPONSE_SERVICE_TIER: (_FIELD, "service_tier", _text),
    sc.ANTHROPIC_RESPONSE_SERVICE_TIER: (_FIELD, "other_tier", _text),
    sc.TASK_TYPE: (_FIELD, "task_type", _text),
    sc.USAGE_INPUT_TOKENS: (_USAGE, "input_tokens", _count),
    sc.USAGE_OUTPUT_TOKENS: (_USAGE, "output_tokens", _count),
    sc.USAGE_CACHE_CREATION_LEGACY: (_USAGE, "legacy_cache_write_tokens", _count),
    sc.USAGE_ESTIMATED: (_USAGE, "estimated", _true),
    sc.USAGE_PARTIAL: (_USAGE, "partial", _true),
    sc.COST_AMOUNT: (_COST, "total_usd", _amount),
    sc.COST_CURRENCY: (_COST, "currency", str),
    sc.COST_SOURCE: (_COST, "source", _source),
    sc.PRICE_VERSION: (_COST, "price_version", _text),
    sc.PRICED: (_FIELD, "priced", _nothing),
    sc.ROUTE_REQUESTED_MODEL: (_DECISION, "requested_model", _text),
    sc.ROUTE_POLICY_VERSION: (_DECISION, "policy_version", _count),
    sc.ROUTE_RULE_ID: (_DECISION, "rule_id", _text),
    sc.ROUTE_ARM: (_DECISION, "arm", _one_of(_ARMS)),
    sc.ROUTE_DECISION: (_DECISION, "decision", _one_of(_DECISIONS)),
    sc.ROUTE_PROPENSITY: (_DECISION, "propensity", _number),
    sc.ROUTE_REASON: (_DECISION, "reason", _text),
    sc.ATTEMPT_OF: (_ATTEMPT, "of", _text),
    sc.ATTEMPT_NUMBER: (_ATTEMPT, "number", _count),
    sc.ATTEMPT_ACCEPTED: (_ATTEMPT, "accepted", _nothing),
    sc.ATTEMPT_REJECTED_BY: (_ATTEMPT, "rejected_by", _text),
    sc.ATTEMPT_REASON: (_ATTEMPT, "reason", _text),
    sc.ATTEMPT_STARTED_AFTER: (_ATTEMPT, "started_after_s", _number),
    sc.ATTEMPT_BUFFERED: (_ATTEMPT, "buffered", _true),
    sc.ATTEMPT_CHECKS: (_ATTEMPT, "checks_s", _number),
}
"""Attribute key → (which part of a call, field there, how to read a value: None for one that cannot be used)."""
