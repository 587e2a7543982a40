"""What the instrumentation needs to know about an SDK: which requests are billable, and how to read their answers.

`openai.py` and its siblings and `anthropic.py` fill these in. They never import the SDK: objects are read by
attribute, with whatever is missing or of an odd type taken as not said.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from re import Pattern
from types import SimpleNamespace
from typing import Any, Protocol, cast

from tierwise.call import AttributeValue, Usage
from tierwise.checks.answer import ToolCall


@dataclass(slots=True)
class Reply:
    """What an answer says about itself, in the words of no SDK. None: it does not say."""

    id: str | None = None
    model: str | None = None
    finish_reasons: tuple[str, ...] = ()
    usage: Usage | None = None
    service_tier: str | None = None
    region: str | None = None
    """Where the call was processed, if that may cost more."""
    billed_later: str | None = None
    """Where the answer is an order for something that is billed when it is done: by what that will be seen."""
    error_type: str | None = None
    """Set when the answer itself reports a failure, as a failed background response does."""
    complete: bool = True
    """False for a stream that stopped before its closing event."""
    output_chars: int = 0
    """Length of what was generated, for an estimate; filled in where `usage` is None."""
    text: str = ""
    """Filled in, as is `tool_calls`, only when the text was asked for."""
    tool_calls: tuple[ToolCall, ...] = ()
    refused: bool = False
    """Whether what stands in `text` is a refusal, by a mark of its own beside the finish reason; filled in with it."""
    extra: dict[str, AttributeValue] = field(default_factory=dict[str, AttributeValue])
    """Attributes only this API has."""


class Accumulator(Protocol):
    """Gathers a streamed answer from its chunks, in as little time per chunk as it can."""

    def add(self, chunk: Any) -> None:
        """Take in one chunk."""
        ...

    def reply(self) -> Reply:
        """What the chunks so far amount to."""
        ...


Parameters = Mapping[str, tuple[tuple[str, Callable[[Any], AttributeValue | None]], ...]]
"""Name in the request body → (attribute, what to record of the value; None for nothing) pairs."""


def as_object(document: bytes | str) -> Any:
    """A JSON document as objects with attributes, so that it reads like the SDK's own models.

    Raises:
        ValueError: the document is not JSON.
    """
    return json.loads(document, object_hook=lambda members: SimpleNamespace(**members))


def attributed(value: Any) -> Any:
    """`value`, read by attribute all the way down: an SDK keeps what is newer than itself as mappings."""
    if isinstance(value, dict):
        return SimpleNamespace(**{str(name): attributed(item) for name, item in cast("dict[Any, Any]", value).items()})
    if isinstance(value, list):
        return [attributed(item) for item in cast("list[Any]", value)]
    return value


@dataclass(frozen=True, slots=True)
class Surface:
    """One kind of billable request."""

    operation: str
    """`gen_ai.operation.name`."""
    api: str
    parameters: Parameters
    """Of the request body, those that are recorded."""
    read: Callable[[Any, bool], Reply]
    """(answer, with its text?) → Reply."""
    accumulator: Callable[[bool], Accumulator] | None = None
    """(with the text?) → Accumulator; None where there are no streams."""
    routable: bool = True
    """Whether another model could answer: not where the result only has meaning to the model that made it."""
    usage_on_request: bool = False
    """Whether a stream reports usage only when `stream_options.include_usage` asks for it."""
    conversation: Callable[[Mapping[str, Any]], str | None] = lambda _: None
    """The conversation that the request names."""
    ordered: Callable[[Mapping[str, Any]], Usage | None] = lambda _: None
    """Usage that the request itself fixes, such as the characters to speak, for an answer that reports none."""
    decode: Callable[[bytes], Any] = as_object
    """A raw answer's body as what `read` takes; ValueError for a broken one."""


@dataclass(frozen=True, slots=True)
class Booking:
    """Calls of one model that are billed when they are done, by what the answer to a later request says of them."""

    order_id: str
    """What they were ordered as: a response, a batch. Each is booked once."""
    operation: str
    api: str
    reply: Reply
    """Their answer, or of several its model and id, with their usage summed up."""
    usages: Sequence[Usage]
    """Of each of them, because its size can decide a request's price; the sum alone where that is all that is told."""
    is_sum: bool = False
    """Whether `usages` is that sum."""
    ordered_s: float | None = None
    """When they were ordered, seconds since the epoch; None when that is not said."""
    has_details: Callable[[], bool] = lambda: False
    """Called when the price depends on how the sum divides: whether that will be read elsewhere, and booked then."""


class LateReader(Protocol):
    """Reads the answer to a request for something ordered earlier, for what there is to book."""

    in_lines: bool
    """Whether the answer is one JSON document a line, rather than one in all."""

    def add(self, document: Any) -> bool:
        """Take in the answer, one of its lines, or an event of it; whether all there is to know is known now."""
        ...

    def bookings(self) -> Iterable[Booking]:
        """What there is to book, when all is known or the answer has ended."""
        ...


@dataclass(frozen=True, slots=True)
class LateBill:
    """Requests that cost nothing themselves, whose answer says what something ordered earlier has cost."""

    path: Pattern[str]
    """Of the whole path or address, without a query; the group `id` names the order."""
    reader: Callable[[str], LateReader | None]
    """id → what reads the answer; None when there is nothing to book under this id."""


@dataclass(frozen=True, slots=True)
class Sdk:
    """One SDK."""

    name: str
    """The name of its package and, by default, of the provider behind it."""
    surfaces: Mapping[str, Surface]
    """By the path the SDK's methods ask for, without a query."""
    providers: Mapping[str, str]
    """Client class name → `gen_ai.provider.name`, for the clients of other clouds."""
    patterns: Sequence[tuple[Pattern[str], Surface]] = ()
    """(path, what it is) of billable requests whose path names something."""
    late_bills: Sequence[LateBill] = ()

    def surface(self, options: Any) -> Surface | None:
        """What kind of billable request these options make; None for all the rest."""
        url = options.url
        surface = self.surfaces.get(url)
        if surface is None:
            # Anthropic's beta methods add `?beta=true`.
            path = url.partition("?")[0]
            surface = self.surfaces.get(path)
            if surface is None:
                surface = next((kind for pattern, kind in self.patterns if pattern.fullmatch(path)), None)
        return surface if surface is not None and options.method.lower() == "post" else None

    def is_api_error(self, error: BaseException) -> bool:
        """Whether the provider, or the way to it, is what failed."""
        kind = getattr(sys.modules.get(self.name), "APIError", None)
        return isinstance(kind, type) and isinstance(error, kind)

    def late_reader(self, options: Any) -> LateReader | None:
        """What reads the answer to these options for the cost of something ordered earlier; None for all the rest."""
        if options.method.lower() != "get":
            return None
        path = options.url.partition("?")[0]
        for bill in self.late_bills:
            if (found := bill.path.fullmatch(path)) is not None:
                return bill.reader(found["id"])
        return None


def read_parameters(parameters: Parameters, body: Mapping[str, Any]) -> dict[str, AttributeValue]:
    """Span attributes of a request body's parameters."""
    found: dict[str, AttributeValue] = {}
    for name, value in body.items():
        for attribute, read in parameters.get(name, ()):
            if (recorded := read(value)) is not None:
                found[attribute] = recorded
    return found


def estimated_tokens(chars: int) -> int:
    """Tokens in a text of this length, at four characters each; good to a factor of two."""
    return -(-chars // 4)


def text(value: Any) -> str | None:
    """`value` if it is a text that is not empty; NOT_GIVEN, None and the rest are not said."""
    return value if isinstance(value, str) and value else None


def error_code(value: Any, fallback: str) -> str:
    """`value` if it looks like the code of an error, else `fallback`: no other text may become `error.type`."""
    if isinstance(value, str) and len(value) <= 64 and value.isascii() and value.translate(_CODE_MARKS).isalnum():
        return value
    return fallback


_CODE_MARKS = str.maketrans("", "", "_-.")


def number(value: Any) -> float | None:
    """`value` as a float if it is a number."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def count(value: Any) -> int | None:
    """`value` if it is a whole number of at least 0."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def units(**amounts: Any) -> tuple[tuple[str, int | float], ...]:
    """`Usage.units` of these amounts; what is not a number above 0 is not said."""
    return tuple(
        (unit, amount)
        for unit, amount in sorted(amounts.items())
        if isinstance(amount, int | float) and not isinstance(amount, bool) and amount > 0
    )


def stop_sequences(value: Any) -> tuple[str, ...] | None:
    """Stop sequences, given as one text or several."""
    if isinstance(value, str):
        return (value,)
    given = tuple(item for item in value if isinstance(item, str)) if isinstance(value, list | tuple) else ()
    return given or None


def member(value: Any, key: str) -> Any:
    """A member of a mapping; None when there is no such member, or no mapping."""
    return cast("Mapping[str, Any]", value).get(key) if isinstance(value, Mapping) else None
