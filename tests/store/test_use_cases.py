from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierwise.errors import Conflict, StoreError
from tierwise.store import Store
from tierwise.store.rows import CallRecord
from tierwise.store.use_cases import Applied, Counted, Edit, Label, fold

MakeCall = Callable[..., CallRecord]


@pytest.fixture
def filled(store: Store, make_call: MakeCall) -> Store:
    """Three use cases; the first is called by two tenants."""
    store.add_calls(
        [
            make_call(
                1, usd="3.00", use_case_id="uc_a", use_case_name="replies", tenant="acme", task_type="extraction"
            ),
            make_call(
                2, usd="1.00", use_case_id="uc_a", use_case_name="replies", tenant="globex", task_type="extraction"
            ),
            make_call(3, usd="0.50", use_case_id="uc_b", use_case_name="answers", task_type="unknown"),
            make_call(4, usd="0.25", use_case_id="uc_c", task_type="unknown"),
        ]
    )
    return store


def counted(store: Store) -> dict[str, tuple[str, int]]:
    return {row["use_case_id"]: (row["label"], row["calls"]) for row in store.query("use_cases").to_pylist()}


def test_no_edit_changes_nothing(filled: Store) -> None:
    """Without edits each use case counts as itself."""
    assert counted(filled) == {"uc_a": ("replies", 2), "uc_b": ("answers", 1), "uc_c": ("uc_c", 1)}


def test_a_name_and_a_task_type_outrank_the_calls(filled: Store) -> None:
    """What a person says is what every query says, and filters find it."""
    first = filled.edit_use_case("rename", "uc_b", "Answers", who="ada", why="clearer")
    filled.edit_use_case("label", "uc_b", "summarization", who="ada", why="", based_on=first)

    (row,) = filled.query("use_cases", use_case="Answers", task_type="summarization").to_pylist()
    assert (row["use_case_id"], row["task_source"]) == ("uc_b", "label")
    (call,) = filled.query("calls", use_case="uc_b").to_pylist()
    assert (call["use_case_name"], call["task_type"]) == ("Answers", "summarization")
    (logged,) = filled.sql("SELECT use_case_name, task_type FROM llm_calls WHERE use_case_id = 'uc_b'").to_pylist()
    assert logged == {"use_case_name": "answers", "task_type": "unknown"}


def test_merged_calls_count_as_the_other(filled: Store) -> None:
    """Calls of a merged use case have the id and name of the one they count as."""
    filled.edit_use_case("merge", "uc_b", "uc_a", who="ada", why="the same prompt")

    assert counted(filled) == {"uc_a": ("replies", 3), "uc_c": ("uc_c", 1)}
    assert filled.query("use_case_members").to_pylist() == [
        {"observed_use_case_id": "uc_b", "use_case_id": "uc_a", "split_by": None}
    ]


def test_merging_goes_along_the_chain(filled: Store) -> None:
    """What counts as a use case that counts as a third counts as the third."""
    filled.edit_use_case("merge", "uc_c", "uc_b", who="ada", why="")
    filled.edit_use_case("merge", "uc_b", "uc_a", who="ada", why="")

    assert counted(filled) == {"uc_a": ("replies", 4)}


def test_a_circle_is_refused(filled: Store) -> None:
    """Two use cases cannot count as each other."""
    filled.edit_use_case("merge", "uc_b", "uc_a", who="ada", why="")

    with pytest.raises(StoreError, match="each other"):
        filled.edit_use_case("merge", "uc_a", "uc_b", who="ada", why="")


def test_a_split_by_tenant_makes_parts(filled: Store) -> None:
    """Each tenant's calls become a use case of their own, which can be named."""
    filled.edit_use_case("split", "uc_a", "tenant", who="ada", why="")
    filled.edit_use_case("rename", "uc_a/acme", "Acme replies", who="ada", why="")

    found = counted(filled)
    assert found["uc_a/acme"] == ("Acme replies", 1)
    assert found["uc_a/globex"] == ("replies · globex", 1)
    assert "uc_a" not in found


def test_taking_back_restores(filled: Store) -> None:
    """An edit that is taken back no longer counts, and can be taken back once."""
    number = filled.edit_use_case("merge", "uc_b", "uc_a", who="ada", why="")

    filled.undo_use_case_edit(number, who="ben", why="not the same")

    assert counted(filled)["uc_b"] == ("answers", 1)
    (edit,) = filled.query("use_case_edits").to_pylist()
    assert edit["undone_by"] == "ben"
    with pytest.raises(Conflict):
        filled.undo_use_case_edit(number, who="ben", why="")


def test_second_of_two_edits_made_at_once_is_refused(filled: Store) -> None:
    """An edit made without having seen the newest one of the use case is a Conflict."""
    filled.edit_use_case("rename", "uc_a", "One", who="ada", why="")

    with pytest.raises(Conflict, match="first"):
        filled.edit_use_case("rename", "uc_a", "Two", who="ben", why="")

    assert counted(filled)["uc_a"][0] == "One"


def test_who_why_before_and_after_are_kept(filled: Store) -> None:
    """Every edit and every way back is in the audit log."""
    first = filled.edit_use_case("rename", "uc_a", "One", who="ada", why="clearer")
    second = filled.edit_use_case("rename", "uc_a", "Two", who="ben", why="clearer still", based_on=first)
    filled.undo_use_case_edit(second, who="cleo", why="no")

    log = [
        (entry["action"], entry["who"], entry["detail"]["before"], entry["detail"]["after"])
        for entry in filled.audit_log()
    ]
    assert log[::-1] == [
        ("use_case.rename", "ada", None, "One"),
        ("use_case.rename", "ben", "One", "Two"),
        ("use_case.undo_rename", "cleo", "Two", None),
    ]


@pytest.mark.parametrize(
    ("kind", "use_case", "value", "complaint"),
    [
        ("paint", "uc_a", "red", "no edit"),
        ("rename", "uc_a", " ", "needs a use case and a value"),
        ("split", "uc_a", "moon", "cannot be split by"),
        ("merge", "uc_a", "uc_a", "cannot count as"),
        ("merge", "uc_a/acme", "uc_b", "part of a use case"),
    ],
)
def test_nonsense_is_refused(kind: str, use_case: str, value: str, complaint: str, store: Store) -> None:
    """An edit that makes no sense says why and changes nothing."""
    with pytest.raises(StoreError, match=complaint):
        store.edit_use_case(kind, use_case, value, who="ada", why="")

    assert store.audit_log() == []


_IDS = st.sampled_from(["a", "b", "c", "d"])
_EDITS = st.lists(
    st.one_of(
        st.builds(Edit, st.just("merge"), _IDS, _IDS),
        st.builds(Edit, st.just("rename"), _IDS, st.sampled_from(["X", "Y"])),
        st.builds(Edit, st.just("split"), _IDS, st.sampled_from(["tenant", "request_model"])),
        st.builds(Edit, st.just("exclude"), _IDS, st.just("")),
    )
)


@given(_EDITS)
def test_nothing_counts_as_something_that_counts_as_another(edits: list[Edit]) -> None:
    """Without circles, the use case that calls count as counts as itself."""
    target: dict[str, Any] = {}
    for edit in edits:
        if edit.kind == "merge":
            target[edit.use_case_id] = edit.value
    for start in target:
        seen, at = {start}, start
        while at in target:
            at = target[at]
            if at in seen:
                return
            seen.add(at)

    applied = fold(edits, {})

    for item in applied.counted.values():
        assert applied.counted.get(item.use_case_id, Counted(item.use_case_id, None)).use_case_id == item.use_case_id


def test_no_edits_come_to_nothing() -> None:
    """An empty history maps nothing and labels nothing."""
    assert fold([], {}) == Applied({}, {})
    assert fold([Edit("exclude", "a", "")], {}).labels == {"a": Label(excluded=True)}
