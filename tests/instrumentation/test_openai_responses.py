from __future__ import annotations

import json
from typing import Any

import pytest

from tierwise import semconv as sc
from tierwise.call import Usage
from tierwise.instrumentation.openai_responses import BACKGROUND_RESPONSES, DECISIONS, RESPONSES, RESPONSES_COMPACT
from tierwise.instrumentation.sdk import ToolCall, as_object, read_parameters

MESSAGE = {"type": "message", "content": [{"type": "output_text", "text": "Paris"}]}
USAGE = {
    "input_tokens": 100,
    "output_tokens": 20,
    "input_tokens_details": {"cached_tokens": 64, "cache_write_tokens": 8},
    "output_tokens_details": {"reasoning_tokens": 5},
}
COMPLETED = {"id": "r1", "model": "gpt-4o", "status": "completed", "output": [MESSAGE], "usage": USAGE}


def read(body: dict[str, Any], with_text: bool = False) -> Any:
    return RESPONSES.read(as_object(json.dumps(body)), with_text)


def accumulate(*events: dict[str, Any], with_text: bool = False) -> Any:
    assert RESPONSES.accumulator is not None
    accumulator = RESPONSES.accumulator(with_text)
    for event in events:
        accumulator.add(as_object(json.dumps(event)))
    return accumulator.reply()


def test_parameters() -> None:
    """Request parameters are recorded under the conventions' names."""
    body = {
        "temperature": 1,
        "top_p": 0.5,
        "max_output_tokens": 100,
        "reasoning": {"effort": "high"},
        "previous_response_id": "r0",
        "service_tier": "priority",
        "text": {"format": {"type": "json_schema"}},
    }

    assert read_parameters(RESPONSES.parameters, body) == {
        sc.REQUEST_TEMPERATURE: 1.0,
        sc.REQUEST_TOP_P: 0.5,
        sc.REQUEST_MAX_TOKENS: 100,
        sc.REQUEST_REASONING_LEVEL: "high",
        sc.REQUEST_PREVIOUS_RESPONSE_ID: "r0",
        sc.OPENAI_REQUEST_SERVICE_TIER: "priority",
        sc.OUTPUT_TYPE: "json",
    }


@pytest.mark.parametrize(("given", "found"), [("c1", "c1"), ({"id": "c1"}, "c1"), (None, None), (7, None)])
def test_conversation(given: Any, found: str | None) -> None:
    """The conversation is the one the request names, by id or as an object."""
    assert RESPONSES.conversation({"conversation": given}) == found


def test_completed() -> None:
    """A completed response tells its totals and their parts."""
    reply = read(COMPLETED, with_text=True)

    assert reply.usage == Usage(100, 20, cache_read_tokens=64, cache_write_tokens=8, reasoning_tokens=5)
    assert (reply.id, reply.model, reply.finish_reasons, reply.text) == ("r1", "gpt-4o", ("stop",), "Paris")


def test_tool_calls() -> None:
    """A response that calls functions finishes for that reason."""
    call = {"type": "function_call", "name": "lookup", "arguments": '{"city": "Paris"}', "call_id": "t1"}

    reply = read({**COMPLETED, "output": [call]}, with_text=True)

    assert reply.finish_reasons == ("tool_calls",)
    assert reply.tool_calls == (ToolCall("lookup", '{"city": "Paris"}', "t1"),)


def test_web_searches() -> None:
    """Each web search is counted: it is billed beside the tokens."""
    searches = [{"type": "web_search_call"}, {"type": "web_search_call"}]

    assert read({**COMPLETED, "output": [*searches, MESSAGE]}).usage.web_searches == 2


def test_incomplete() -> None:
    """A response cut off by its limit finishes for `length`."""
    body = {**COMPLETED, "status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}

    assert read(body).finish_reasons == ("length",)


def test_failed() -> None:
    """A response that failed is an error by the provider's own code."""
    reply = read({**COMPLETED, "status": "failed", "error": {"code": "server_error", "message": "secret"}})

    assert (reply.error_type, reply.finish_reasons) == ("server_error", ("error",))


@pytest.mark.parametrize("status", ["queued", "in_progress"])
def test_background(status: str) -> None:
    """A response that is still being made says nothing about its usage, and none is made up."""
    reply = read({"id": "r1", "status": status, "output": [], "usage": None})

    assert (reply.usage, reply.complete) == (Usage(), False)
    assert reply.finish_reasons == ()


@pytest.mark.parametrize("kind", ["response.completed", "response.incomplete", "response.failed"])
def test_streamed(kind: str) -> None:
    """The closing event carries the whole response."""
    body = {**COMPLETED, "status": kind.partition(".")[2]}

    reply = accumulate(
        {"type": "response.created", "response": {"id": "r1", "model": "gpt-4o"}},
        {"type": "response.output_text.delta", "delta": "Paris"},
        {"type": kind, "response": body},
        with_text=True,
    )

    assert reply.usage.input_tokens == 100
    assert reply.text == "Paris"
    assert reply.complete


def test_left_early() -> None:
    """Without a closing event the answer is incomplete, and known by what came."""
    reply = accumulate(
        {"type": "response.created", "response": {"id": "r1", "model": "gpt-4o"}},
        {"type": "response.output_text.delta", "delta": "Par"},
        {"type": "response.reasoning_summary_text.delta", "delta": "thinking"},
        {"type": "response.something.delta", "delta": {"of": "another kind"}},
        {"no": "type"},
        with_text=True,
    )

    assert (reply.id, reply.complete, reply.usage) == ("r1", False, None)
    assert (reply.text, reply.output_chars) == ("Par", 11)


def test_error_event() -> None:
    """An error event is the call's error."""
    assert accumulate({"type": "error", "code": "overloaded", "message": "secret"}).error_type == "overloaded"


def test_compacting_is_not_routed() -> None:
    """A compacted context can be read only by the model that made it."""
    assert not RESPONSES_COMPACT.routable


@pytest.mark.parametrize(
    ("items", "body", "searches", "units"),
    [
        ([{"type": "web_search_call", "action": {"type": "search"}}] * 2, {}, 2, ()),
        ([{"type": "web_search_call", "action": {"type": "open_page"}}, {"type": "web_search_call"}], {}, 1, ()),
        ([{"type": "web_search_call"}] * 3, {"tool_usage": {"web_search": {"num_requests": 1}}}, 1, ()),
        ([{"type": "file_search_call"}] * 2, {}, 0, (("storage_searches", 2),)),
        ([{"type": "code_interpreter_call", "container_id": "c"}] * 2, {}, 0, (("code_executions", 1),)),
        ([{"type": "image_generation_call"}], {}, 0, (("image_generations", 1),)),
        ([{"type": "mcp_call"}], {"tool_usage": {"web_search": {"num_requests": 9}}}, 0, ()),
    ],
)
def test_hosted_tools(items: list[Any], body: dict[str, Any], searches: int, units: tuple[Any, ...]) -> None:
    """Searches, files, containers and images are billed beside the tokens, as the API counts them where it does."""
    usage = read({**COMPLETED, "output": [*items, MESSAGE], **body}).usage

    assert (usage.web_searches, usage.units) == (searches, units)


def test_long_lived_cache_writes() -> None:
    """Writes to the cache of twelve hours are told from the others, whose price may not be theirs."""
    details = {"cached_tokens": 0, "cache_write_tokens": 50, "cache_write_tokens_details": {"ttl_12h_tokens": 30}}

    usage = read({**COMPLETED, "usage": {**USAGE, "input_tokens_details": details}}).usage

    assert (usage.cache_write_tokens, usage.units) == (50, (("cache_write_12h_tokens", 30),))


def test_decision() -> None:
    """A decision reports usage as a response does, and answers in JSON."""
    reply = DECISIONS.read(as_object(json.dumps({"model": "gpt-6-luna", "answers": [], "usage": USAGE})), False)

    assert reply.usage == Usage(100, 20, cache_read_tokens=64, cache_write_tokens=8, reasoning_tokens=5)
    assert reply.extra == {sc.OUTPUT_TYPE: "json"}
    assert not DECISIONS.routable


@pytest.mark.parametrize(
    "body",
    [
        {**COMPLETED, "background": False},
        {**COMPLETED, "background": True, "status": "in_progress"},
        {**COMPLETED, "background": True, "status": "cancelled", "usage": None},
        {"type": "response.output_text.delta", "delta": "a"},
    ],
)
def test_nothing_to_book(body: dict[str, Any]) -> None:
    """What is not done, not of the background, or was not billed is not booked."""
    reader = BACKGROUND_RESPONSES.reader("r1")
    assert reader is not None

    reader.add(as_object(json.dumps(body)))

    assert list(reader.bookings()) == []
