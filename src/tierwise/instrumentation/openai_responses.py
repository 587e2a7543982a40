"""The openai SDK's Responses API: one answer, the events of one, or one that is made in the background.

Decisions are here, too: they report usage as responses do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from re import compile as regex
from typing import Any

from tierwise import semconv as sc
from tierwise.call import Usage
from tierwise.instrumentation import orders
from tierwise.instrumentation.sdk import (
    Booking,
    LateBill,
    Parameters,
    Reply,
    Surface,
    ToolCall,
    attributed,
    count,
    error_code,
    member,
    number,
    text,
    units,
)

_INCOMPLETE_REASONS = {"max_output_tokens": "length"}
_BILLED_TOOLS = frozenset({"code_interpreter_call", "file_search_call", "image_generation_call", "web_search_call"})
_TERMINAL = frozenset({"cancelled", "completed", "failed", "incomplete"})
_CALL_TYPES = frozenset({"function_call", "custom_tool_call"})


_BILLED_LATER = "billed when the background response is retrieved"


def _usage(block: Any) -> Usage | None:
    input_tokens = count(getattr(block, "input_tokens", None))
    output_tokens = count(getattr(block, "output_tokens", None))
    if input_tokens is None and output_tokens is None:
        return None
    read = attributed(getattr(block, "input_tokens_details", None))
    written = attributed(getattr(block, "output_tokens_details", None))
    return Usage(
        input_tokens,
        output_tokens,
        cache_read_tokens=count(getattr(read, "cached_tokens", None)) or 0,
        cache_write_tokens=count(getattr(read, "cache_write_tokens", None)) or 0,
        reasoning_tokens=count(getattr(written, "reasoning_tokens", None)) or 0,
    )


def _with_tools(usage: Usage, response: Any, items: Sequence[Any], kinds: Sequence[Any]) -> Usage:
    """`usage` with what is billed beside the tokens: the hosted tools, and writes to the longer-lived cache."""
    details = attributed(getattr(getattr(response, "usage", None), "input_tokens_details", None))
    lifetimes = attributed(getattr(details, "cache_write_tokens_details", None))
    long_lived = getattr(lifetimes, "ttl_12h_tokens", None)
    if not long_lived and _BILLED_TOOLS.isdisjoint(kinds):
        return usage
    tool_usage = attributed(getattr(response, "tool_usage", None))
    reported = count(getattr(getattr(tool_usage, "web_search", None), "num_requests", None))
    searches = [item for item, kind in zip(items, kinds, strict=True) if kind == "web_search_call"]
    containers = {
        getattr(item, "container_id", None)
        for item, kind in zip(items, kinds, strict=True)
        if kind == "code_interpreter_call"
    }
    return replace(
        usage,
        # Opening a page, or finding something in one, is no search.
        web_searches=sum(map(_is_search, searches)) if reported is None else reported,
        units=units(
            storage_searches=kinds.count("file_search_call"),
            # Billed by the container, which several calls may share.
            code_executions=len(containers),
            # Made by a model of its own, whose tokens are not among these.
            image_generations=kinds.count("image_generation_call"),
            # The list has one price for a write, whichever the cache's lifetime.
            cache_write_12h_tokens=long_lived,
        ),
    )


def _is_search(item: Any) -> bool:
    return getattr(getattr(item, "action", None), "type", "search") == "search"


def _output_type(text_options: Any) -> str | None:
    kind = member(member(text_options, "format"), "type")
    return None if kind is None else "text" if kind == "text" else "json"


def _effort(reasoning: Any) -> str | None:
    return text(member(reasoning, "effort"))


_PARAMETERS: Parameters = {
    "temperature": ((sc.REQUEST_TEMPERATURE, number),),
    "top_p": ((sc.REQUEST_TOP_P, number),),
    "max_output_tokens": ((sc.REQUEST_MAX_TOKENS, count),),
    "reasoning": ((sc.REQUEST_REASONING_LEVEL, _effort),),
    "previous_response_id": ((sc.REQUEST_PREVIOUS_RESPONSE_ID, text),),
    "service_tier": ((sc.OPENAI_REQUEST_SERVICE_TIER, text),),
    "text": ((sc.OUTPUT_TYPE, _output_type),),
}


def _conversation(body: Mapping[str, Any]) -> str | None:
    conversation = body.get("conversation")
    return text(conversation) or text(member(conversation, "id"))


def _read(response: Any, with_text: bool) -> Reply:
    response = attributed(response)
    reply = _described(response, with_text)
    if getattr(response, "background", None) is True:
        if not reply.complete:
            reply.billed_later = _BILLED_LATER
        elif reply.id is not None and not orders.book(reply.id):
            reply.usage, reply.billed_later = Usage(), "billed already, when the background response was retrieved"
    return reply


def _described(response: Any, with_text: bool) -> Reply:
    items = attributed(getattr(response, "output", None)) or ()
    kinds = [getattr(item, "type", None) for item in items]
    usage = _usage(getattr(response, "usage", None))
    status = getattr(response, "status", None)
    reply = Reply(
        id=getattr(response, "id", None),
        model=getattr(response, "model", None),
        usage=None if usage is None else _with_tools(usage, response, items, kinds),
        service_tier=getattr(response, "service_tier", None),
    )
    if status == "incomplete":
        reason = getattr(getattr(response, "incomplete_details", None), "reason", None) or "incomplete"
        reply.finish_reasons = (_INCOMPLETE_REASONS.get(reason, reason),)
    elif status == "failed":
        reply.finish_reasons = ("error",)
        reply.error_type = error_code(getattr(getattr(response, "error", None), "code", None), "failed")
    elif status in ("queued", "in_progress"):
        # A background response: what it will use is not known yet, and nothing to estimate from.
        reply.usage, reply.complete = Usage(), False
    elif status == "completed":
        reply.finish_reasons = ("stop" if _CALL_TYPES.isdisjoint(kinds) else "tool_calls",)
    if with_text or reply.usage is None:
        _read_items(items, reply)
    return reply


def _read_items(items: Any, reply: Reply) -> None:
    texts: list[str] = []
    calls: list[ToolCall] = []
    for item in items:
        kind = getattr(item, "type", None)
        if kind == "message":
            for part in getattr(item, "content", None) or ():
                reply.refused = reply.refused or bool(getattr(part, "refusal", None))
                texts.append(getattr(part, "text", None) or getattr(part, "refusal", None) or "")
        elif kind in _CALL_TYPES:
            arguments = getattr(item, "arguments", None) or getattr(item, "input", None) or ""
            calls.append(ToolCall(getattr(item, "name", None) or "", arguments, getattr(item, "call_id", None)))
    reply.text, reply.tool_calls = "".join(texts), tuple(calls)
    reply.output_chars = len(reply.text) + sum(len(call.name) + len(call.arguments) for call in calls)


class ResponsesAccumulator:
    """A streamed response: its closing event carries all of it, the deltas only count for one that never closed."""

    __slots__ = ("_chars", "_error_type", "_final", "_first", "_texts", "_with_text")

    def __init__(self, with_text: bool) -> None:
        self._with_text = with_text
        self._first: Reply | None = None
        self._final: Reply | None = None
        self._error_type: str | None = None
        self._chars = 0
        self._texts: list[str] | None = [] if with_text else None

    def add(self, chunk: Any) -> None:
        kind = getattr(chunk, "type", None)
        if kind is None:
            return
        if kind.endswith(".delta"):
            delta = getattr(chunk, "delta", None)
            if isinstance(delta, str):
                self._chars += len(delta)
                if self._texts is not None and kind == "response.output_text.delta":
                    self._texts.append(delta)
        elif kind == "response.created":
            response = attributed(getattr(chunk, "response", None))
            self._first = Reply(id=getattr(response, "id", None), model=getattr(response, "model", None))
            if getattr(response, "background", None) is True:
                # It goes on without this stream.
                self._first.usage, self._first.billed_later = Usage(), _BILLED_LATER
        elif kind in ("response.completed", "response.incomplete", "response.failed"):
            self._final = _read(getattr(chunk, "response", None), self._with_text)
        elif kind == "error":
            self._error_type = error_code(getattr(chunk, "code", None), "error")

    def reply(self) -> Reply:
        reply = self._final or self._first or Reply()
        if self._final is None:
            reply.complete = False
            reply.finish_reasons = ("error",)
            reply.error_type = self._error_type
            reply.text = "".join(self._texts or ())
        if reply.usage is None:
            reply.output_chars = self._chars
        return reply


class BackgroundReader:
    """A background response, retrieved: at once, or as the events of what is left of it."""

    in_lines = False

    def __init__(self, response_id: str) -> None:
        self._id = response_id
        self._final: Any = None

    def add(self, document: Any) -> bool:
        response = getattr(document, "response", document)
        if getattr(response, "background", None) is True and getattr(response, "status", None) in _TERMINAL:
            self._final = response
        return self._final is not None

    def bookings(self) -> Iterable[Booking]:
        if self._final is None:
            return
        reply = _described(self._final, False)
        if reply.usage is None:
            # One that was cancelled, or failed before it began.
            return
        ordered_s = number(getattr(self._final, "created_at", None))
        yield Booking(self._id, "fetch_response", "responses", reply, (reply.usage,), ordered_s=ordered_s)


def _background_reader(response_id: str) -> BackgroundReader | None:
    return None if orders.is_booked(response_id) else BackgroundReader(response_id)


def _read_decision(decision: Any, _: bool) -> Reply:
    return Reply(
        model=getattr(decision, "model", None),
        finish_reasons=("stop",),
        usage=_usage(getattr(decision, "usage", None)),
        extra={sc.OUTPUT_TYPE: "json"},
    )


RESPONSES = Surface("chat", "responses", _PARAMETERS, _read, ResponsesAccumulator, conversation=_conversation)
# The result is encrypted for the model that made it.
RESPONSES_COMPACT = Surface("chat", "responses", _PARAMETERS, _read, routable=False)
BACKGROUND_RESPONSES = LateBill(regex(r".*/responses/(?P<id>[^/]+)"), _background_reader)
# One model gives the probabilities that its callers' thresholds are set to.
DECISIONS = Surface("generate_content", "decisions", {}, _read_decision, routable=False)
