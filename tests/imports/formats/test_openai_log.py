from __future__ import annotations

from typing import Any

import pytest

from tierwise.call import Usage
from tierwise.imports.formats import openai_log
from tierwise.imports.logged import BatchOrder, LoggedCall, NotACall, Reading, UnreadableRow

AT_NS = 1_793_613_600_000_000_000
REQUEST: dict[str, Any] = {"model": "gpt-5.4", "messages": [{"role": "user", "content": "hi"}], "temperature": 0.5}
ANSWER: dict[str, Any] = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1_793_613_600,
    "model": "gpt-5.4-2026-03-05",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "hello"}}],
    "usage": {"prompt_tokens": 9, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 4}},
}


def read(row: dict[str, Any], *, with_text: bool = False) -> LoggedCall:
    assert openai_log.claims(row)
    (call,) = openai_log.read(row, Reading(with_text))
    assert isinstance(call, LoggedCall)
    return call


@pytest.mark.parametrize(
    "row",
    [
        {"request": REQUEST, "response": ANSWER},
        {"kwargs": REQUEST, "completion": ANSWER},
        {"request_body": REQUEST, "response_body": ANSWER},
        {**REQUEST, "response": ANSWER},
        {"request": REQUEST, "response": {"status": 200, "body": ANSWER}},
    ],
    ids=["request", "kwargs", "bodies", "flat", "http"],
)
def test_ways_of_putting_request_and_answer_together(row: dict[str, Any]) -> None:
    """The usual names for the two, and the request's members beside the answer, give the same call."""
    call = read(row)

    assert (call.provider, call.model, call.api) == ("openai", "gpt-5.4", "chat_completions")
    assert (call.reply.id, call.reply.model) == ("chatcmpl-1", "gpt-5.4-2026-03-05")
    assert call.reply.usage == Usage(9, 2, cache_read_tokens=4)
    assert call.reply.finish_reasons == ("stop",)
    assert call.body["messages"] == REQUEST["messages"]
    assert call.parameters == {"gen_ai.request.temperature": 0.5}
    assert call.start_ns == AT_NS


def test_the_answer_alone() -> None:
    """An answer without its request is a call whose task nothing tells."""
    call = read(ANSWER)

    assert (call.model, call.body, call.reply.usage) == (
        "gpt-5.4-2026-03-05",
        {},
        Usage(9, 2, cache_read_tokens=4),
    )


@pytest.mark.parametrize(
    ("beside", "end_ns"),
    [
        ({"timestamp": AT_NS, "latency_ms": 250}, AT_NS + 250_000_000),
        ({"start_time": "2026-11-02T10:00:00Z", "end_time": "2026-11-02T10:00:01Z"}, AT_NS + 1_000_000_000),
        ({"created_at": 1_793_613_600, "duration": 2.5}, AT_NS + 2_500_000_000),
        ({"ts": 1_793_613_600}, None),
    ],
    ids=["latency", "end", "duration", "no end"],
)
def test_times_beside(beside: dict[str, Any], end_ns: int | None) -> None:
    """The log's own time and length go before the answer's."""
    call = read({"request": REQUEST, "response": {**ANSWER, "created": 1}, **beside})

    assert (call.start_ns, call.end_ns) == (AT_NS, end_ns)


def test_labels_beside() -> None:
    """What a log says about who called, and why, is taken over."""
    labels = {"use_case": "mail", "task": "extraction", "tenant": "acme", "session_id": "s", "service": "shop"}

    call = read({"request": REQUEST, "response": ANSWER, **labels, "cost": 0.25, "provider": "azure"})

    assert (call.use_case_name, call.task, call.tenant) == ("mail", "extraction", "acme")
    assert (call.conversation_id, call.service_name, call.provider) == ("s", "shop", "azure.ai.openai")
    assert str(call.stated_usd) == "0.250000000000"


def test_other_surfaces() -> None:
    """Responses, legacy completions and embeddings are told by the answer."""
    response = {
        "id": "resp_1",
        "object": "response",
        "status": "completed",
        "model": "gpt-5.4",
        "output": [{"type": "message", "content": [{"type": "output_text", "text": "hello"}]}],
        "usage": {"input_tokens": 9, "output_tokens": 2, "output_tokens_details": {"reasoning_tokens": 1}},
        "background": True,
    }
    embedding = {
        "object": "list",
        "model": "text-embedding-3-small",
        "data": [{"embedding": [0.1] * 8}],
        "usage": {"prompt_tokens": 5, "total_tokens": 5},
    }

    spoken = read({"request": {"model": "gpt-5.4", "input": "hi"}, "response": response})
    embedded = read({"request": {"model": "text-embedding-3-small", "input": "hi"}, "response": embedding})

    assert (spoken.api, spoken.reply.usage) == ("responses", Usage(9, 2, reasoning_tokens=1))
    assert (embedded.operation, embedded.reply.usage) == ("embeddings", Usage(5, 0))


def test_chunks_of_a_stream() -> None:
    """A list of chunks is one answer."""
    chunk = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "model": "gpt-5.4"}
    chunks = [
        {**chunk, "choices": [{"index": 0, "delta": {"content": "hel"}}]},
        {**chunk, "choices": [{"index": 0, "delta": {"content": "lo"}, "finish_reason": "stop"}]},
        {**chunk, "choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 2}},
    ]

    call = read({"request": {**REQUEST, "stream": True}, "response": chunks}, with_text=True)

    assert (call.reply.usage, call.reply.text, call.stream) == (Usage(9, 2), "hello", True)


def test_an_answer_without_usage_can_be_estimated() -> None:
    """Where no tokens are counted, the answer's length is known; a bare text is an answer, too."""
    without = {name: value for name, value in ANSWER.items() if name != "usage"}

    assert (read({"request": REQUEST, "response": without}).reply.output_chars) == 5
    assert (read({"request": REQUEST, "response": "hello"}).reply.output_chars) == 5


def test_an_error_in_place_of_an_answer() -> None:
    """An error's code is the call's, and it has no usage."""
    call = read({"request": REQUEST, "response": {"error": {"code": "rate_limit_exceeded", "message": "slow down"}}})

    assert (call.error_type, call.reply.usage) == ("rate_limit_exceeded", None)


def test_batch_files() -> None:
    """A batch's output is answers at the batch's price; its input tells what they are for."""
    output = {
        "id": "batch_req_1",
        "custom_id": "row-1",
        "response": {"status_code": 200, "request_id": "r", "body": ANSWER},
        "error": None,
    }
    order = {"custom_id": "row-1", "method": "POST", "url": "/v1/chat/completions", "body": REQUEST}

    call = read(output)
    (ordered,) = openai_log.read(order, Reading())

    assert (call.reply.service_tier, call.order, call.own_id) == ("batch", "row-1", "batch_req_1")
    assert ordered == BatchOrder("row-1", REQUEST, "/v1/chat/completions")
    with pytest.raises(NotACall, match="status 429"):
        read({**output, "response": {"status_code": 429, "body": {}}})
    with pytest.raises(NotACall, match="did not carry out"):
        read({**output, "response": None, "error": {"code": "batch_expired"}})


def test_what_it_leaves_to_others() -> None:
    """Rows that are neither a request nor an answer are not claimed; one without a model is reported."""
    assert not openai_log.claims({"messages": [{"role": "user"}], "label": 1})
    assert not openai_log.claims({"a": 1})
    with pytest.raises(UnreadableRow, match="names a model"):
        read({"request": REQUEST | {"model": ""}, "response": {**ANSWER, "model": None}})
