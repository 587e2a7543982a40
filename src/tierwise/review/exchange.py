"""Pairs for reviewers elsewhere: a line of JSON each, out with the two answers and back with a verdict.

    {"pair": "…", "use_case": "…", "asked": "…", "a": "…", "b": "…", "link_a": null, "link_b": null, "verdict": null}

A line says which pair it is about and not whose answer is A. What a verdict counts for is worked out when it comes
back, from the store: nothing in the line but `pair`, `verdict` and `reviewer` is read.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast, get_args

from tierwise.errors import StoreError
from tierwise.review.queue import QueueItem, Shared, read_queue, read_shared
from tierwise.review.verdicts import Choice, record

if TYPE_CHECKING:
    from tierwise.store import Store


def to_line(item: QueueItem, shared: Shared) -> str:
    """One pair as a line to be filled in."""
    content: dict[str, Any] = {
        "pair": item.key,
        "use_case": item.use_case,
        "asked": shared.asked,
        "a": shared.a,
        "b": shared.b,
        "link_a": shared.link_a,
        "link_b": shared.link_b,
        "verdict": None,
    }
    return json.dumps(content, ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class Imported:
    """What came of the lines."""

    recorded: int
    undecided: int
    """Lines without a verdict."""
    left_out: int
    """Of pairs that were reviewed meanwhile, or are not drawn."""


def import_lines(store: Store, lines: Iterable[str], *, reviewer: str, origin: str = "input") -> Imported:
    """Record the verdicts in `lines`. All lines are read before the first is recorded.

    Args:
        reviewer: who decided, where a line does not say.
        origin: what to call the lines in an error.

    Raises:
        StoreError: a line is not one that was exported, or its verdict is none.
    """
    decided: list[tuple[str, Choice | None, str]] = list(_read(lines, reviewer, origin))
    waiting = {item.key: item for item in read_queue(store).waiting}
    recorded = undecided = left_out = 0
    for key, choice, who in decided:
        if choice is None:
            undecided += 1
        elif (item := waiting.pop(key, None)) is None:
            left_out += 1
        else:
            # Reviewers elsewhere saw what was exported; whether that was text or a link is what the store has.
            record(store, item, choice, reviewer=who, shown=read_shared(store, item).shown)
            recorded += 1
    return Imported(recorded, undecided, left_out)


def _read(lines: Iterable[str], reviewer: str, origin: str) -> Iterator[tuple[str, Choice | None, str]]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            content: Any = json.loads(line)
        except ValueError as error:
            raise StoreError(f"{origin}, line {number}: not JSON: {error}") from error
        known = cast("Mapping[str, Any]", content) if isinstance(content, dict) else {}
        if not isinstance(key := known.get("pair"), str):
            raise StoreError(f"{origin}, line {number}: no `pair`; lines come from `tierwise review --export`")
        choice = known.get("verdict")
        if choice is not None and choice not in get_args(Choice):
            raise StoreError(
                f"{origin}, line {number}: verdict is {choice!r}; allowed: {', '.join(get_args(Choice))}, or null"
            )
        yield key, choice, str(known.get("reviewer") or reviewer)
