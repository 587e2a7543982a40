from __future__ import annotations

import asyncio

from openai import AsyncOpenAI, OpenAI
from openai.types.responses import ResponseUsage
from pydantic import BaseModel

from tierwise.testing import Answer, LoopbackProvider, ProviderUsage, ToolCall

USAGE = ProviderUsage(
    input_tokens=1200, output_tokens=64, cache_read=1000, cache_write_5m=60, cache_write_1h=40, reasoning=20
)


class Weather(BaseModel):
    city: str
    degrees: int


def assert_is_usage(usage: ResponseUsage | None) -> None:
    """USAGE in the Responses accounting: the input total includes what the cache read and wrote."""
    assert usage is not None
    assert (usage.input_tokens, usage.output_tokens, usage.total_tokens) == (1200, 64, 1264)
    assert usage.input_tokens_details.cached_tokens == 1000
    assert usage.input_tokens_details.cache_write_tokens == 100
    assert usage.input_tokens_details.cache_write_tokens_details is not None
    assert usage.input_tokens_details.cache_write_tokens_details.ttl_30m_tokens == 60
    assert usage.input_tokens_details.cache_write_tokens_details.ttl_12h_tokens == 40
    assert usage.output_tokens_details.reasoning_tokens == 20


def test_a_response_carries_text_usage_and_the_request_s_parameters(provider: LoopbackProvider, openai: OpenAI) -> None:
    """create() parses the answer; what the request set comes back in the response."""
    provider.script([Answer("Sunny", usage=USAGE, service_tier="priority")])

    response = openai.responses.create(model="gpt-5", input="Weather?", instructions="be brief", temperature=0.2)

    assert response.output_text == "Sunny"
    assert (response.status, response.service_tier) == ("completed", "priority")
    assert (response.instructions, response.temperature) == ("be brief", 0.2)
    assert_is_usage(response.usage)


def test_a_stream_closes_with_the_whole_response(provider: LoopbackProvider, openai: OpenAI) -> None:
    """Events are numbered without a gap, deltas make the text, and only the last event has usage."""
    provider.script([Answer("Sunny all day", usage=USAGE, chunk_chars=4)])

    events = list(openai.responses.create(model="gpt-5", input="Weather?", stream=True))

    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == "Sunny all day"
    assert events[0].type == "response.created"
    assert events[0].response.usage is None
    assert events[-1].type == "response.completed"
    assert events[-1].response.output_text == "Sunny all day"
    assert_is_usage(events[-1].response.usage)


def test_the_stream_helper_rebuilds_tool_calls(provider: LoopbackProvider, openai: OpenAI) -> None:
    """responses.stream() accumulates argument deltas into the final call; call_id and name arrive with it."""
    provider.answer(lambda request: Answer(tool_calls=[ToolCall("weather", {"city": "Bern"})], chunk_chars=5))

    whole = openai.responses.create(model="gpt-5", input="Weather?")
    with openai.responses.stream(model="gpt-5", input="Weather?") as stream:
        event_types = [event.type for event in stream]
        final = stream.get_final_response()

    for response in (whole, final):
        assert [item.type for item in response.output] == ["function_call"]
    call = final.output[0]
    assert call.type == "function_call"
    assert (call.name, call.arguments) == ("weather", '{"city":"Bern"}')
    assert event_types.count("response.function_call_arguments.delta") == 3


def test_parse_reads_a_scripted_object(provider: LoopbackProvider, openai: OpenAI) -> None:
    """parse() and the stream helper turn the answer's JSON into the caller's class."""
    provider.answer(lambda request: Answer('{"city": "Bern", "degrees": 21}'))

    parsed = openai.responses.parse(model="gpt-5", input="Weather?", text_format=Weather)
    with openai.responses.stream(model="gpt-5", input="Weather?", text_format=Weather) as stream:
        stream.until_done()
        streamed = stream.get_final_response()

    assert parsed.output_parsed == streamed.output_parsed == Weather(city="Bern", degrees=21)


def test_an_answer_cut_at_its_limit_is_incomplete(provider: LoopbackProvider, openai: OpenAI) -> None:
    """`length` becomes status incomplete with its reason, and a closing event of that name."""
    provider.answer(lambda request: Answer("Sunny al", finish_reason="length"))

    whole = openai.responses.create(model="gpt-5", input="Weather?", max_output_tokens=16)
    events = list(openai.responses.create(model="gpt-5", input="Weather?", stream=True))

    assert whole.status == "incomplete"
    assert whole.incomplete_details is not None
    assert whole.incomplete_details.reason == "max_output_tokens"
    assert events[-1].type == "response.incomplete"


def test_thinking_searches_and_refusals_are_items_of_the_output(provider: LoopbackProvider, openai: OpenAI) -> None:
    """Reasoning comes first, then one item a web search, then the message with its refusal; streamed alike."""
    usage = ProviderUsage(input_tokens=10, output_tokens=9, reasoning=4, web_searches=2)
    provider.answer(lambda request: Answer("I can't.", refusal=True, thinking="Should I?", usage=usage))

    whole = openai.responses.create(model="gpt-5", input="Weather?")
    with openai.responses.stream(model="gpt-5", input="Weather?") as stream:
        event_types = {event.type for event in stream}
        final = stream.get_final_response()

    for response in (whole, final):
        kinds = [item.type for item in response.output]
        assert kinds == ["reasoning", "web_search_call", "web_search_call", "message"]
        reasoning, message = response.output[0], response.output[-1]
        assert reasoning.type == "reasoning"
        assert reasoning.summary[0].text == "Should I?"
        assert message.type == "message"
        assert message.content[0].type == "refusal"
        assert message.content[0].refusal == "I can't."
        assert response.tool_usage is not None
        assert response.tool_usage.web_search.num_requests == 2
    assert {"response.refusal.done", "response.reasoning_summary_text.done"} <= event_types


def test_a_response_may_say_nothing_about_usage(provider: LoopbackProvider, openai: OpenAI) -> None:
    """report_usage=False leaves usage null."""
    provider.script([Answer("Sunny", report_usage=False)])

    assert openai.responses.create(model="gpt-5", input="Weather?").usage is None


def test_raw_and_async_clients_read_the_same_answers(provider: LoopbackProvider, openai: OpenAI) -> None:
    """with_raw_response, with_streaming_response and the async client parse what create() parses."""
    provider.answer(lambda request: Answer("Sunny", usage=USAGE))

    raw = openai.responses.with_raw_response.create(model="gpt-5", input="Weather?")
    with openai.responses.with_streaming_response.create(model="gpt-5", input="Weather?") as streaming:
        assert streaming.parse().output_text == "Sunny"

    async def calls() -> None:
        async with AsyncOpenAI(base_url=provider.openai_base_url, api_key="test", max_retries=0) as client:
            response = await client.responses.create(model="gpt-5", input="Weather?")
            assert_is_usage(response.usage)
            async with client.responses.stream(model="gpt-5", input="Weather?") as stream:
                assert (await stream.get_final_response()).output_text == "Sunny"

    asyncio.run(calls())
    assert raw.parse().output_text == "Sunny"
