from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from tierwise import semconv as sc
from tierwise.attributes import to_attributes
from tierwise.call import Call
from tierwise.instrumentation.profiles.phoenix import translate


def test_a_call_without_content(attributes: Mapping[str, Any]) -> None:
    """A call is an LLM span with our costs under OpenInference's names, and without text when none was captured."""
    assert translate(attributes) == {
        "openinference.span.kind": "LLM",
        "tag.tags": ("task:extraction", "use_case:invoices"),
        "llm.token_count.completion_details.reasoning": 40,
        "llm.cost.prompt": 0.4625,
        "llm.cost.completion": 0.5,
        "llm.cost.total": 0.9725,
    }


def test_embeddings(call: Call) -> None:
    """Embeddings have a kind of their own."""
    assert translate(to_attributes(replace(call, operation="embeddings")))["openinference.span.kind"] == "EMBEDDING"


def test_columns(attributes: Mapping[str, Any]) -> None:
    """With content captured, the input column holds the last message and the output column the answer."""
    asked = [
        {"role": "user", "parts": [{"type": "text", "content": "first"}]},
        {"role": "user", "parts": [{"type": "text", "content": "Capital"}, {"type": "text", "content": "of France?"}]},
    ]
    answered = [{"role": "assistant", "parts": [{"type": "text", "content": "Paris"}]}]

    extra = translate({**attributes, sc.INPUT_MESSAGES: json.dumps(asked), sc.OUTPUT_MESSAGES: json.dumps(answered)})

    assert (extra["input.value"], extra["input.mime_type"]) == ("Capital\nof France?", "text/plain")
    assert (extra["output.value"], extra["output.mime_type"]) == ("Paris", "text/plain")


@pytest.mark.parametrize(
    "messages",
    [
        '[{"role": "assistant", "parts": [{"type": "tool_call", "name": "f", "arguments": "{}"}]}]',
        '[{"role": "user", "parts": "odd"}]',
        '[{"role": "user"}]',
        "[]",
        "cut off in the mid",
    ],
)
def test_more_than_text(messages: str, attributes: Mapping[str, Any]) -> None:
    """Messages that are no plain text, or were cut short, are shown as they are."""
    extra = translate({**attributes, sc.OUTPUT_MESSAGES: messages})

    assert (extra["output.value"], extra["output.mime_type"]) == (messages, "application/json")
