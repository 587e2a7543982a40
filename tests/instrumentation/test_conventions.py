"""Spans against the GenAI conventions, surface by surface, over the wire."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from tierwise import use_case
from tierwise.testing import Fault, LoopbackProvider

if TYPE_CHECKING:
    from .conftest import Caller, Spans

SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": False, "required": ["a"]}

OPENAI_PARAMETERS: dict[str, Any] = {
    "temperature": 0.5,
    "top_p": 0.9,
    "frequency_penalty": 0.1,
    "presence_penalty": 0.2,
    "seed": 7,
    "n": 3,
    "stop": "END",
}
OPENAI_SAYS: dict[str, Any] = {
    "gen_ai.request.temperature": 0.5,
    "gen_ai.request.top_p": 0.9,
    "gen_ai.request.frequency_penalty": 0.1,
    "gen_ai.request.presence_penalty": 0.2,
    "gen_ai.request.seed": 7,
    "gen_ai.request.choice.count": 3,
    "gen_ai.request.stop_sequences": ("END",),
}

PARAMETERS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "chat_completions": (
        {
            **OPENAI_PARAMETERS,
            "max_completion_tokens": 50,
            "top_logprobs": 5,
            "logprobs": True,
            "reasoning_effort": "low",
            "service_tier": "auto",
            "response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": SCHEMA}},
        },
        {
            **OPENAI_SAYS,
            "gen_ai.request.max_tokens": 50,
            "gen_ai.request.reasoning.level": "low",
            "gen_ai.output.type": "json",
            "openai.request.service_tier": "auto",
        },
    ),
    "completions": ({**OPENAI_PARAMETERS, "max_tokens": 50}, {**OPENAI_SAYS, "gen_ai.request.max_tokens": 50}),
    "responses": (
        {
            "temperature": 0.5,
            "top_p": 0.9,
            "max_output_tokens": 50,
            "reasoning": {"effort": "low"},
            "previous_response_id": "resp_0",
            "service_tier": "flex",
            "text": {"format": {"type": "json_schema", "name": "s", "schema": SCHEMA}},
            "conversation": {"id": "conv_1"},
        },
        {
            "gen_ai.request.temperature": 0.5,
            "gen_ai.request.top_p": 0.9,
            "gen_ai.request.max_tokens": 50,
            "gen_ai.request.reasoning.level": "low",
            "gen_ai.request.previous_response.id": "resp_0",
            "gen_ai.output.type": "json",
            "gen_ai.conversation.id": "conv_1",
            "openai.request.service_tier": "flex",
        },
    ),
    "messages": (
        {
            "stop_sequences": ["END"],
            # Which of these are arguments differs between versions of the SDK.
            "extra_body": {
                "temperature": 0.5,
                "top_p": 0.9,
                "top_k": 40,
                "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": SCHEMA}},
            },
        },
        {
            "gen_ai.request.temperature": 0.5,
            "gen_ai.request.top_p": 0.9,
            "gen_ai.request.top_k": 40,
            "gen_ai.request.max_tokens": 100,
            "gen_ai.request.stop_sequences": ("END",),
            "gen_ai.request.reasoning.level": "low",
            "gen_ai.output.type": "json",
        },
    ),
}
PARAMETERS["beta_messages"] = PARAMETERS["messages"]


def requested(attributes: dict[str, Any]) -> dict[str, Any]:
    """What a span says about the request, but for the model."""
    ours = ("gen_ai.request.", "gen_ai.output.type", "gen_ai.conversation.", "openai.request.")
    return {
        key: value for key, value in attributes.items() if key.startswith(ours) and not key.endswith("request.model")
    }


def test_request_parameters(caller: Caller, instrumented: Spans) -> None:
    """Every parameter that the conventions know is on the span, and `top_logprobs` is no `top_k`."""
    given, said = PARAMETERS[caller.api]

    caller.create(**given)

    assert requested(instrumented.only.attributes) == said


def test_what_a_request_leaves_out(caller: Caller, instrumented: Spans) -> None:
    """A bare request has nothing but what its API makes it say; one choice is not mentioned, nor is a conversation."""
    caller.create(**({"n": 1} if caller.api in ("chat_completions", "completions") else {}))

    said = requested(instrumented.only.attributes)
    said.pop("gen_ai.request.max_tokens", None)
    assert said == {}


def test_streams_are_marked(caller: Caller, instrumented: Spans) -> None:
    """`gen_ai.request.stream` is there for streams, and never false."""
    caller.create()
    caller.stream().read()

    plain, streamed = instrumented.ended
    assert "gen_ai.request.stream" not in plain.attributes
    assert streamed.attributes["gen_ai.request.stream"] is True
    assert streamed.attributes["gen_ai.response.time_to_first_chunk"] > 0


def test_the_declared_conversation(caller: Caller, instrumented: Spans) -> None:
    """A declared conversation is the call's, on every API."""
    with use_case("support", conversation="ticket-1"):
        caller.create()

    assert instrumented.only.attributes["gen_ai.conversation.id"] == "ticket-1"


def test_the_declared_conversation_beats_the_requests(
    make_caller: Callable[[str, bool], Caller], instrumented: Spans
) -> None:
    """What the application calls its conversation goes before the provider's name for it."""
    with use_case("support", conversation="ticket-1"):
        make_caller("responses", False).create(conversation="conv_1")

    assert instrumented.only.attributes["gen_ai.conversation.id"] == "ticket-1"


@pytest.mark.parametrize(
    ("fault", "error_type"),
    [
        (Fault.http_status(400), "BadRequestError"),
        (Fault.http_status(401), "AuthenticationError"),
        (Fault.http_status(403), "PermissionDeniedError"),
        (Fault.http_status(404), "NotFoundError"),
        (Fault.http_status(409), "ConflictError"),
        (Fault.http_status(422), "UnprocessableEntityError"),
        (Fault.rate_limited(), "RateLimitError"),
        (Fault.server_error(), "InternalServerError"),
        (Fault.http_status(418), "APIStatusError"),
        (Fault.disconnect(), "APIConnectionError"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@pytest.mark.parametrize("api", ["chat_completions", "responses", "messages"])
def test_error_types(
    fault: Fault,
    error_type: str,
    api: str,
    make_caller: Callable[[str, bool], Caller],
    provider: LoopbackProvider,
    instrumented: Spans,
) -> None:
    """`error.type` is the class of the exception that reaches the caller, by the same name for both SDKs."""
    caller = make_caller(api, False)
    provider.script([fault])
    with pytest.raises(caller.sdk.APIError) as raised:
        caller.create()

    span = instrumented.only
    assert span.attributes["error.type"] == error_type == type(raised.value).__name__
    assert (span.status, span.description) == ("ERROR", None)
    assert span.events == ()


@pytest.mark.parametrize("api", ["chat_completions", "messages"])
def test_error_types_in_streams(
    api: str, make_caller: Callable[[str, bool], Caller], provider: LoopbackProvider, instrumented: Spans
) -> None:
    """An error event in the middle of a stream is an error of the call, by the class that the SDK raises."""
    caller = make_caller(api, False)
    provider.script([Fault.error_mid_stream()])
    with pytest.raises(caller.sdk.APIError) as raised:
        caller.stream().read()

    assert instrumented.only.attributes["error.type"] == type(raised.value).__name__


def test_error_codes_in_streams(
    make_caller: Callable[[str, bool], Caller], provider: LoopbackProvider, instrumented: Spans
) -> None:
    """The error event of a Responses stream reaches the caller as an event: its code is the error's type."""
    provider.script([Fault.error_mid_stream()])
    events = make_caller("responses", False).stream().read()

    assert events[-1].type == "error"
    assert instrumented.only.attributes["error.type"] == (events[-1].code or "error")
