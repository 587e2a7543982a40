from __future__ import annotations

import asyncio

import pytest
from anthropic import Anthropic, AsyncAnthropic, InternalServerError
from anthropic.types import MessageParam, ToolParam
from pydantic import BaseModel

from tierwise.testing import Answer, LoopbackProvider, ProviderUsage, ToolCall

QUESTION: list[MessageParam] = [{"role": "user", "content": "Weather in Bern?"}]
TOOL: ToolParam = {
    "name": "weather",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
MODEL = "claude-haiku-5-5"
USAGE = ProviderUsage(
    input_tokens=1200,
    output_tokens=64,
    cache_read=1000,
    cache_write_5m=60,
    cache_write_1h=40,
    reasoning=20,
    web_searches=3,
)


class Weather(BaseModel):
    city: str
    degrees: int


def test_input_tokens_are_fresh_only(provider: LoopbackProvider, anthropic: Anthropic) -> None:
    """Cache reads and writes stand beside input_tokens; the three add up to the total."""
    provider.script([Answer("Sunny", usage=USAGE, service_tier="priority")])

    message = anthropic.messages.create(model=MODEL, max_tokens=64, messages=QUESTION)

    usage = message.usage
    assert (usage.input_tokens, usage.cache_read_input_tokens, usage.cache_creation_input_tokens) == (100, 1000, 100)
    assert usage.cache_creation is not None
    assert usage.cache_creation.ephemeral_5m_input_tokens == 60
    assert usage.cache_creation.ephemeral_1h_input_tokens == 40
    assert (usage.output_tokens, usage.service_tier) == (64, "priority")
    assert usage.output_tokens_details is not None
    assert usage.output_tokens_details.thinking_tokens == 20
    assert usage.server_tool_use is not None
    assert usage.server_tool_use.web_search_requests == 3
    assert (message.stop_reason, message.model) == ("end_turn", MODEL)


def test_streamed_output_tokens_are_cumulative(provider: LoopbackProvider, anthropic: Anthropic) -> None:
    """message_start has input and split with one token of output; message_delta has the totals."""
    provider.script([Answer("Sunny all day", usage=USAGE, chunk_chars=4)])

    events = list(anthropic.messages.create(model=MODEL, max_tokens=64, messages=QUESTION, stream=True))

    start, delta = events[0], events[-2]
    assert start.type == "message_start"
    assert (start.message.usage.input_tokens, start.message.usage.output_tokens) == (100, 1)
    assert start.message.usage.cache_creation is not None
    assert start.message.usage.cache_creation.ephemeral_1h_input_tokens == 40
    assert delta.type == "message_delta"
    assert (delta.usage.output_tokens, delta.usage.cache_read_input_tokens) == (64, 1000)
    assert delta.usage.server_tool_use is not None
    assert delta.usage.server_tool_use.web_search_requests == 3
    assert events[-1].type == "message_stop"


def test_the_stream_helper_rebuilds_the_message(provider: LoopbackProvider, anthropic: Anthropic) -> None:
    """messages.stream() gives the text as it comes and the same message as create()."""
    provider.answer(lambda request: Answer("Sunny all day", usage=USAGE, chunk_chars=4))

    with anthropic.messages.stream(model=MODEL, max_tokens=64, messages=QUESTION) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()

    assert text == "Sunny all day"
    assert (final.usage.input_tokens, final.usage.output_tokens) == (100, 64)
    assert final.stop_reason == "end_turn"


def test_thinking_and_tool_use_are_blocks_in_order(provider: LoopbackProvider, anthropic: Anthropic) -> None:
    """Thinking, text and tools keep their order, and tool input is an object, streamed or not."""
    calls = [ToolCall("weather", {"city": "Bern"}), ToolCall("weather", '{"city": "Basel"}', id="toolu_mine")]
    provider.answer(lambda request: Answer("Let me look.", thinking="Two cities.", tool_calls=calls, chunk_chars=3))

    whole = anthropic.messages.create(model=MODEL, max_tokens=64, messages=QUESTION, tools=[TOOL])
    with anthropic.messages.stream(model=MODEL, max_tokens=64, messages=QUESTION, tools=[TOOL]) as stream:
        streamed = stream.get_final_message()

    for message in (whole, streamed):
        assert [block.type for block in message.content] == ["thinking", "text", "tool_use", "tool_use"]
        assert message.stop_reason == "tool_use"
        thinking, _, first, second = message.content
        assert thinking.type == "thinking"
        assert thinking.thinking == "Two cities."
        assert thinking.signature.startswith("signature-")
        assert first.type == "tool_use"
        assert first.input == {"city": "Bern"}
        assert second.type == "tool_use"
        assert (second.input, second.id) == ({"city": "Basel"}, "toolu_mine")


def test_tool_input_that_is_no_object_is_the_test_s_fault(provider: LoopbackProvider, anthropic: Anthropic) -> None:
    """Not streamed, broken arguments cannot be expressed: the client gets a 500 that says so."""
    provider.script([Answer(tool_calls=[ToolCall("weather", '{"city": ')])])

    with pytest.raises(InternalServerError, match="tool input is a JSON object; weather was given"):
        anthropic.messages.create(model=MODEL, max_tokens=64, messages=QUESTION, tools=[TOOL])


@pytest.mark.parametrize(
    ("answer", "stop_reason"),
    [
        (Answer("Sunny al", finish_reason="length"), "max_tokens"),
        (Answer("No.", refusal=True), "refusal"),
        (Answer("No.", finish_reason="content_filter"), "refusal"),
        (Answer("Sunny", finish_reason="stop_sequence"), "stop_sequence"),
        (Answer("Sunny", finish_reason="pause_turn"), "pause_turn"),
    ],
)
def test_finish_reasons_are_said_in_anthropic_s_words(
    provider: LoopbackProvider, anthropic: Anthropic, answer: Answer, stop_reason: str
) -> None:
    """Neutral reasons are translated and Anthropic's own pass through, streamed or not."""
    provider.answer(lambda request: answer)

    whole = anthropic.messages.create(model=MODEL, max_tokens=64, messages=QUESTION)
    with anthropic.messages.stream(model=MODEL, max_tokens=64, messages=QUESTION) as stream:
        streamed = stream.get_final_message()

    assert whole.stop_reason == streamed.stop_reason == stop_reason


def test_parse_reads_a_scripted_object(provider: LoopbackProvider, anthropic: Anthropic) -> None:
    """messages.parse() turns the answer's JSON into the caller's class."""
    provider.script([Answer('{"city": "Bern", "degrees": 21}')])

    parsed = anthropic.messages.parse(model=MODEL, max_tokens=64, messages=QUESTION, output_format=Weather)

    assert parsed.parsed_output == Weather(city="Bern", degrees=21)


def test_the_beta_surface_answers_alike(provider: LoopbackProvider, anthropic: Anthropic) -> None:
    """beta.messages create and stream get the same message, with the ?beta=true of older SDKs too."""
    provider.answer(lambda request: Answer("Sunny", usage=USAGE))

    whole = anthropic.beta.messages.create(
        model=MODEL, max_tokens=64, messages=[{"role": "user", "content": "?"}], extra_query={"beta": "true"}
    )
    with anthropic.beta.messages.stream(
        model=MODEL, max_tokens=64, messages=[{"role": "user", "content": "?"}]
    ) as stream:
        streamed = stream.get_final_message()

    for message in (whole, streamed):
        assert message.content[0].type == "text"
        assert message.content[0].text == "Sunny"
        assert (message.usage.input_tokens, message.usage.output_tokens) == (100, 64)
    assert provider.requests[0].path == "/v1/messages?beta=true"
    assert [request.protocol for request in provider.requests] == ["messages"] * 2


def test_counting_tokens_is_free_of_the_script(provider: LoopbackProvider, anthropic: Anthropic) -> None:
    """count_tokens answers by the rule of thumb and leaves scripted answers for billed calls."""
    provider.script([Answer("Sunny")])

    count = anthropic.messages.count_tokens(model=MODEL, messages=[{"role": "user", "content": "x" * 40}])
    message = anthropic.messages.create(model=MODEL, max_tokens=64, messages=QUESTION)

    assert count.input_tokens == 10
    assert message.content[0].type == "text"
    assert message.content[0].text == "Sunny"


def test_raw_and_async_clients_read_the_same_answers(provider: LoopbackProvider, anthropic: Anthropic) -> None:
    """with_raw_response, with_streaming_response and the async client parse what create() parses."""
    provider.answer(lambda request: Answer("Sunny", usage=USAGE))

    raw = anthropic.messages.with_raw_response.create(model=MODEL, max_tokens=64, messages=QUESTION)
    with anthropic.messages.with_streaming_response.create(
        model=MODEL, max_tokens=64, messages=QUESTION, stream=True
    ) as streaming:
        lines = [line for line in streaming.iter_lines() if line.startswith("event:")]

    async def calls() -> None:
        async with AsyncAnthropic(base_url=provider.anthropic_base_url, api_key="test", max_retries=0) as client:
            message = await client.messages.create(model=MODEL, max_tokens=64, messages=QUESTION)
            assert message.usage.output_tokens == 64
            async with client.messages.stream(model=MODEL, max_tokens=64, messages=QUESTION) as stream:
                assert "".join([text async for text in stream.text_stream]) == "Sunny"

    asyncio.run(calls())
    assert raw.headers["request-id"] == "req_000000000001"
    assert raw.parse().usage.cache_read_input_tokens == 1000
    assert lines[0] == "event: message_start"
    assert lines[-1] == "event: message_stop"
