"""The anthropic SDK's Messages API, beta included: one message, the events of one, or the results of a batch."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from re import compile as regex
from typing import Any

from tierwise import semconv as sc
from tierwise.call import Usage
from tierwise.instrumentation.batches import Tally
from tierwise.instrumentation.sdk import (
    Booking,
    LateBill,
    Parameters,
    Reply,
    Sdk,
    Surface,
    ToolCall,
    attributed,
    count,
    estimated_tokens,
    member,
    number,
    stop_sequences,
    text,
    units,
)

_COUNTS = (
    "input_tokens",
    "output_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
    "server_tool_use",
    "output_tokens_details",
    "cache_creation",
    "iterations",
    "service_tier",
    "speed",
    "inference_geo",
)
"""The members of a usage block that are read."""


def _usage(block: Mapping[str, Any], model: Any = None) -> Usage | None:
    """A usage block's members as our totals: `input_tokens` on this wire is only what no cache served.

    Args:
        model: the one that answered; tokens of others, such as an advisor, are kept apart, having prices of their own.
    """
    fresh = count(block.get("input_tokens"))
    output_tokens = count(block.get("output_tokens"))
    if fresh is None and output_tokens is None:
        return None
    read = count(block.get("cache_read_input_tokens")) or 0
    written = count(block.get("cache_creation_input_tokens")) or 0
    five_minutes, one_hour = _lifetimes(block.get("cache_creation"), written)
    usage = Usage(
        None if fresh is None else fresh + read + written,
        output_tokens,
        cache_read_tokens=read,
        cache_write_tokens=written,
        cache_write_5m_tokens=five_minutes,
        cache_write_1h_tokens=one_hour,
        reasoning_tokens=count(getattr(block.get("output_tokens_details"), "thinking_tokens", None)) or 0,
        web_searches=count(getattr(block.get("server_tool_use"), "web_search_requests", None)) or 0,
    )
    others = 0
    for iteration in block.get("iterations") or ():
        # Compacting a context is billed, but not part of the block's totals.
        kind, by = getattr(iteration, "type", None), getattr(iteration, "model", None)
        if kind == "compaction" and (part := _usage(_members(iteration))) is not None:
            usage = _sum(usage, part)
        elif by is not None and model is not None and by != model and (part := _usage(_members(iteration))) is not None:
            others += (part.input_tokens or 0) + (part.output_tokens or 0)
    return replace(usage, units=units(other_models_tokens=others)) if others else usage


def _lifetimes(split: Any, written: int) -> tuple[int, int]:
    """Cache writes by lifetime, (five minutes, one hour), adding up to `written`.

    A stream gives the split in its first event only, while later ones may raise the total, so the split is scaled.
    """
    five_minutes = count(getattr(split, "ephemeral_5m_input_tokens", None)) or 0
    one_hour = count(getattr(split, "ephemeral_1h_input_tokens", None)) or 0
    known = five_minutes + one_hour
    if known in (0, written):
        return five_minutes, one_hour
    one_hour = round(written * one_hour / known)
    return written - one_hour, one_hour


def _sum(one: Usage, other: Usage) -> Usage:
    return replace(
        one,
        input_tokens=(one.input_tokens or 0) + (other.input_tokens or 0),
        output_tokens=(one.output_tokens or 0) + (other.output_tokens or 0),
        cache_read_tokens=one.cache_read_tokens + other.cache_read_tokens,
        cache_write_tokens=one.cache_write_tokens + other.cache_write_tokens,
        cache_write_5m_tokens=one.cache_write_5m_tokens + other.cache_write_5m_tokens,
        cache_write_1h_tokens=one.cache_write_1h_tokens + other.cache_write_1h_tokens,
    )


def _members(block: Any) -> dict[str, Any]:
    """What a usage block says, without what it leaves out."""
    said = ((name, getattr(block, name, None)) for name in _COUNTS)
    return {name: attributed(value) for name, value in said if value is not None}


def _tier(block: Mapping[str, Any]) -> str | None:
    # Fast mode has prices of its own, above the tier's.
    return "fast" if block.get("speed") == "fast" else block.get("service_tier")


def _region(block: Mapping[str, Any]) -> str | None:
    geo = text(block.get("inference_geo"))
    return None if geo in _ANYWHERE else geo


def _effort(output_config: Any) -> str | None:
    return text(member(output_config, "effort"))


def _configured_output(output_config: Any) -> str | None:
    return "json" if member(output_config, "format") else None


def _formatted_output(output_format: Any) -> str | None:
    return "json" if isinstance(output_format, Mapping) else None


_ANYWHERE = frozenset({None, "global", "not_available"})
"""Where a message is processed when nobody asked, and pays, for a region."""

_PARAMETERS: Parameters = {
    "max_tokens": ((sc.REQUEST_MAX_TOKENS, count),),
    "temperature": ((sc.REQUEST_TEMPERATURE, number),),
    "top_p": ((sc.REQUEST_TOP_P, number),),
    "top_k": ((sc.REQUEST_TOP_K, count),),
    "stop_sequences": ((sc.REQUEST_STOP_SEQUENCES, stop_sequences),),
    "output_config": ((sc.REQUEST_REASONING_LEVEL, _effort), (sc.OUTPUT_TYPE, _configured_output)),
    "output_format": ((sc.OUTPUT_TYPE, _formatted_output),),
}


def _read(message: Any, with_text: bool) -> Reply:
    block = _members(getattr(message, "usage", None))
    reason = getattr(message, "stop_reason", None)
    reply = Reply(
        id=getattr(message, "id", None),
        model=getattr(message, "model", None),
        finish_reasons=(reason or "error",),
        usage=_usage(block, getattr(message, "model", None)),
        service_tier=_tier(block),
        region=_region(block),
    )
    if with_text or reply.usage is None:
        texts: list[str] = []
        calls: list[ToolCall] = []
        for part in getattr(message, "content", None) or ():
            kind = getattr(part, "type", None)
            if kind == "text":
                texts.append(text(getattr(part, "text", None)) or "")
            elif kind == "tool_use":
                calls.append(_tool_use(part))
        reply.text, reply.tool_calls = "".join(texts), tuple(calls)
        reply.output_chars = len(reply.text) + sum(len(call.name) + len(call.arguments) for call in calls)
    return reply


def _tool_use(part: Any) -> ToolCall:
    given: Any = getattr(part, "input", None)
    # A raw answer is read as namespaces, which JSON knows through their members.
    return ToolCall(getattr(part, "name", None) or "", json.dumps(given, default=vars), getattr(part, "id", None))


class MessageAccumulator:
    """A streamed message. `message_delta` repeats cumulative counts, which replace those of `message_start`."""

    __slots__ = ("_block", "_calls", "_chars", "_counted", "_id", "_model", "_reason", "_texts")

    def __init__(self, with_text: bool) -> None:
        self._id: str | None = None
        self._model: str | None = None
        self._reason: str | None = None
        self._block: dict[str, Any] = {}
        self._counted = False
        self._chars = 0
        self._texts: list[str] | None = [] if with_text else None
        self._calls: dict[int, ToolCall] = {}

    def add(self, chunk: Any) -> None:
        kind = getattr(chunk, "type", None)
        if kind == "content_block_delta":
            self._add_delta(chunk)
        elif kind == "message_start":
            message = getattr(chunk, "message", None)
            self._id, self._model = getattr(message, "id", None), getattr(message, "model", None)
            self._block = _members(getattr(message, "usage", None))
        elif kind == "message_delta":
            self._reason = getattr(getattr(chunk, "delta", None), "stop_reason", None) or self._reason
            self._block.update(_members(getattr(chunk, "usage", None)))
            self._counted = True
        elif kind == "content_block_start" and self._texts is not None:
            part = getattr(chunk, "content_block", None)
            if getattr(part, "type", None) == "tool_use":
                name, call_id = getattr(part, "name", None) or "", getattr(part, "id", None)
                self._calls[getattr(chunk, "index", None) or 0] = ToolCall(name, "", call_id)

    def _add_delta(self, chunk: Any) -> None:
        delta = getattr(chunk, "delta", None)
        kind = getattr(delta, "type", None)
        if kind == "text_delta":
            words = getattr(delta, "text", None) or ""
            self._chars += len(words)
            if self._texts is not None:
                self._texts.append(words)
        elif kind == "input_json_delta":
            piece = getattr(delta, "partial_json", None) or ""
            self._chars += len(piece)
            if (call := self._calls.get(index := getattr(chunk, "index", None) or 0)) is not None:
                self._calls[index] = replace(call, arguments=call.arguments + piece)
        elif kind == "thinking_delta":
            self._chars += len(getattr(delta, "thinking", None) or "")

    def reply(self) -> Reply:
        usage = _usage(self._block, self._model)
        if usage is not None and not self._counted:
            # `message_start` counts an output token or two: not what was generated before the stream stopped.
            usage = replace(usage, output_tokens=max(usage.output_tokens or 0, estimated_tokens(self._chars)))
        return Reply(
            id=self._id,
            model=self._model,
            finish_reasons=(self._reason or "error",),
            usage=usage,
            service_tier=_tier(self._block),
            region=_region(self._block),
            complete=self._counted,
            output_chars=self._chars,
            text="".join(self._texts or ()),
            tool_calls=tuple(self._calls[index] for index in sorted(self._calls)),
        )


class ResultsReader:
    """The results of a batch, a message a line."""

    in_lines = True

    def __init__(self, batch_id: str) -> None:
        self._tally = Tally(batch_id, "messages")

    def add(self, document: Any) -> bool:
        result = getattr(document, "result", None)
        if getattr(result, "type", None) == "succeeded":
            self._tally.add(_read(getattr(result, "message", None), False))
        return False

    def bookings(self) -> Iterable[Booking]:
        return self._tally.bookings()


ANTHROPIC = Sdk(
    name="anthropic",
    surfaces={"/v1/messages": Surface("chat", "messages", _PARAMETERS, _read, MessageAccumulator)},
    providers={
        "AnthropicBedrock": "aws.bedrock",
        "AsyncAnthropicBedrock": "aws.bedrock",
        "AnthropicBedrockMantle": "aws.bedrock",
        "AsyncAnthropicBedrockMantle": "aws.bedrock",
        "AnthropicVertex": "gcp.vertex_ai",
        "AsyncAnthropicVertex": "gcp.vertex_ai",
        # Anthropic's own platform, reached and paid through a cloud: its models, tiers and prices.
        "AnthropicAWS": "anthropic",
        "AsyncAnthropicAWS": "anthropic",
        "AnthropicGoogleCloud": "anthropic",
        "AsyncAnthropicGoogleCloud": "anthropic",
        "AnthropicFoundry": "azure.ai.inference",
        "AsyncAnthropicFoundry": "azure.ai.inference",
    },
    late_bills=(LateBill(regex(r".*/v1/messages/batches/(?P<id>[^/]+)/results"), ResultsReader),),
)
