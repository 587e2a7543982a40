"""A `Call` as span attributes, and back.

`to_attributes()` runs in the app, `from_attributes()` in the collector. They stand side by side so that writer and
reader cannot drift: `from_attributes(to_attributes(call)) == call` for all that a span can carry.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal
from operator import attrgetter
from typing import Any

from tierwise import semconv as sc
from tierwise.call import AttributeValue, Call, Cost, Decision, Usage

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
_UNITS_BY_KEY = {key: unit for unit, key in _UNIT_KEYS.items()}

_COST_FIELDS: tuple[tuple[str, str], ...] = (
    ("input_usd", sc.COST_INPUT_USD),
    ("output_usd", sc.COST_OUTPUT_USD),
    ("cache_read_usd", sc.COST_CACHE_READ_USD),
    ("cache_write_usd", sc.COST_CACHE_WRITE_USD),
    ("other_usd", sc.COST_OTHER_USD),
)

_KNOWN_KEYS = frozenset(
    {key for _, key in (*_TEXT_FIELDS, *_USAGE_FIELDS, *_COST_FIELDS)}
    | {
        sc.OPERATION_NAME,
        sc.PROVIDER_NAME,
        sc.SYSTEM_LEGACY,
        sc.REQUEST_MODEL,
        sc.REQUEST_STREAM,
        sc.RESPONSE_FINISH_REASONS,
        sc.USAGE_INPUT_TOKENS,
        sc.USAGE_OUTPUT_TOKENS,
        sc.USAGE_CACHE_CREATION_LEGACY,
        sc.USAGE_ESTIMATED,
        sc.USAGE_PARTIAL,
        sc.OPENAI_RESPONSE_SERVICE_TIER,
        sc.ANTHROPIC_RESPONSE_SERVICE_TIER,
        sc.COST_AMOUNT,
        sc.COST_CURRENCY,
        sc.COST_SOURCE,
        sc.PRICE_VERSION,
        sc.PRICED,
        sc.TASK_TYPE,
        sc.ROUTE_POLICY_VERSION,
        sc.ROUTE_RULE_ID,
        sc.ROUTE_ARM,
        sc.ROUTE_REQUESTED_MODEL,
        sc.ROUTE_DECISION,
        sc.ROUTE_PROPENSITY,
        sc.ROUTE_REASON,
    }
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


def from_attributes(attributes: Mapping[str, Any]) -> Call:
    """The call that span attributes in tierwise's own dialect describe.

    Values of a wrong type are ignored field by field: what arrives from the network is not ours to trust.
    """
    text = {name: _typed(attributes.get(key), name) for name, key in _TEXT_FIELDS}
    tier = _text(attributes.get(sc.OPENAI_RESPONSE_SERVICE_TIER)) or _text(
        attributes.get(sc.ANTHROPIC_RESPONSE_SERVICE_TIER)
    )
    reasons = attributes.get(sc.RESPONSE_FINISH_REASONS)
    return Call(
        operation=_text(attributes.get(sc.OPERATION_NAME)) or "chat",
        provider=_text(attributes.get(sc.PROVIDER_NAME)) or _text(attributes.get(sc.SYSTEM_LEGACY)) or "unknown",
        request_model=_text(attributes.get(sc.REQUEST_MODEL)) or "unknown",
        finish_reasons=tuple(str(reason) for reason in reasons) if isinstance(reasons, list | tuple) else (),
        usage=_usage_from_attributes(attributes),
        cost=_cost_from_attributes(attributes),
        service_tier=tier,
        stream=attributes.get(sc.REQUEST_STREAM) is True,
        task_type=_text(attributes.get(sc.TASK_TYPE)) or "unknown",
        decision=_decision_from_attributes(attributes),
        parameters={key: value for key, value in attributes.items() if key in _PARAMETER_KEYS},
        extra={
            key: value
            for key, value in attributes.items()
            if key not in _KNOWN_KEYS and key not in _PARAMETER_KEYS and _unit(key) is None
        },
        **text,
    )


_FLOAT_FIELDS = frozenset({"time_to_first_chunk_s", "task_confidence", "shadow_propensity"})


def _typed(value: Any, name: str) -> Any:
    if name in _FLOAT_FIELDS:
        return _number(value)
    if name == "server_port":
        return _count(value)
    return _text(value)


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


def _usage_from_attributes(attributes: Mapping[str, Any]) -> Usage:
    counts = {name: _count(attributes.get(key)) or 0 for name, key in _USAGE_FIELDS}
    counts["cache_write_tokens"] = (
        counts["cache_write_tokens"] or _count(attributes.get(sc.USAGE_CACHE_CREATION_LEGACY)) or 0
    )
    return Usage(
        input_tokens=_count(attributes.get(sc.USAGE_INPUT_TOKENS)),
        output_tokens=_count(attributes.get(sc.USAGE_OUTPUT_TOKENS)),
        estimated=attributes.get(sc.USAGE_ESTIMATED) is True,
        partial=attributes.get(sc.USAGE_PARTIAL) is True,
        units=_units_from_attributes(attributes),
        **counts,
    )


def _unit(key: str) -> str | None:
    """The unit that an attribute counts, as `Usage.units` names it; None for all other attributes."""
    if key.startswith(sc.USAGE_UNIT_PREFIX) and key not in _KNOWN_KEYS:
        return key.removeprefix(sc.USAGE_UNIT_PREFIX)
    return _UNITS_BY_KEY.get(key)


def _units_from_attributes(attributes: Mapping[str, Any]) -> tuple[tuple[str, int | float], ...]:
    return tuple(
        sorted(
            (unit, amount)
            for key, amount in attributes.items()
            if (unit := _unit(key)) and _is_number(amount) and math.isfinite(amount) and amount > 0
        )
    )


def _cost_from_attributes(attributes: Mapping[str, Any]) -> Cost | None:
    total = _amount(attributes.get(sc.COST_AMOUNT))
    if total is None or attributes.get(sc.COST_CURRENCY, "USD") != "USD":
        return None
    parts = {name: _amount(attributes.get(key)) or Decimal(0) for name, key in _COST_FIELDS}
    rest = total - sum(parts.values(), Decimal(0))
    if abs(rest) > Decimal("1e-9"):
        # Another writer gave a total without our split: the total is the fact, so the rest is kept under "other".
        parts["other_usd"] += rest
    return Cost(
        price_version=_text(attributes.get(sc.PRICE_VERSION)) or "",
        source="provider" if attributes.get(sc.COST_SOURCE) == "provider" else "local",
        **parts,
    )


def _amount(value: Any) -> Decimal | None:
    number = _number(value)
    return usd(number) if number is not None and abs(number) < MOST_USD else None


MOST_USD = 1_000_000
"""No call costs as much, and the store's DECIMAL(18, 12) holds no more: such an amount is taken for a mistake."""


def usd(amount: float | Decimal) -> Decimal:
    """`amount` as money: a Decimal at the twelve places the store keeps."""
    return Decimal(str(amount)).quantize(USD_PLACES)


_ARMS = frozenset({"control", "canary", "treated", "holdout"})
_DECISIONS = frozenset({"unchanged", "routed", "would_route", "refused", "fell_back"})


def _decision_from_attributes(attributes: Mapping[str, Any]) -> Decision | None:
    requested = _text(attributes.get(sc.ROUTE_REQUESTED_MODEL))
    if requested is None:
        return None
    arm = attributes.get(sc.ROUTE_ARM)
    kind = attributes.get(sc.ROUTE_DECISION)
    return Decision(
        requested_model=requested,
        sent_model=_text(attributes.get(sc.REQUEST_MODEL)) or requested,
        policy_version=_count(attributes.get(sc.ROUTE_POLICY_VERSION)),
        rule_id=_text(attributes.get(sc.ROUTE_RULE_ID)),
        arm=arm if arm in _ARMS else None,
        decision=kind if kind in _DECISIONS else "unchanged",
        propensity=_number(attributes.get(sc.ROUTE_PROPENSITY)),
        reason=_text(attributes.get(sc.ROUTE_REASON)) or "",
    )
