from __future__ import annotations

from typing import Any

import pytest

from tierwise import semconv as sc
from tierwise.ingest.dialects.reported import finish_reasons, indexed, parsed, provider_name, usage_attributes


@pytest.mark.parametrize(
    ("said", "model", "wanted"),
    [
        ("Azure", None, "azure.ai.openai"),
        ("openai", "claude-opus-4-7", "openai"),
        (None, "claude-opus-4-7", "anthropic"),
        ("unknown", "text-embedding-3-small", "openai"),
        ("", "my-own-model", "unknown"),
        (None, None, "unknown"),
    ],
)
def test_provider(said: object, model: object, wanted: str) -> None:
    """A provider is whom the span names, else whose family of models it is, else unknown."""
    assert provider_name(said, model) == wanted


@pytest.mark.parametrize(
    ("block", "total"),
    [
        ({"prompt_tokens": 1200, "completion_tokens": 64, "prompt_tokens_details": {"cached_tokens": 900}}, 1200),
        ({"input_tokens": 1200, "output_tokens": 64, "input_tokens_details": {"cached_tokens": 900}}, 1200),
        ({"input_tokens": 300, "output_tokens": 64, "cache_read_input_tokens": 900}, 1200),
    ],
)
def test_usage_blocks(block: dict[str, Any], total: int) -> None:
    """The usage blocks of chat completions, Responses and messages give one total with the cached part within."""
    found = usage_attributes(block)

    assert (found[sc.USAGE_INPUT_TOKENS], found[sc.USAGE_OUTPUT_TOKENS], found[sc.USAGE_CACHE_READ]) == (total, 64, 900)
    assert sc.OPERATION_NAME not in found


def test_nobodys_usage() -> None:
    """A block in nobody's shape gives nothing."""
    assert usage_attributes({"tokens": 5}) == {}


def test_flattened_lists() -> None:
    """Numbered keys are items in the order of their numbers, whatever order they stand in."""
    attributes = {"m.10.role": "c", "m.2.role": "b", "m.0.role": "a", "m.x.role": "-", "m.3": "-"}

    assert indexed(attributes, "m.") == [{"role": "a"}, {"role": "b"}, {"role": "c"}]


@pytest.mark.parametrize(
    ("said", "value"), [('{"a": 1}', {"a": 1}), ("[1]", [1]), ("plain", "plain"), ("{broken", "{broken"), (5, 5)]
)
def test_json_in_a_text(said: object, value: object) -> None:
    """JSON in a text is its value; anything else stays as it is."""
    assert parsed(said) == value


def test_reasons() -> None:
    """A library's words for why an answer ended are the provider's; what is None is left out."""
    assert finish_reasons(["tool-calls", None, "stop"]) == ["tool_calls", "stop"]
