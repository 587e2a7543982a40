"""A call as a log tells it, before its task type, use case and price are worked out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from tierwise.call import AttributeValue
from tierwise.errors import TierwiseError
from tierwise.instrumentation.sdk import Reply


class UnreadableRow(TierwiseError):
    """A row of a known format that cannot become a call; the message says why."""


class NotACall(TierwiseError):
    """A row that is in order and describes no billable call, such as the span of a tool; the message says what."""


@dataclass(slots=True)
class LoggedCall:
    """One call. Not frozen, because a file holds hundreds of thousands; nobody changes one."""

    provider: str
    """`gen_ai.provider.name`."""
    model: str
    start_ns: int | None
    """None: the log gives no time."""
    reply: Reply
    """What was answered, as far as the log tells; `usage` is None where it counts no tokens."""
    end_ns: int | None = None
    operation: str = "chat"
    api: str | None = None
    body: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """The request as the provider's SDK takes it; empty where the log keeps no content."""
    own_id: str | None = None
    """By which the log knows the call, a span's 16 hex digits or anything else; None: its row is all there is."""
    trace: str | None = None
    """By which the log knows what the call was part of; as `own_id`, of any form."""
    parent: str | None = None
    """The `own_id` of what made the call."""
    order: str | None = None
    """`custom_id` of the batch request that this answers."""
    parameters: Mapping[str, AttributeValue] = field(default_factory=dict[str, AttributeValue])
    stream: bool = False
    time_to_first_chunk_s: float | None = None
    error_type: str | None = None
    stated_usd: Decimal | None = None
    """What the log says the call cost."""
    task: str | None = None
    """A person's label."""
    use_case_name: str | None = None
    tenant: str | None = None
    conversation_id: str | None = None
    service_name: str | None = None


@dataclass(frozen=True, slots=True)
class BatchOrder:
    """One request of a batch, as it was ordered: the answer is another row, in another file."""

    custom_id: str
    body: Mapping[str, Any]
    path: str | None
    """The endpoint, such as `/v1/chat/completions`."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How rows are to be read."""

    with_text: bool = False
    """Whether the answers' texts are wanted."""
    column_map: Mapping[str, str] = field(default_factory=dict[str, str])
    """Field → the column that holds it, for the format `csv`."""
