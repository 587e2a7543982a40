"""One request together with the answer it gets: all that a wire module needs to render a response."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tierwise.testing.answers import Answer, ProviderRequest, ProviderUsage, ToolCall, estimated_tokens


class UnspeakableAnswer(ValueError):
    """The request's protocol has no way to say what the scripted answer holds."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request, its answer, and what numbers and dates the response."""

    request: ProviderRequest
    answer: Answer
    number: int
    """Counts the provider's exchanges from 1; ids are made of it, so a run can be repeated."""
    created_s: int
    """Seconds since the epoch, UTC."""

    @property
    def model(self) -> str:
        """The model the response names."""
        return self.answer.model or self.request.model

    @property
    def usage(self) -> ProviderUsage:
        """What the answer says it used, or an estimate from the lengths of prompt and answer."""
        if self.answer.usage is not None:
            return self.answer.usage
        written = [self.answer.text, self.answer.thinking, *(arguments_json(call) for call in self.answer.tool_calls)]
        return ProviderUsage(
            input_tokens=estimated_tokens(self.request.prompt_text),
            output_tokens=estimated_tokens("".join(written)),
            reasoning=estimated_tokens(self.answer.thinking) if self.answer.thinking else 0,
        )

    @property
    def finish_reason(self) -> str:
        """Why the answer ended, in the neutral words of Answer.finish_reason."""
        if self.answer.finish_reason is not None:
            return self.answer.finish_reason
        if self.answer.refusal:
            return "refusal"
        return "tool_calls" if self.answer.tool_calls else "stop"

    def id(self, prefix: str) -> str:
        """An id of this exchange: `chatcmpl-000000000001`."""
        return f"{prefix}{self.number:012d}"

    def tool_call_id(self, prefix: str, index: int) -> str:
        """The id of a tool call: its own, or one made of the exchange and the call's place."""
        return self.answer.tool_calls[index].id or f"{prefix}{self.number:08d}{index:04d}"

    def deltas(self, text: str) -> Iterator[str]:
        """`text` in pieces of at most `chunk_chars` characters; nothing for an empty text."""
        size = self.answer.chunk_chars
        return (text[start : start + size] for start in range(0, len(text), size))


@dataclass(frozen=True, slots=True)
class Wire:
    """How one protocol writes an exchange."""

    content: Callable[[Exchange], tuple[str, bytes]]
    """(content type, body) of a response that is not streamed."""
    events: Callable[[Exchange], Iterator[bytes]] | None
    """The server-sent events of a streamed one; None where the protocol has no streams."""


def json_wire(
    body: Callable[[Exchange], Mapping[str, Any]], events: Callable[[Exchange], Iterator[bytes]] | None
) -> Wire:
    """A protocol whose responses are JSON, made by `body`."""
    return Wire(lambda exchange: ("application/json", json_text(body(exchange)).encode()), events)


def arguments_json(call: ToolCall) -> str:
    """A tool call's arguments as the JSON text that goes on the wire."""
    return call.arguments if isinstance(call.arguments, str) else json_text(call.arguments)


def json_text(value: Any) -> str:
    """Compact JSON, non-ASCII as it is."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def sse_data(value: Mapping[str, Any]) -> bytes:
    """An unnamed server-sent event, as chat completions stream them."""
    return f"data: {json_text(value)}\n\n".encode()


def sse_event(value: Mapping[str, Any]) -> bytes:
    """A server-sent event named by its own `type`, as Responses and Anthropic stream them."""
    return f"event: {value['type']}\ndata: {json_text(value)}\n\n".encode()
