from __future__ import annotations

import json
import time
from collections.abc import Callable

import anthropic as anthropic_sdk
import openai as openai_sdk
import pytest
from anthropic import Anthropic
from anthropic.types import MessageParam
from openai import OpenAI
from openai.types.chat import ChatCompletionMessageParam

from tierwise.testing import Answer, Fault, LoopbackProvider

CHAT: list[ChatCompletionMessageParam] = [{"role": "user", "content": "?"}]
MESSAGES: list[MessageParam] = [{"role": "user", "content": "?"}]
LONG = Answer("one two three four five", chunk_chars=4)


def chat(openai: OpenAI) -> str | None:
    return openai.chat.completions.create(model="gpt-4o", messages=CHAT).choices[0].message.content


def chat_stream(openai: OpenAI) -> str:
    stream = openai.chat.completions.create(model="gpt-4o", messages=CHAT, stream=True)
    return "".join(chunk.choices[0].delta.content or "" for chunk in stream)


def message(anthropic: Anthropic) -> str:
    block = anthropic.messages.create(model="claude-haiku-5-5", max_tokens=9, messages=MESSAGES).content[0]
    return block.text if block.type == "text" else ""


def message_stream(anthropic: Anthropic) -> str:
    with anthropic.messages.stream(model="claude-haiku-5-5", max_tokens=9, messages=MESSAGES) as stream:
        return "".join(stream.text_stream)


@pytest.mark.parametrize(
    ("fault", "error_class", "code"),
    [
        (Fault.rate_limited(), openai_sdk.RateLimitError, "rate_limit_exceeded"),
        (Fault.unknown_parameter("temperature"), openai_sdk.BadRequestError, "unsupported_parameter"),
        (Fault.unknown_model("gpt-9"), openai_sdk.NotFoundError, "model_not_found"),
        (Fault.server_error(), openai_sdk.InternalServerError, None),
        (Fault.overloaded(), openai_sdk.InternalServerError, None),
        (Fault.http_status(401, "Incorrect API key"), openai_sdk.AuthenticationError, None),
    ],
)
def test_openai_reads_its_own_error_body(
    provider: LoopbackProvider,
    openai: OpenAI,
    fault: Fault,
    error_class: type[openai_sdk.APIStatusError],
    code: str | None,
) -> None:
    """Each status becomes the SDK's own exception, with message and code, on chat and responses alike."""
    provider.script([fault, fault])

    with pytest.raises(error_class) as chat_error:
        chat(openai)
    with pytest.raises(error_class) as responses_error:
        openai.responses.create(model="gpt-4o", input="?")

    for error in (chat_error.value, responses_error.value):
        assert (error.code, fault.message in error.message) == (code, True)


@pytest.mark.parametrize(
    ("fault", "error_class", "error_type"),
    [
        (Fault.rate_limited(), anthropic_sdk.RateLimitError, "rate_limit_error"),
        (Fault.unknown_parameter("temperature"), anthropic_sdk.BadRequestError, "invalid_request_error"),
        (Fault.unknown_model("claude-9"), anthropic_sdk.NotFoundError, "not_found_error"),
        (Fault.server_error(), anthropic_sdk.InternalServerError, "api_error"),
        (Fault.overloaded(), anthropic_sdk.APIStatusError, "overloaded_error"),
    ],
)
def test_anthropic_reads_its_own_error_body(
    provider: LoopbackProvider,
    anthropic: Anthropic,
    fault: Fault,
    error_class: type[anthropic_sdk.APIStatusError],
    error_type: str,
) -> None:
    """Each status becomes the SDK's own exception with Anthropic's error type."""
    provider.script([fault])

    with pytest.raises(error_class) as caught:
        message(anthropic)

    body = caught.value.body
    assert isinstance(body, dict)
    assert body["error"]["type"] == error_type
    assert body["request_id"] == caught.value.request_id


def test_being_overloaded_has_each_provider_s_status(
    provider: LoopbackProvider, openai: OpenAI, anthropic: Anthropic
) -> None:
    """Anthropic says 529, OpenAI 503."""
    provider.script([Fault.overloaded(), Fault.overloaded()])

    with pytest.raises(openai_sdk.APIStatusError) as from_openai:
        chat(openai)
    with pytest.raises(anthropic_sdk.APIStatusError) as from_anthropic:
        message(anthropic)

    assert (from_openai.value.status_code, from_anthropic.value.status_code) == (503, 529)


def test_an_sdk_waits_as_asked_and_tries_again(provider: LoopbackProvider) -> None:
    """retry_after_s is honoured by the SDK's own retries, and each attempt is a request."""
    provider.script([Fault.rate_limited(retry_after_s=0.05), "done"])

    began = time.monotonic()
    with OpenAI(base_url=provider.openai_base_url, api_key="test", max_retries=1) as client:
        answer = chat(client)

    assert answer == "done"
    assert time.monotonic() - began >= 0.05
    assert [request.headers["x-stainless-retry-count"] for request in provider.requests] == ["0", "1"]


def test_a_status_may_bring_its_own_body_and_headers(provider: LoopbackProvider, openai: OpenAI) -> None:
    """A gateway's error that looks like no provider's is sent as given."""
    fault = Fault.http_status(502, headers={"x-gateway": "yes"}, body={"detail": "upstream"})
    provider.script([fault])

    with pytest.raises(openai_sdk.InternalServerError) as caught:
        chat(openai)

    assert caught.value.body == {"detail": "upstream"}
    assert caught.value.response.headers["x-gateway"] == "yes"


@pytest.mark.parametrize("call", [chat, chat_stream])
@pytest.mark.parametrize("fault", [Fault.disconnect(), Fault.stall(0.02)], ids=["disconnect", "stall"])
def test_nothing_before_the_first_byte_is_a_connection_error(
    provider: LoopbackProvider, openai: OpenAI, call: Callable[[OpenAI], str], fault: Fault
) -> None:
    """A connection closed before any byte raises the SDK's connection error, streamed or not."""
    provider.script([fault])

    with pytest.raises(openai_sdk.APIConnectionError):
        call(openai)


def test_a_stall_outlasts_the_client_s_patience(provider: LoopbackProvider, openai: OpenAI) -> None:
    """A provider that says nothing runs into the client's timeout; stopping does not wait for the stall."""
    provider.script([Fault.stall(60.0)])

    with pytest.raises(openai_sdk.APITimeoutError):
        openai.with_options(timeout=0.1).chat.completions.create(model="gpt-4o", messages=CHAT)


@pytest.mark.parametrize("fault", [Fault.disconnect_mid_stream(LONG, after_chunks=3),
                                   Fault.stall(0.02, LONG, after_chunks=3)], ids=["disconnect", "stall"])  # fmt: skip
def test_a_stream_can_break_after_some_events(provider: LoopbackProvider, openai: OpenAI, fault: Fault) -> None:
    """The client has the first deltas when the connection goes."""
    provider.script([fault])
    received: list[str] = []

    with pytest.raises(Exception, match=r"incomplete chunked read|[Cc]onnection"):  # noqa: PT012 - text before it counts
        for chunk in openai.chat.completions.create(model="gpt-4o", messages=CHAT, stream=True):
            received.append(chunk.choices[0].delta.content or "")

    assert received == ["", "one ", "two "]


def test_a_body_can_break_in_its_middle(provider: LoopbackProvider, openai: OpenAI) -> None:
    """Not streamed, a later disconnect delivers half of the JSON and no more."""
    provider.script([Fault.disconnect_mid_stream()])

    with pytest.raises(openai_sdk.APIConnectionError):
        chat(openai)


def test_a_truncated_stream_ends_without_its_closing_events(
    provider: LoopbackProvider, openai: OpenAI, anthropic: Anthropic
) -> None:
    """Neither SDK raises: text is there, finish reason and usage are not."""
    provider.script([Fault.truncated_stream(LONG, after_chunks=3), Fault.truncated_stream(LONG, after_chunks=4)])

    chunks = list(openai.chat.completions.create(model="gpt-4o", messages=CHAT, stream=True))
    events = list(anthropic.messages.create(model="claude-haiku-5-5", max_tokens=9, messages=MESSAGES, stream=True))

    assert [chunk.choices[0].finish_reason for chunk in chunks] == [None, None, None]
    assert [event.type for event in events] == ["message_start", "content_block_start", "content_block_delta"]


@pytest.mark.parametrize("call", [chat, chat_stream])
def test_broken_json_reaches_the_client(
    provider: LoopbackProvider, openai: OpenAI, call: Callable[[OpenAI], str]
) -> None:
    """A body or an event that stops inside its JSON raises the decoder's error, not one of the provider."""
    provider.script([Fault.malformed_json(LONG)])

    with pytest.raises((json.JSONDecodeError, openai_sdk.APIError)):
        call(openai)


def test_a_stream_can_carry_the_provider_s_own_error(
    provider: LoopbackProvider, openai: OpenAI, anthropic: Anthropic
) -> None:
    """An error event in the middle raises on chat and messages; on responses the SDK hands it over as an event."""
    provider.answer(lambda request: Fault.error_mid_stream(LONG))

    with pytest.raises(openai_sdk.APIError, match="Overloaded"):
        chat_stream(openai)
    with pytest.raises(anthropic_sdk.APIStatusError, match="Overloaded"):
        message_stream(anthropic)
    events = list(openai.responses.create(model="gpt-4o", input="?", stream=True))
    assert events[-1].type == "error"
    assert events[-1].message == "Overloaded"


def test_an_error_event_is_a_status_when_nothing_is_streamed(provider: LoopbackProvider, openai: OpenAI) -> None:
    """The same fault answers a plain request with the error's status."""
    provider.script([Fault.error_mid_stream()])

    with pytest.raises(openai_sdk.InternalServerError) as caught:
        chat(openai)
    assert caught.value.status_code == 503
