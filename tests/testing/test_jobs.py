"""Work done later, through the SDKs that order and fetch it."""

from __future__ import annotations

import json

import openai as openai_sdk
import pytest
from anthropic import Anthropic
from openai import OpenAI

from tierwise.testing import Answer, LoopbackProvider, ProviderUsage

USAGE = ProviderUsage(input_tokens=100, output_tokens=10)


def test_a_background_response_is_done_after_some_polls(provider: LoopbackProvider, openai: OpenAI) -> None:
    """It is queued, then at work, and then there, as the script has it."""
    provider.script([Answer("Paris", usage=USAGE, polls=1)])

    ordered = openai.responses.create(model="gpt-4o", input="hello", background=True)
    asked = [openai.responses.retrieve(ordered.id) for _ in range(2)]

    assert [ordered.status, *(answer.status for answer in asked)] == ["queued", "in_progress", "completed"]
    assert asked[1].background
    assert asked[1].output_text == "Paris"
    assert asked[0].usage is None


def test_a_background_response_can_be_streamed_later(openai: OpenAI) -> None:
    """Its events are there for who retrieves it as a stream."""
    ordered = openai.responses.create(model="gpt-4o", input="hello", background=True)

    events = list(openai.responses.retrieve(ordered.id, stream=True))

    assert events[-1].type == "response.completed"


def test_a_batch_answers_each_line_of_its_file(provider: LoopbackProvider, openai: OpenAI) -> None:
    """Every request of the input file has its answer in the output file, and the batch the sum of their usage."""
    provider.answer(lambda request: Answer(request.user_text.upper(), usage=USAGE))
    lines = [
        {"custom_id": str(n), "url": "/v1/chat/completions", "body": {"model": "gpt-4o", "messages": [message]}}
        for n, message in enumerate({"role": "user", "content": text} for text in ("a", "b"))
    ]
    content = "\n".join(map(json.dumps, lines)).encode()

    file = openai.files.create(file=("requests.jsonl", content), purpose="batch")
    batch = openai.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h")
    done = openai.batches.retrieve(batch.id)
    assert done.output_file_id is not None
    output = [json.loads(line) for line in openai.files.content(done.output_file_id).text.splitlines()]

    assert (batch.status, done.status) == ("in_progress", "completed")
    assert done.usage is not None
    assert done.usage.input_tokens == 200
    assert [line["response"]["body"]["choices"][0]["message"]["content"] for line in output] == ["A", "B"]


def test_a_message_batch_has_results(provider: LoopbackProvider, anthropic: Anthropic) -> None:
    """Results come under the ids of their requests, at the batch tier."""
    provider.answer(lambda request: Answer(request.model, usage=USAGE))

    batch = anthropic.messages.batches.create(
        requests=[
            {"custom_id": name, "params": {"model": name, "max_tokens": 5, "messages": []}}
            for name in ("claude-opus-4-7", "claude-haiku-4-5")
        ]
    )
    results = {item.custom_id: item.result for item in anthropic.messages.batches.results(batch.id)}

    assert set(results) == {"claude-opus-4-7", "claude-haiku-4-5"}
    for name, result in results.items():
        assert result.type == "succeeded"
        assert result.message.model == name
        assert result.message.usage.service_tier == "batch"


@pytest.mark.parametrize("ask", ["responses", "batches"])
def test_unknown_work(ask: str, openai: OpenAI) -> None:
    """What was never ordered is not found."""
    with pytest.raises(openai_sdk.NotFoundError):
        getattr(openai, ask).retrieve("nothing")
    with pytest.raises(openai_sdk.NotFoundError):
        openai.files.content("nothing")
