"""What each model can do, from a dated table in the wheel.

The table is LiteLLM's (MIT), trimmed by `benchmarks/capabilities.py`; source, version, date and licence stand in and
beside `capabilities.json`. It is read on first use, and a model's row is taken apart when that model is asked for.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from typing import Any

_MAKERS = {
    "anthropic": "anthropic",
    "openai": "openai",
    "azure.ai.openai": "openai",
    "azure.ai.inference": "openai",
}
"""Whose models a provider serves, by `gen_ai.provider.name`; Bedrock and Vertex AI name models in their own way."""

_SNAPSHOT = re.compile(r"-\d{4}-\d{2}-\d{2}$|[-@]\d{8}(?:-v\d+(?::\d+)?)?$")


@dataclass(frozen=True, slots=True)
class Capability:
    """What one model accepts."""

    model: str
    maker: str
    """openai | anthropic: whose request format the model speaks."""
    apis: frozenset[str]
    """chat_completions | responses | messages."""
    max_input_tokens: int
    max_output_tokens: int
    features: frozenset[str]
    """tools, parallel_tools, tool_choice, forced_tools, structured_output, images, pdf, audio_input, audio_output,
    web_search, system, mid_system, prefill, sampling, reasoning, always_thinks."""
    efforts: frozenset[str] = frozenset()
    """Reasoning effort levels accepted; empty when the model takes none."""
    default_effort: str | None = None
    """The level in force when a request names none, where the table knows it."""
    thinking: frozenset[str] = frozenset()
    """Anthropic thinking modes accepted: adaptive, enabled, disabled."""
    retires_at_s: float | None = None
    """Unix time from which the model is no longer served; None when no date is known."""
    general: bool = True
    """False for a model with a purpose of its own (audio, search, code…) or an alias that moves between models."""

    def is_retired(self, now_s: float) -> bool:
        return self.retires_at_s is not None and now_s >= self.retires_at_s


@cache
def _document() -> Mapping[str, Any]:
    return json.loads(files("tierwise.routing").joinpath("capabilities.json").read_text(encoding="utf-8"))


def as_of() -> str:
    """The day the table was taken, ISO 8601, and its source: `2026-11-24, litellm 1.109.1, …`."""
    return f"{_document()['as_of']}, {_document()['source']}"


@cache
def known_models() -> tuple[str, ...]:
    """Every model of the table, by its maker's own name for it."""
    return tuple(_document()["models"])


def _model(name: str) -> Capability | None:
    return _capability(name) if name in _document()["models"] else None


def _platform_names(provider: str) -> Mapping[str, str] | None:
    """Name used at `provider` → the maker's own; None where they are the same."""
    return _document()["platform_names"].get(provider)


@cache
def _capability(model: str) -> Capability:
    entry = _document()["models"][model]
    retires = entry.get("retires")
    return Capability(
        model=model,
        maker=entry["provider"],
        apis=frozenset(entry["apis"]),
        max_input_tokens=entry["input"],
        max_output_tokens=entry["output"],
        features=frozenset(entry["can"]),
        efforts=frozenset(entry.get("efforts", ())),
        default_effort=entry.get("default_effort"),
        thinking=frozenset(entry.get("thinking", ())),
        retires_at_s=datetime.fromisoformat(retires).replace(tzinfo=UTC).timestamp() if retires else None,
        general=entry["general"],
    )


def lookup(provider: str, model: str) -> Capability | None:
    """What `model`, called by the name `provider` knows it under, can do; None when the table does not say.

    A model of another maker is not found: no provider of that name serves it.
    """
    names = _platform_names(provider)
    if names is not None:
        return _model(names[model]) if model in names else None
    found = _model(model)
    return found if found is not None and found.maker == _MAKERS.get(provider) else None


def is_snapshot(model: str) -> bool:
    """Whether the name pins one dated version: `gpt-4o-2024-08-06`, `claude-haiku-4-5-20251001`."""
    return _SNAPSHOT.search(model) is not None


def region_of(model: str) -> str:
    """The inference region in a Bedrock name: `eu` in `eu.anthropic.claude-…`; empty when there is none."""
    found = re.match(r"([a-z-]+)\.(?:anthropic|openai)\.", model)
    return found[1] if found else ""


def candidates(provider: str, model: str, *, now_s: float | None = None) -> list[str]:
    """Models that could stand in for `model` at the same provider, newest generation first.

    Only general-purpose models that are still served and share an API with `model`, under the name without a date
    where there is one, and within the same region. Prices are not looked at.

    Args:
        now_s: Unix time at which they must still be served, by default now.
    """
    source = lookup(provider, model)
    at_s = time.time() if now_s is None else now_s
    if source is None:
        return []
    names = _platform_names(provider) or {name: name for name in known_models()}
    found: dict[str, str] = {}
    for name, base in sorted(names.items(), key=lambda item: (is_snapshot(item[0]), item[0])):
        other = lookup(provider, name)
        if (
            other is None
            or not other.general
            or other.is_retired(at_s)
            or not other.apis & source.apis
            or region_of(name) != region_of(model)
            or _undated(base) == _undated(source.model)
        ):
            continue
        found.setdefault(_undated(base), name)
    return sorted(found.values(), key=lambda name: (_generation(name), name), reverse=True)


def _undated(model: str) -> str:
    return _SNAPSHOT.sub("", model)


def _generation(model: str) -> tuple[int, ...]:
    """The version numbers in a name: (5, 4) for `gpt-5.4-mini`, (4, 5) for `claude-haiku-4-5-20251001`."""
    numbers = re.search(r"\d{1,2}(?:[.-]\d{1,2}(?!\d))*", _undated(model))
    return tuple(int(part) for part in re.split(r"[.-]", numbers[0])) if numbers else ()
