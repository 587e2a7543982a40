from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Callable
from typing import Any

import anthropic as anthropic_sdk
import openai as openai_sdk
import pytest
from anthropic import Anthropic
from openai import OpenAI
from openai.types.chat import ChatCompletionMessageParam

from tierwise.testing import Answer, Fault, LoopbackProvider, ProviderRequest

CHAT: list[ChatCompletionMessageParam] = [{"role": "user", "content": "hello"}]


def chat(openai: OpenAI, model: str = "gpt-4o") -> str | None:
    return openai.chat.completions.create(model=model, messages=CHAT).choices[0].message.content


def post(provider: LoopbackProvider, path: str, body: bytes) -> tuple[int, dict[str, Any]]:
    connection = http.client.HTTPConnection("127.0.0.1", provider.port, timeout=5)
    try:
        connection.request("POST", path, body)
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


# --- scripting --------------------------------------------------------------------------------------------------------


def test_without_a_script_the_last_user_message_comes_back(openai: OpenAI) -> None:
    """A provider just started echoes."""
    assert chat(openai) == "hello"


def test_an_answer_function_sees_the_request_and_may_answer_with_text(
    provider: LoopbackProvider, openai: OpenAI
) -> None:
    """The function chooses by model, as a router's test needs."""
    provider.answer(lambda request: f"{request.model}: {request.user_text}")

    assert [chat(openai, "gpt-4o"), chat(openai, "gpt-4o-mini")] == ["gpt-4o: hello", "gpt-4o-mini: hello"]


def test_the_script_is_served_first_and_then_the_function(provider: LoopbackProvider, openai: OpenAI) -> None:
    """Queued answers go out in order; after the last the answer function takes over."""
    provider.answer(lambda request: "function")
    provider.script([Answer("first")])
    provider.script(["second"])

    assert [chat(openai) for _ in range(3)] == ["first", "second", "function"]


def test_a_script_that_ran_out_says_so(provider: LoopbackProvider) -> None:
    """One request more than scripted is a 500 with the reason, which the SDK does not retry."""
    provider.script(["only"])

    with OpenAI(base_url=provider.openai_base_url, api_key="test", max_retries=2) as client:
        chat(client)
        with pytest.raises(openai_sdk.InternalServerError, match="script has no answer left"):
            chat(client)

    assert len(provider.requests) == 2


def test_an_answer_function_that_raises_says_so(provider: LoopbackProvider, openai: OpenAI) -> None:
    """The test's own mistake surfaces in the client's exception."""

    def broken(request: ProviderRequest) -> str:
        raise KeyError("no such prompt")

    provider.answer(broken)

    with pytest.raises(openai_sdk.InternalServerError, match="answer function raised KeyError"):
        chat(openai)


def test_clear_forgets_requests_and_script_but_keeps_the_function(provider: LoopbackProvider, openai: OpenAI) -> None:
    """Between two phases of a test the provider is as after answer()."""
    provider.answer(lambda request: "function")
    provider.script(["first", "never"])
    chat(openai)

    provider.clear()

    assert provider.requests == []
    assert chat(openai) == "function"


@pytest.mark.parametrize("stream", [False, True])
def test_latency_passes_before_the_first_byte(provider: LoopbackProvider, openai: OpenAI, stream: bool) -> None:
    """latency_s delays the response, streamed or not."""
    provider.script([Answer("late", latency_s=0.05)])

    began = time.monotonic()
    openai.chat.completions.with_raw_response.create(model="gpt-4o", messages=CHAT, stream=stream)

    assert time.monotonic() - began >= 0.05


def test_a_stream_keeps_its_scripted_pace(provider: LoopbackProvider, openai: OpenAI) -> None:
    """The first event waits for first_chunk_delay_s and each later one for chunk_delay_s."""
    provider.script([Answer("abcd", chunk_chars=1, first_chunk_delay_s=0.4, chunk_delay_s=0.02)])

    began = time.monotonic()
    stream = openai.chat.completions.create(model="gpt-4o", messages=CHAT, stream=True)
    headers_at = time.monotonic() - began
    arrivals = [time.monotonic() - began for _ in stream]

    assert headers_at < 0.4 <= arrivals[0]
    assert arrivals[-1] - arrivals[0] >= 0.02 * (len(arrivals) - 1) * 0.9


# --- what it received -------------------------------------------------------------------------------------------------


def test_requests_are_recorded_as_they_came(openai: OpenAI, anthropic: Anthropic, provider: LoopbackProvider) -> None:
    """Method, path, headers, body, model, protocol and stream are there for each call, in order."""
    chat(openai)
    with anthropic.messages.stream(
        model="claude-haiku-5-5", max_tokens=9, messages=[{"role": "user", "content": "hello"}]
    ) as stream:
        stream.until_done()

    first, second = provider.requests
    assert (first.method, first.path) == ("POST", "/v1/chat/completions")
    assert first.headers["authorization"] == "Bearer test"
    assert first.body == {"model": "gpt-4o", "messages": [{"role": "user", "content": "hello"}]}
    assert (first.model, first.protocol, first.stream) == ("gpt-4o", "chat_completions", False)
    assert (second.path, second.protocol, second.stream) == ("/v1/messages", "messages", True)
    assert first.received_at <= second.received_at


def test_the_clock_can_be_injected() -> None:
    """Requests and responses are dated by the given clock."""
    with LoopbackProvider(clock=lambda: 1_700_000_000_500_000_000) as provider:
        _, body = post(provider, "/v1/chat/completions", b'{"model": "m", "messages": []}')

        assert body["created"] == 1_700_000_000
        assert provider.requests[0].received_at == 1_700_000_000_500_000_000


def test_only_the_newest_requests_are_kept() -> None:
    """max_recorded bounds the memory; the oldest go first."""
    with LoopbackProvider(max_recorded=2) as provider:
        for number in range(3):
            post(provider, "/v1/chat/completions", json.dumps({"model": f"m{number}"}).encode())

        assert [request.model for request in provider.requests] == ["m1", "m2"]


def test_many_threads_are_served_and_recorded(provider: LoopbackProvider) -> None:
    """Concurrent calls each get their own answer and none is lost."""
    provider.answer(lambda request: request.model)
    answers: list[str] = []

    def call(number: int) -> None:
        for turn in range(20):
            _, body = post(provider, "/v1/chat/completions", json.dumps({"model": f"m{number}-{turn}"}).encode())
            answers.append(body["choices"][0]["message"]["content"])

    threads = [threading.Thread(target=call, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    expected = {f"m{number}-{turn}" for number in range(8) for turn in range(20)}
    assert set(answers) == {request.model for request in provider.requests} == expected


def test_waiting_for_requests_of_the_background(provider: LoopbackProvider, openai: OpenAI) -> None:
    """wait_for_requests returns once they are there, and says how many came when they are not."""
    background = threading.Timer(0.05, chat, args=(openai,))
    background.start()

    arrived = provider.wait_for_requests(1)

    background.join()
    assert [request.model for request in arrived] == ["gpt-4o"]
    with pytest.raises(TimeoutError, match="1 of 2 requests"):
        provider.wait_for_requests(2, timeout_s=0.01)


# --- models and paths -------------------------------------------------------------------------------------------------


def test_models_are_listed_for_both_sdks(openai: OpenAI, anthropic: Anthropic) -> None:
    """Each SDK reads the list in its own shape, and a single model by name."""
    listed = [model.id for model in openai.models.list()]

    assert "gpt-4o-mini" in listed
    assert [model.id for model in anthropic.models.list()] == listed
    assert openai.models.retrieve("my-model").id == "my-model"
    assert anthropic.models.retrieve("my-model").lifecycle == "active"


def test_a_given_list_of_models_is_all_there_is() -> None:
    """With `models`, any other one gets each provider's 404, and none of the script is used for it."""
    with (
        LoopbackProvider(models=["gpt-4o"]) as provider,
        OpenAI(base_url=provider.openai_base_url, api_key="test") as openai,
        Anthropic(base_url=provider.anthropic_base_url, api_key="test") as anthropic,
    ):
        provider.script(["answer"])

        with pytest.raises(openai_sdk.NotFoundError, match="`gpt-9` does not exist"):
            chat(openai, "gpt-9")
        with pytest.raises(openai_sdk.NotFoundError):
            openai.models.retrieve("gpt-9")
        with pytest.raises(anthropic_sdk.NotFoundError):
            anthropic.messages.create(model="claude-9", max_tokens=9, messages=[{"role": "user", "content": "?"}])

        assert chat(openai) == "answer"
        assert [model.id for model in openai.models.list()] == ["gpt-4o"]


@pytest.mark.parametrize("prefix", ["/v1", "/openai/v1", "/api/v1", ""])
def test_a_gateway_s_prefix_does_not_matter(provider: LoopbackProvider, prefix: str) -> None:
    """The protocol is known by the end of the path."""
    status, body = post(provider, f"{prefix}/chat/completions", b'{"model": "m"}')

    assert (status, body["object"]) == (200, "chat.completion")


def test_an_unknown_path_is_a_404(provider: LoopbackProvider) -> None:
    """A path no provider has gets an error that names it, and is recorded as unknown."""
    status, body = post(provider, "/v1/nothing", b"{}")

    assert status == 404
    assert "POST /v1/nothing" in body["error"]["message"]
    assert provider.requests[0].protocol == "unknown"


@pytest.mark.parametrize("body", [b"{broken", b"[1]", b""])
def test_a_body_that_is_no_object_is_a_400(provider: LoopbackProvider, body: bytes) -> None:
    """What is not a JSON object is refused as the providers do, and recorded empty."""
    status, answer = post(provider, "/v1/chat/completions", body)

    assert (status, answer["error"]["type"]) == (400, "invalid_request_error")
    assert provider.requests[0].body == {}


# --- running ----------------------------------------------------------------------------------------------------------


def test_addresses_are_known_only_while_it_runs() -> None:
    """Each base URL is what its SDK expects; before start() there is none, and the error says what to do."""
    provider = LoopbackProvider()
    with pytest.raises(RuntimeError, match="use it as a context manager, or call start"):
        _ = provider.openai_base_url

    with provider:
        assert provider.openai_base_url == f"http://127.0.0.1:{provider.port}/v1"
        assert provider.anthropic_base_url == provider.azure_endpoint == f"http://127.0.0.1:{provider.port}"


def test_stopping_cuts_a_running_stream_short(
    provider: LoopbackProvider, openai: OpenAI, loopback_threads: Callable[[], list[threading.Thread]]
) -> None:
    """A stream that would last a minute ends with the provider, which stops within a second."""
    provider.script([Answer("abcdef", chunk_chars=1, chunk_delay_s=10.0)])
    stream = openai.chat.completions.create(model="gpt-4o", messages=CHAT, stream=True)
    next(iter(stream))

    began = time.monotonic()
    provider.stop()

    assert time.monotonic() - began < 1.0
    assert loopback_threads() == []
    stream.close()


def test_a_client_that_leaves_a_stream_early_disturbs_nobody(provider: LoopbackProvider, openai: OpenAI) -> None:
    """An abandoned stream frees its connection and the next call is served."""
    provider.script([Answer("abcdef", chunk_chars=1, chunk_delay_s=0.01), "next"])

    with openai.chat.completions.create(model="gpt-4o", messages=CHAT, stream=True) as stream:
        next(iter(stream))

    assert chat(openai) == "next"


def test_a_call_takes_well_under_a_millisecond_of_the_server(provider: LoopbackProvider) -> None:
    """Several hundred calls a second is the least the provider sustains on one core."""
    connection = http.client.HTTPConnection("127.0.0.1", provider.port, timeout=5)
    body = json.dumps({"model": "m", "messages": CHAT})
    calls = 300

    began = time.process_time()
    for _ in range(calls):
        connection.request("POST", "/v1/chat/completions", body)
        connection.getresponse().read()
    cpu_s = time.process_time() - began

    connection.close()
    assert calls / cpu_s > 500


def test_a_fault_in_the_script_takes_its_turn(provider: LoopbackProvider, openai: OpenAI) -> None:
    """Answers and faults mix in one script."""
    provider.script([Fault.server_error(), "recovered"])

    with pytest.raises(openai_sdk.InternalServerError):
        chat(openai)
    assert chat(openai) == "recovered"
