"""Structural checks of real calls, over a socket."""

from __future__ import annotations

from typing import Any

import anthropic
import openai
import pytest

from tierwise.settings import Settings
from tierwise.testing import Answer, LoopbackProvider, capture_calls

SETTINGS = Settings(structural_checks=("schema", "refusal", "truncation"))
MESSAGES: Any = [{"role": "user", "content": "The total as JSON, please."}]
FORMAT: Any = {"type": "json_object"}


def scores(calls: Any) -> list[tuple[str, str, float]]:
    """(check, source, score) of every evaluation, by name."""
    found = [event["attributes"] for event in calls.events]
    return sorted(
        (one["gen_ai.evaluation.name"], one["tierwise.evaluation.source"], one["gen_ai.evaluation.score.value"])
        for one in found
        if "gen_ai.evaluation.name" in one
    )


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_answers_of_openai_are_scored(stream: bool) -> None:
    """A streamed answer is scored as a whole one is, after it went to the user."""
    with LoopbackProvider() as provider, capture_calls(settings=SETTINGS) as calls:
        provider.script([Answer('{"total": ')])
        with openai.OpenAI(base_url=provider.openai_base_url, api_key="x") as client:
            answer: Any = client.chat.completions.create(
                model="gpt-6-luna", messages=MESSAGES, response_format=FORMAT, stream=stream
            )
            if stream:
                list(answer)

        found = scores(calls)

    assert found == [
        ("refusal", "structural", 1.0),
        ("schema", "structural", 0.0),
        ("truncation", "structural", 0.0),
    ]


def test_answers_of_anthropic_are_scored() -> None:
    """What asks for no structure has no score for it."""
    with LoopbackProvider() as provider, capture_calls(settings=SETTINGS) as calls:
        provider.script([Answer("I'm sorry, but I can't help with that.")])
        with anthropic.Anthropic(base_url=provider.anthropic_base_url, api_key="x") as client:
            client.messages.create(model="claude-haiku-5-5", max_tokens=10, messages=MESSAGES)

        found = scores(calls)

    assert found == [("refusal", "structural", 0.0), ("truncation", "structural", 1.0)]


def test_nothing_is_scored_unasked() -> None:
    """Without the setting no answer is looked at."""
    with LoopbackProvider() as provider, capture_calls() as calls:
        with openai.OpenAI(base_url=provider.openai_base_url, api_key="x") as client:
            client.chat.completions.create(model="gpt-6-luna", messages=MESSAGES)

        found = scores(calls)

    assert found == []
