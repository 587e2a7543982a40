"""Dataclasses of numbers as JSON values for the store, and back, in this version or another."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import MISSING, fields
from datetime import datetime
from decimal import Decimal
from typing import Any, cast

from tierwise.evidence.estimate import Estimate, NotEnoughData
from tierwise.evidence.retention import Certificate
from tierwise.savings.latency import LatencyChange
from tierwise.savings.predict import Prediction

UNRECORDED = NotEnoughData(0, 1, "recommendations worked out since this is recorded")
"""What stands for an estimate that an earlier version did not write."""

_KINDS: dict[str, type[Any]] = {
    "estimate": Estimate,
    "not_enough_data": NotEnoughData,
    "certificate": Certificate,
    "latency_change": LatencyChange,
    "prediction": Prediction,
}
_NAMES = {kind: name for name, kind in _KINDS.items()}
_UNBOUNDED = frozenset({("certificate", "high"), ("estimate", "high")})
_MONEY = frozenset({("needed", "cost_usd")})
_TIMES = frozenset({("prediction", "as_of")})


def register(name: str, kind: type[Any]) -> None:
    """Let `encode` and `decode` know a dataclass by a lasting name."""
    _KINDS[name], _NAMES[kind] = kind, name


def encode(value: Any) -> Any:
    """`value` as JSON values: registered dataclasses carry their kind, money is a string, an infinite bound is None."""
    if type(value) in _NAMES:
        return {"kind": _NAMES[type(value)], **encode_fields(value)}
    if isinstance(value, tuple):
        return [encode(item) for item in cast("tuple[Any, ...]", value)]
    if isinstance(value, Mapping):
        return {str(name): encode(item) for name, item in cast("Mapping[Any, Any]", value).items()}
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, float) and value in (float("inf"), float("-inf")):
        return None
    return value


def encode_fields(value: Any) -> dict[str, Any]:
    """The fields of a dataclass as JSON values."""
    return {item.name: encode(getattr(value, item.name)) for item in fields(value)}


def decode(value: Any) -> Any:
    """What `encode` was given; a dataclass that lacks an entry is `UNRECORDED`, entries it does not know are left out.

    Amounts and times outside of registered dataclasses stay texts, as do mappings without a kind mappings.
    """
    if isinstance(value, Mapping) and "kind" in value and value["kind"] in _KINDS:
        content = dict(cast("Mapping[str, Any]", value))
        kind = content.pop("kind")
        for name, item in content.items():
            decoded: Any = decode(item)
            if (kind, name) in _UNBOUNDED and decoded is None:
                decoded = float("inf")
            elif (kind, name) in _MONEY and decoded is not None:
                decoded = Decimal(decoded)
            elif (kind, name) in _TIMES:
                decoded = datetime.fromisoformat(str(decoded))
            content[name] = decoded
        shape = fields(_KINDS[kind])
        if any(item.name not in content and item.default is MISSING for item in shape):
            return UNRECORDED
        return _KINDS[kind](**{item.name: content[item.name] for item in shape if item.name in content})
    if isinstance(value, list):
        return tuple(decode(item) for item in cast("list[Any]", value))
    return value


def content_hash(content: Mapping[str, Any], *, without: Collection[str]) -> str:
    """SHA-256 (hex) of stored `content`, the names in `without` left out."""
    said = {name: value for name, value in content.items() if name not in without}
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()
