"""The review queue: pairs that were drawn and nobody has decided about, as a reviewer may see them.

An item tells which answer is whose to the code that records the verdict, and to nobody who looks at it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, cast

from tierwise.review.draw import SETTLED_NS, Drawn, ReviewPlans, drawn, first_side
from tierwise.store.reviews import Shown, Side

if TYPE_CHECKING:
    from tierwise.store import Store


@dataclass(frozen=True, slots=True)
class QueueItem:
    """One pair to be reviewed."""

    trace_id: str
    span_id: str
    shadow_trace_id: str
    shadow_span_id: str
    made_at: datetime
    """When the call was made, UTC."""
    use_case: str
    """Its name, or its id where it has none."""
    use_case_id: str | None
    task_type: str
    first: Side
    """Whose answer is A."""
    draw: Drawn

    @property
    def key(self) -> str:
        """What the pair is called outside, without saying which answer is whose."""
        return f"{self.shadow_trace_id}-{self.shadow_span_id}"

    def side(self, letter: Literal["a", "b"]) -> Side:
        """Whose answer is shown under a letter."""
        other: Side = "weak" if self.first == "strong" else "strong"
        return self.first if letter == "a" else other


@dataclass(frozen=True, slots=True)
class Shared:
    """What a reviewer goes by: the texts where they were captured, else links to the traces."""

    asked: str | None
    a: str | None
    b: str | None
    link_a: str | None
    """Where the user's own tool shows the call; None without TIERWISE_TRACE_URL."""
    link_b: str | None

    @property
    def shown(self) -> Shown:
        return "content" if self.a is not None and self.b is not None else "link"


@dataclass(frozen=True, slots=True)
class Queue:
    """What was drawn, and how far it has been reviewed."""

    waiting: tuple[QueueItem, ...]
    """Oldest first, which is the order to review in: evidence counts pairs up to the first that still waits."""
    reviewed: int
    """Drawn pairs that somebody has decided about."""


def read_queue(store: Store, filters: Mapping[str, Any] | None = None, *, now_ns: int | None = None) -> Queue:
    """The pairs drawn for review.

    Args:
        filters: parameters that the named queries share, such as `since` and `use_case`.
        now_ns: pairs younger than a minute are not settled yet, and wait; by default the present moment.
    """
    plans = ReviewPlans.of_store(store)
    settled_ns = (time.time_ns() if now_ns is None else now_ns) - SETTLED_NS
    # What no plan draws is left where it is.
    rows = store.query(
        "review_pairs",
        settled_ns=settled_ns,
        below=plans.largest,
        alike_below=plans.largest_sample,
        **(filters or {}),
    ).to_pylist()
    waiting: list[QueueItem] = []
    reviewed = 0
    for row in rows:
        draw = drawn(row, plans)
        if draw is None:
            continue
        if row["review_verdict"] is not None:
            reviewed += 1
            continue
        waiting.append(
            QueueItem(
                trace_id=row["trace_id"],
                span_id=row["span_id"],
                shadow_trace_id=row["shadow_trace_id"],
                shadow_span_id=row["shadow_span_id"],
                made_at=row["start_time"].replace(tzinfo=UTC),
                use_case=row["use_case_name"] or row["use_case_id"] or "no use case",
                use_case_id=row["use_case_id"],
                task_type=row["task_type"],
                first=first_side(row["shadow_trace_id"], row["shadow_span_id"]),
                draw=draw,
            )
        )
    return Queue(tuple(waiting), reviewed)


def read_shared(store: Store, item: QueueItem, *, trace_url: str | None = None) -> Shared:
    """What the reviewer of `item` goes by.

    Args:
        trace_url: template of the user's own links, with `{trace_id}` and `{span_id}` in it.
    """
    found = store.query(
        "review_content",
        trace_id=item.trace_id,
        span_id=item.span_id,
        shadow_trace_id=item.shadow_trace_id,
        shadow_span_id=item.shadow_span_id,
    ).to_pylist()
    row: dict[str, str | None] = found[0] if found else {}
    texts = {"strong": _text(row.get("strong_output")), "weak": _text(row.get("weak_output"))}
    calls = {"strong": (item.trace_id, item.span_id), "weak": (item.shadow_trace_id, item.shadow_span_id)}
    links = {side: trace_link(trace_url, *ids) for side, ids in calls.items()}
    asked = "\n\n".join(
        part for part in (_text(row.get("instructions")), _text(row.get("input_messages"), roles=True)) if part
    )
    a, b = item.side("a"), item.side("b")
    return Shared(asked or None, texts[a], texts[b], links[a], links[b])


def trace_link(template: str | None, trace_id: str, span_id: str) -> str | None:
    """The address of a call in the user's own tool; None without a template."""
    if template is None:
        return None
    return template.replace("{trace_id}", trace_id).replace("{span_id}", span_id)


def _text(captured: str | None, *, roles: bool = False) -> str | None:
    """Messages or parts of the GenAI conventions as plain text; None where there are none to read."""
    if captured is None:
        return None
    try:
        content: Any = json.loads(captured)
    except ValueError:
        return captured
    if not isinstance(content, list):
        return captured
    lines: list[str] = []
    for item in cast("list[Any]", content):
        if not isinstance(item, dict):
            continue
        message = cast("dict[str, Any]", item)
        parts = message.get("parts")
        body = "\n".join(map(_part, cast("list[Any]", parts) if isinstance(parts, list) else [message]))
        lines.append(f"{message['role']}: {body}" if roles and "role" in message else body)
    return "\n\n".join(lines) or None


def _part(part: Any) -> str:
    if not isinstance(part, dict):
        return str(part)
    known = cast("dict[str, Any]", part)
    if isinstance(text := known.get("content"), str):
        return text
    if known.get("type") == "tool_call":
        return f"[calls {known.get('name')}({known.get('arguments')})]"
    if known.get("type") == "tool_call_response":
        return f"[{known.get('response')}]"
    return f"[{known.get('modality') or known.get('type') or 'something'}]"
