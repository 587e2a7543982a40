from __future__ import annotations

import asyncio
import json

import pytest
from openai import AsyncOpenAI, AzureOpenAI, OpenAI
from openai.types import CompletionUsage
from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolParam
from pydantic import BaseModel

from tierwise.testing import (
    EMPTY_CHOICES,
    NULL_CHOICES,
    NULL_DELTA,
    Answer,
    LoopbackProvider,
    ProviderUsage,
    ToolCall,
)
from tierwise.testing.openai_wire import embedding_vector

QUESTION: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Weather in Bern and Basel?"}]
TOOL: ChatCompletionToolParam = {
    "type": "function",
    "function": {
        "name": "weather",
        "strict": True,
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
            "additionalProperties": False,
        },
    },
}
TOOL_CALLS = (ToolCall("weather", {"city": "Bern"}), ToolCall("weather", {"city": "Basel"}))
USAGE = ProviderUsage(
    input_tokens=1200, output_tokens=64, cache_read=1000, cache_write_5m=60, cache_write_1h=40, reasoning=20
)


class Weather(BaseModel):
    city: str
    degrees: int


def assert_is_usage(usage: CompletionUsage | None) -> None:
    """USAGE in OpenAI's accounting: the prompt total includes what the cache read and wrote."""
    assert usage is not None
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (1200, 64, 1264)
    assert usage.prompt_tokens_details is not None
    assert usage.prompt_tokens_details.cached_tokens == 1000
    assert usage.prompt_tokens_details.cache_write_tokens == 100
    assert usage.completion_tokens_details is not None
    assert usage.completion_tokens_details.reasoning_tokens == 20


# --- chat completions -------------------------------------------------------------------------------------------------


def test_a_completion_carries_text_usage_tier_and_model(provider: LoopbackProvider, openai: OpenAI) -> None:
    """create() parses the answer with OpenAI's accounting of its tokens."""
    provider.script([Answer("Sunny", usage=USAGE, service_tier="flex", model="gpt-4o-2024-08-06")])

    completion = openai.chat.completions.create(model="gpt-4o", messages=QUESTION)

    assert completion.choices[0].message.content == "Sunny"
    assert completion.choices[0].finish_reason == "stop"
    assert (completion.model, completion.service_tier) == ("gpt-4o-2024-08-06", "flex")
    assert_is_usage(completion.usage)


def test_a_stream_gives_usage_in_a_last_chunk_without_choices(provider: LoopbackProvider, openai: OpenAI) -> None:
    """With include_usage, every chunk has a null usage but the last, which has no choices."""
    provider.script([Answer("Sunny all day", usage=USAGE, chunk_chars=4)])

    chunks = list(
        openai.chat.completions.create(
            model="gpt-4o", messages=QUESTION, stream=True, stream_options={"include_usage": True}
        )
    )

    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks[:-1]) == "Sunny all day"
    assert [chunk.usage for chunk in chunks[:-1]] == [None] * (len(chunks) - 1)
    assert all("usage" in chunk.model_fields_set for chunk in chunks)
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-1].choices == []
    assert_is_usage(chunks[-1].usage)


def test_a_stream_that_did_not_ask_for_usage_gets_none(provider: LoopbackProvider, openai: OpenAI) -> None:
    """Without include_usage, no chunk mentions usage and each has a choice."""
    provider.script([Answer("Sunny", usage=USAGE)])

    chunks = list(openai.chat.completions.create(model="gpt-4o", messages=QUESTION, stream=True))

    assert not any("usage" in chunk.model_fields_set for chunk in chunks)
    assert all(len(chunk.choices) == 1 for chunk in chunks)


def test_a_server_may_ignore_include_usage(provider: LoopbackProvider, openai: OpenAI) -> None:
    """report_usage=False is a compatible server that never reports usage."""
    provider.answer(lambda request: Answer("Sunny", report_usage=False))

    completion = openai.chat.completions.create(model="gpt-4o", messages=QUESTION)
    chunks = list(
        openai.chat.completions.create(
            model="gpt-4o", messages=QUESTION, stream=True, stream_options={"include_usage": True}
        )
    )

    assert completion.usage is None
    assert [chunk.usage for chunk in chunks] == [None] * len(chunks)


def test_tool_calls_arrive_whole_and_in_deltas(provider: LoopbackProvider, openai: OpenAI) -> None:
    """Both calls keep their order, id and arguments, streamed or not; content is null beside them."""
    provider.answer(lambda request: Answer(tool_calls=TOOL_CALLS, chunk_chars=5))

    completion = openai.chat.completions.create(model="gpt-4o", messages=QUESTION, tools=[TOOL])
    with openai.chat.completions.stream(model="gpt-4o", messages=QUESTION, tools=[TOOL]) as stream:
        events = list(stream)
        streamed = stream.get_final_completion()

    message = completion.choices[0].message
    assert (message.content, completion.choices[0].finish_reason) == (None, "tool_calls")
    called = [call.function for call in message.tool_calls or [] if call.type == "function"]
    assert [json.loads(function.arguments) for function in called] == [{"city": "Bern"}, {"city": "Basel"}]
    parsed = [call.function.parsed_arguments for call in streamed.choices[0].message.tool_calls or []]
    assert parsed == [{"city": "Bern"}, {"city": "Basel"}]
    assert sum(event.type == "tool_calls.function.arguments.done" for event in events) == 2


def test_parse_reads_a_scripted_object(provider: LoopbackProvider, openai: OpenAI) -> None:
    """parse() and the stream helper turn the answer's JSON into the caller's class."""
    provider.answer(lambda request: Answer('{"city": "Bern", "degrees": 21}'))

    parsed = openai.chat.completions.parse(model="gpt-4o", messages=QUESTION, response_format=Weather)
    with openai.chat.completions.stream(model="gpt-4o", messages=QUESTION, response_format=Weather) as stream:
        stream.until_done()
        streamed = stream.get_final_completion()

    assert parsed.choices[0].message.parsed == Weather(city="Bern", degrees=21)
    assert streamed.choices[0].message.parsed == Weather(city="Bern", degrees=21)
    assert provider.requests[0].body["response_format"]["type"] == "json_schema"


def test_a_refusal_stands_in_its_own_field(provider: LoopbackProvider, openai: OpenAI) -> None:
    """A refusal leaves the content null, streamed or not."""
    provider.answer(lambda request: Answer("I can't help with that.", refusal=True))

    whole = openai.chat.completions.create(model="gpt-4o", messages=QUESTION).choices[0]
    chunks = list(openai.chat.completions.create(model="gpt-4o", messages=QUESTION, stream=True))

    assert (whole.message.content, whole.message.refusal) == (None, "I can't help with that.")
    assert whole.finish_reason == "stop"
    assert "".join(chunk.choices[0].delta.refusal or "" for chunk in chunks) == "I can't help with that."
    assert not any(chunk.choices[0].delta.content for chunk in chunks)


def test_n_choices_are_n_equal_answers(provider: LoopbackProvider, openai: OpenAI) -> None:
    """`n` repeats the answer under each index, streamed or not."""
    provider.answer(lambda request: Answer("Sunny"))

    whole = openai.chat.completions.create(model="gpt-4o", messages=QUESTION, n=2)
    chunks = list(openai.chat.completions.create(model="gpt-4o", messages=QUESTION, n=2, stream=True))

    assert [(choice.index, choice.message.content) for choice in whole.choices] == [(0, "Sunny"), (1, "Sunny")]
    texts = ["", ""]
    for chunk in chunks:
        texts[chunk.choices[0].index] += chunk.choices[0].delta.content or ""
    assert texts == ["Sunny", "Sunny"]


def test_odd_chunks_reach_the_client_as_scripted(provider: LoopbackProvider, openai: OpenAI) -> None:
    """A null delta, empty choices, null choices and a chunk of the test's own come before the closing one."""
    prelude = {"choices": [], "prompt_filter_results": [{"prompt_index": 0}]}
    provider.script([Answer("Sunny", extra_chunks=(NULL_DELTA, EMPTY_CHOICES, NULL_CHOICES, prelude))])

    chunks = list(openai.chat.completions.create(model="gpt-4o", messages=QUESTION, stream=True))

    null_delta, empty, null_choices, own, closing = (chunk.to_dict() for chunk in chunks[-5:])
    assert null_delta["choices"] == [{"index": 0, "delta": None}]
    assert (empty["choices"], null_choices["choices"]) == ([], None)
    assert own["prompt_filter_results"] == [{"prompt_index": 0}]
    assert closing["choices"] == [{"index": 0, "delta": {}, "logprobs": None, "finish_reason": "stop"}]


def test_raw_and_streaming_responses_carry_headers_and_parse(provider: LoopbackProvider, openai: OpenAI) -> None:
    """with_raw_response and with_streaming_response see the answer's headers and the same completion."""
    provider.answer(lambda request: Answer("Sunny", headers={"x-ratelimit-remaining-requests": "9"}))

    raw = openai.chat.completions.with_raw_response.create(model="gpt-4o", messages=QUESTION)
    with openai.chat.completions.with_streaming_response.create(model="gpt-4o", messages=QUESTION) as streaming:
        parsed = streaming.parse()
    with openai.chat.completions.with_streaming_response.create(
        model="gpt-4o", messages=QUESTION, stream=True
    ) as streaming:
        lines = [line for line in streaming.iter_lines() if line]

    assert raw.headers["x-ratelimit-remaining-requests"] == "9"
    assert raw.headers["x-request-id"] == "req_000000000001"
    assert raw.parse().choices[0].message.content == parsed.choices[0].message.content == "Sunny"
    assert lines[-1] == "data: [DONE]"


def test_the_async_client_reads_the_same_answers(provider: LoopbackProvider) -> None:
    """Async create, stream and parse work over the same socket."""
    provider.answer(lambda request: Answer('{"city": "Bern", "degrees": 21}', usage=USAGE))

    async def calls() -> None:
        async with AsyncOpenAI(base_url=provider.openai_base_url, api_key="test", max_retries=0) as client:
            completion = await client.chat.completions.create(model="gpt-4o", messages=QUESTION)
            assert_is_usage(completion.usage)
            stream = await client.chat.completions.create(model="gpt-4o", messages=QUESTION, stream=True)
            text = "".join([chunk.choices[0].delta.content or "" async for chunk in stream])
            assert json.loads(text) == {"city": "Bern", "degrees": 21}
            parsed = await client.chat.completions.parse(model="gpt-4o", messages=QUESTION, response_format=Weather)
            assert parsed.choices[0].message.parsed == Weather(city="Bern", degrees=21)

    asyncio.run(calls())


def test_an_azure_deployment_answers_on_its_own_path(provider: LoopbackProvider) -> None:
    """The deployment in the URL is the model when the body names none."""
    with AzureOpenAI(
        azure_endpoint=provider.azure_endpoint, api_key="test", api_version="2024-10-21", max_retries=0
    ) as client:
        completion = client.chat.completions.create(model="my-deployment", messages=QUESTION)

    assert completion.choices[0].message.content == "Weather in Bern and Basel?"
    received = provider.requests[0]
    assert received.path == "/openai/deployments/my-deployment/chat/completions?api-version=2024-10-21"
    assert received.model == "my-deployment"


# --- legacy completions -----------------------------------------------------------------------------------------------


def test_legacy_completions_answer_whole_and_streamed(provider: LoopbackProvider, openai: OpenAI) -> None:
    """Text, usage and the closing usage chunk come as in chat, in the older shape."""
    provider.answer(lambda request: Answer("Once upon", usage=USAGE, chunk_chars=4, finish_reason="length"))

    whole = openai.completions.create(model="gpt-3.5-turbo-instruct", prompt="Tell")
    chunks = list(
        openai.completions.create(
            model="gpt-3.5-turbo-instruct", prompt="Tell", stream=True, stream_options={"include_usage": True}
        )
    )

    assert (whole.choices[0].text, whole.choices[0].finish_reason) == ("Once upon", "length")
    assert_is_usage(whole.usage)
    assert "".join(choice.text for chunk in chunks for choice in chunk.choices) == "Once upon"
    assert_is_usage(chunks[-1].usage)


# --- embeddings -------------------------------------------------------------------------------------------------------


def test_embeddings_come_in_order_with_the_asked_dimensions(provider: LoopbackProvider, openai: OpenAI) -> None:
    """Base64 (the SDK's default) and floats give the same unit vectors, one an input."""
    in_base64 = openai.embeddings.create(model="text-embedding-3-small", input=["a", "b"], dimensions=16)
    in_floats = openai.embeddings.create(
        model="text-embedding-3-small", input=["a", "b"], dimensions=16, encoding_format="float"
    )

    assert [entry.index for entry in in_base64.data] == [0, 1]
    assert in_floats.data[0].embedding == embedding_vector("a", 16)
    assert in_base64.data[1].embedding == pytest.approx(in_floats.data[1].embedding, abs=1e-6)
    assert sum(value**2 for value in in_floats.data[0].embedding) == pytest.approx(1.0)
    assert (in_base64.usage.prompt_tokens, in_base64.usage.total_tokens) == (2, 2)


def test_an_embedding_input_of_tokens_is_one_text(provider: LoopbackProvider, openai: OpenAI) -> None:
    """A list of integers is one tokenised text and counts its own tokens."""
    embedded = openai.embeddings.create(model="text-embedding-3-small", input=[1, 2, 3, 4, 5])

    assert len(embedded.data) == 1
    assert embedded.usage.prompt_tokens == 5


def test_embedding_usage_can_be_scripted(provider: LoopbackProvider, openai: OpenAI) -> None:
    """An answer's input_tokens are what the embedding reports."""
    provider.script([Answer(usage=ProviderUsage(input_tokens=77, output_tokens=0))])

    embedded = openai.embeddings.create(model="text-embedding-3-small", input="a")

    assert embedded.usage.prompt_tokens == 77
