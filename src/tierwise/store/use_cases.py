"""What people said about use cases: edits beside the calls, and what those in force come to.

`use_case_edits` holds every edit with who and why. `use_case_map` and `use_case_labels` are worked out from those in
force; the macro `selected_calls` applies them, so every query and every analysis sees the same use cases.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tierwise.errors import Conflict, StoreError
from tierwise.store.records import audit

if TYPE_CHECKING:
    import duckdb

KINDS: Final = ("rename", "label", "exclude", "merge", "split")
SPLITS: Final = ("tenant", "request_model")
"""What a use case can be split by: what a rule can tell apart, too."""


@dataclass(frozen=True, slots=True)
class Edit:
    """One decision about one use case."""

    kind: str
    """One of KINDS."""
    use_case_id: str
    value: str
    """The name, the task type, nothing, the use case it counts as, or one of SPLITS."""


@dataclass(frozen=True, slots=True)
class Counted:
    """As what the calls of a use case count."""

    use_case_id: str
    split_by: str | None


@dataclass(frozen=True, slots=True)
class Label:
    """What edits say about a use case; None: nothing."""

    use_case_name: str | None = None
    task_type: str | None = None
    excluded: bool = False


@dataclass(frozen=True, slots=True)
class Applied:
    """What the edits in force come to."""

    counted: dict[str, Counted]
    """By the use case that calls name; those that count as themselves, whole, are left out."""
    labels: dict[str, Label]
    """By the use case as counted."""


def fold(edits: Sequence[Edit], names: Mapping[str, str]) -> Applied:
    """What `edits`, oldest first, come to. The newest of a kind counts.

    Args:
        names: the name of a use case as its calls say it: merged calls take that of the use case they count as.
    """
    newest: dict[tuple[str, str], str] = {(edit.kind, edit.use_case_id): edit.value for edit in edits}
    target = {use_case: value for (kind, use_case), value in newest.items() if kind == "merge"}
    split = {use_case: value for (kind, use_case), value in newest.items() if kind == "split"}
    counted: dict[str, Counted] = {}
    labels: dict[str, Label] = {}
    for use_case in {*target, *split}:
        end = _end_of(use_case, target)
        counted[use_case] = Counted(end, split.get(end))
    for use_case in sorted({use_case for _, use_case in newest} | {item.use_case_id for item in counted.values()}):
        merged_into = use_case in {_end_of(source, target) for source in target}
        name = newest.get(("rename", use_case)) or (names.get(use_case, use_case) if merged_into else None)
        label = Label(name, newest.get(("label", use_case)), ("exclude", use_case) in newest)
        if label != Label():
            labels[use_case] = label
    return Applied(counted, labels)


def _end_of(use_case: str, target: Mapping[str, str]) -> str:
    seen = {use_case}
    while use_case in target and target[use_case] not in seen:
        use_case = target[use_case]
        seen.add(use_case)
    return use_case


def add(
    cursor: duckdb.DuckDBPyConnection,
    kind: str,
    use_case_id: str,
    value: str,
    *,
    who: str,
    why: str,
    based_on: int | None,
) -> int:
    """Record an edit and apply it; its number. See `Store.edit_use_case()`."""
    _require_sense(kind, use_case_id, value)
    before = _in_force(cursor)
    _require_newest(before, use_case_id, based_on)
    if kind == "merge":
        target = {edit.use_case_id: edit.value for edit in before.values() if edit.kind == "merge"}
        if _end_of(value, {**target, use_case_id: value}) == use_case_id or _end_of(value, target) == use_case_id:
            raise StoreError(f"{value} counts as {use_case_id} already: the two cannot count as each other")
    ((number,),) = cursor.execute("SELECT coalesce(max(id), 0) + 1 FROM use_case_edits").fetchall()
    cursor.execute(
        "INSERT INTO use_case_edits VALUES (?, ?, ?, ?, ?, ?, make_timestamp_ns(?), NULL, NULL)",
        [number, kind, use_case_id, value, who, why, time.time_ns()],
    )
    said = [edit.value for edit in before.values() if (edit.kind, edit.use_case_id) == (kind, use_case_id)]
    detail = {"edit": number, "use_case": use_case_id, "before": said[-1] if said else None, "after": value}
    audit(cursor, f"use_case.{kind}", detail, who=who, why=why)
    _write_mapping(cursor)
    return int(number)


def undo(cursor: duckdb.DuckDBPyConnection, number: int, *, who: str, why: str) -> None:
    """Take an edit back; see `Store.undo_use_case_edit()`."""
    edit = _in_force(cursor).get(number)
    if edit is None:
        raise Conflict(f"edit {number} is not in force: somebody took it back first")
    cursor.execute(
        "UPDATE use_case_edits SET undone_at = make_timestamp_ns(?), undone_by = ? WHERE id = ?",
        [time.time_ns(), who, number],
    )
    detail = {"edit": number, "use_case": edit.use_case_id, "before": edit.value, "after": None}
    audit(cursor, f"use_case.undo_{edit.kind}", detail, who=who, why=why)
    _write_mapping(cursor)


def _require_sense(kind: str, use_case_id: str, value: str) -> None:
    if kind not in KINDS:
        raise StoreError(f"{kind!r} is no edit of a use case; edits: {', '.join(KINDS)}")
    if not use_case_id or (kind != "exclude" and not value.strip()):
        raise StoreError(f"an edit of kind {kind} needs a use case and a value")
    if kind == "split" and value not in SPLITS:
        raise StoreError(f"a use case cannot be split by {value!r}; it can by {', '.join(SPLITS)}")
    if kind in ("merge", "split") and "/" in use_case_id:
        raise StoreError(f"{use_case_id} is a part of a use case that was split; take the split back instead")
    if kind == "merge" and (value == use_case_id or "/" in value):
        raise StoreError(f"{use_case_id} cannot count as {value}")


def _require_newest(edits: Mapping[int, Edit], use_case_id: str, based_on: int | None) -> None:
    newest = max((number for number, edit in edits.items() if edit.use_case_id == use_case_id), default=None)
    if newest != based_on:
        raise Conflict(f"somebody edited {use_case_id} first; look at it and decide again")


def _in_force(cursor: duckdb.DuckDBPyConnection) -> dict[int, Edit]:
    rows = cursor.execute(
        "SELECT id, kind, use_case_id, value FROM use_case_edits WHERE undone_at IS NULL ORDER BY id"
    ).fetchall()
    return {number: Edit(kind, use_case_id, value) for number, kind, use_case_id, value in rows}


def _write_mapping(cursor: duckdb.DuckDBPyConnection) -> None:
    edits = list(_in_force(cursor).values())
    targets = [edit.value for edit in edits if edit.kind == "merge"]
    names = cursor.execute(
        """
        SELECT use_case_id, arg_max(use_case_name, start_time)
        FROM llm_calls WHERE list_contains(?::VARCHAR[], use_case_id) AND use_case_name IS NOT NULL
        GROUP BY use_case_id
        """,
        [targets],
    ).fetchall()
    mapping = fold(edits, dict(names))
    cursor.execute("DELETE FROM use_case_map")
    cursor.execute("DELETE FROM use_case_labels")
    for observed, counted in mapping.counted.items():
        cursor.execute("INSERT INTO use_case_map VALUES (?, ?, ?)", [observed, counted.use_case_id, counted.split_by])
    for use_case, label in mapping.labels.items():
        cursor.execute(
            "INSERT INTO use_case_labels VALUES (?, ?, ?, ?)",
            [use_case, label.use_case_name, label.task_type, label.excluded],
        )
