"""Requests to OpenAI's API and their answers, a line each, and the files of its Batch API.

Requests and answers: https://platform.openai.com/docs/api-reference (chat completions, responses, completions,
embeddings). Batch input (`custom_id`, `method`, `url`, `body`) and output (`custom_id`, `response.body`, `error`):
https://platform.openai.com/docs/api-reference/batch/request-input and …/request-output. How a line puts the two
together is the log's own: `{"request": …, "response": …}` under any of the usual names, the request's members beside a
`response`, or the answer alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from tierwise.imports.exchange import answer_object, error_of, read_reply, surface_of, surface_of_answer
from tierwise.imports.logged import BatchOrder, LoggedCall, NotACall, Reading, UnreadableRow
from tierwise.imports.providers import UNKNOWN, provider_and_model
from tierwise.imports.usage import retold_usage
from tierwise.imports.values import first, mapping, moment_ns, money, number, structured, text
from tierwise.instrumentation.sdk import read_parameters

NAME = "openai"
PROVIDER: Final = "openai"

REQUESTS: Final = ("request", "request_kwargs", "kwargs", "request_body", "requestBody", "params", "body", "input")
ANSWERS: Final = ("response", "response_body", "responseBody", "completion", "result", "output", "answer")
STARTS: Final = (
    "start_time",
    "startTime",
    "started_at",
    "request_time",
    "timestamp",
    "created_at",
    "createdAt",
    "time",
    "ts",
    "date",
)
ENDS: Final = ("end_time", "endTime", "ended_at", "response_time", "completed_at")
_LABELS: Final = frozenset(
    {
        "conversation_id",
        "cost",
        "cost_usd",
        "provider",
        "service",
        "service_name",
        "session_id",
        "spend",
        "task",
        "task_type",
        "tenant",
        "thread_id",
        "use_case",
        "use_case_name",
    }
)
"""Members beside the request and the answer in which a log says who made the call and why; most say nothing."""
_NONE: Final[Mapping[str, Any]] = {}
_ASKING: Final = frozenset({"messages", "input", "prompt"})


def claims(row: Mapping[str, Any]) -> bool:
    """Whether the row is a line of a batch, or holds a request or an answer of the API."""
    if "custom_id" in row:
        return "response" in row or "body" in row
    request, answer = parts_of(row)
    if surface_of_answer(answer_object(answer)) is not None:
        return True
    return "model" in request and not _ASKING.isdisjoint(request)


def read(row: Mapping[str, Any], reading: Reading) -> Iterable[LoggedCall | BatchOrder]:
    """The call of the row, or the request of a batch."""
    if "custom_id" in row:
        return [_of_batch(row, reading)]
    request, answer = parts_of(row)
    return [exchanged(row, request, answer, reading, provider=PROVIDER)]


def parts_of(row: Mapping[str, Any]) -> tuple[Mapping[str, Any], Any]:
    """The request and the answer that a row holds; an empty mapping and None where one is missing."""
    answer: Any = structured(first(row, *ANSWERS))
    request: Mapping[str, Any] = {}
    for name in REQUESTS:
        held = mapping(row.get(name))
        if "model" in held or not _ASKING.isdisjoint(held):
            request = held
            break
    if not request and "model" in row and not _ASKING.isdisjoint(row):
        request = {name: value for name, value in row.items() if name not in ANSWERS and name != "usage"}
    if not request and (answer is None or surface_of_answer(answer_object(answer)) is None):
        # The answer alone is the row.
        return {}, row if surface_of_answer(row) is not None else answer
    body = mapping(answer).get("body")
    # HTTP logs put the answer's body beside its status.
    return request, body if body is not None and surface_of_answer(mapping(body)) is not None else answer


def exchanged(
    row: Mapping[str, Any], request: Mapping[str, Any], answer: Any, reading: Reading, *, provider: str
) -> LoggedCall:
    """The call of a request and its answer.

    Args:
        provider: where neither the row nor the model's name tells.

    Raises:
        UnreadableRow: neither names a model.
    """
    whole = answer_object(answer)
    named = text(request.get("model")) or text(whole.get("model")) or text(row.get("model"))
    if named is None:
        raise UnreadableRow("neither the request nor the answer names a model")
    surface = surface_of(request, answer, path=text(first(row, "path", "url", "endpoint")))
    if surface is None:
        raise UnreadableRow("neither the request nor the answer is one of a model's API")
    labels = _NONE if _LABELS.isdisjoint(row) else row
    found, model = provider_and_model(text(labels.get("provider")), named)
    reply = read_reply(surface, answer, with_text=reading.with_text)
    if reply.usage is None:
        reply.usage = retold_usage(mapping(row.get("usage")))
    start_ns = moment_ns(first(row, *STARTS))
    if start_ns is None:
        start_ns = moment_ns(first(whole, "created", "created_at"))
    return LoggedCall(
        provider=provider if found == UNKNOWN else found,
        model=model,
        start_ns=start_ns,
        end_ns=_end_ns(row, start_ns),
        reply=reply,
        operation=surface.operation,
        api=surface.api,
        body=request,
        own_id=text(first(row, "call_id", "request_id", "id")) if request else text(whole.get("id")),
        parameters=read_parameters(surface.parameters, request),
        stream=request.get("stream") is True,
        error_type=error_of(answer) or (error_of(row) if not whole else None),
        stated_usd=money(first(labels, "cost_usd", "cost", "spend")),
        task=text(first(labels, "task_type", "task")),
        use_case_name=text(first(labels, "use_case", "use_case_name")),
        tenant=text(labels.get("tenant")),
        conversation_id=text(first(labels, "conversation_id", "session_id", "thread_id"))
        or surface.conversation(request),
        service_name=text(first(labels, "service", "service_name")),
    )


def _end_ns(row: Mapping[str, Any], start_ns: int | None) -> int | None:
    if (end_ns := moment_ns(first(row, *ENDS))) is not None or start_ns is None:
        return end_ns
    for names, unit_ns in (
        (("latency_ms", "duration_ms", "elapsed_ms"), 1_000_000),
        (("latency_s", "duration_s", "latency", "duration", "elapsed"), 1_000_000_000),
    ):
        spent = number(first(row, *names))
        if spent is not None and 0 <= spent < 1e6:
            return start_ns + int(spent * unit_ns)
    return None


def _of_batch(row: Mapping[str, Any], reading: Reading) -> LoggedCall | BatchOrder:
    response = mapping(row.get("response"))
    if not response:
        if row.get("error"):
            raise NotACall(f"a request that the batch did not carry out: {error_of(row)}")
        return BatchOrder(str(row["custom_id"]), mapping(row.get("body")), text(row.get("url")))
    answer = mapping(response.get("body"))
    status = number(response.get("status_code"))
    if status is not None and status != 200:
        raise NotACall(f"a request that failed in the batch with status {status:.0f}, which costs nothing")
    call = exchanged({}, {}, answer, reading, provider=PROVIDER)
    call.own_id = text(row.get("id")) or call.own_id
    call.reply.service_tier = "batch"
    call.order = str(row["custom_id"])
    return call
