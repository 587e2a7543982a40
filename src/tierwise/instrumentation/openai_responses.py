"""The openai SDK's Responses API: one answer, or the events of one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tierwise import semconv as sc
from tierwise.call import Usage
from tierwise.instrumentation.sdk import Parameters, Reply, Surface, ToolCall, count, member, number, text

_INCOMPLETE_REASONS = {"max_output_tokens": "length"}
_CALL_TYPES = frozenset({"function_call", "custom_tool_call"})


def _usage(block: Any, web_searches: int) -> Usage | None:
    input_tokens = count(getattr(block, "input_tokens", None))
    output_tokens = count(getattr(block, "output_tokens", None))
    if input_tokens is None and output_tokens is None:
        return None
    read = getattr(block, "input_tokens_details", None)
    written = getattr(block, "output_tokens_details", None)
    return Usage(
        input_tokens,
        output_tokens,
        cache_read_tokens=count(getattr(read, "cached_tokens", None)) or 0,
        cache_write_tokens=count(getattr(read, "cache_write_tokens", None)) or 0,
        reasoning_tokens=count(getattr(written, "reasoning_tokens", None)) or 0,
        web_searches=web_searches,
    )


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
    items = getattr(response, "output", None) or ()
    kinds = [getattr(item, "type", None) for item in items]
    usage = _usage(getattr(response, "usage", None), kinds.count("web_search_call"))
    status = getattr(response, "status", None)
    reply = Reply(
        id=getattr(response, "id", None),
        model=getattr(response, "model", None),
        usage=usage,
        service_tier=getattr(response, "service_tier", None),
    )
    if status == "incomplete":
        reason = getattr(getattr(response, "incomplete_details", None), "reason", None) or "incomplete"
        reply.finish_reasons = (_INCOMPLETE_REASONS.get(reason, reason),)
    elif status == "failed":
        reply.finish_reasons = ("error",)
        reply.error_type = getattr(getattr(response, "error", None), "code", None) or "failed"
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
            response = getattr(chunk, "response", None)
            self._first = Reply(id=getattr(response, "id", None), model=getattr(response, "model", None))
        elif kind in ("response.completed", "response.incomplete", "response.failed"):
            self._final = _read(getattr(chunk, "response", None), self._with_text)
        elif kind == "error":
            self._error_type = getattr(chunk, "code", None) or "error"

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


RESPONSES = Surface("chat", "responses", _PARAMETERS, _read, ResponsesAccumulator, conversation=_conversation)
# The result is encrypted for the model that made it.
RESPONSES_COMPACT = Surface("chat", "responses", _PARAMETERS, _read, routable=False)
