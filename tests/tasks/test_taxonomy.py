from __future__ import annotations

import pytest

from tierwise.tasks.taxonomy import SUB_TAGS, TASKS, UNKNOWN, resolve


def test_every_row_is_filed_under_its_name():
    """The table is keyed by the names that spans and policies carry."""
    assert all(name == row.name for name, row in TASKS.items())


def test_sub_tags_name_a_task_type_as_parent():
    """A call with a sub-tag is counted under a task type of the table."""
    assert {row.parent for row in SUB_TAGS.values()} <= set(TASKS)
    assert not SUB_TAGS.keys() & TASKS.keys()


def test_unknown_is_a_row():
    """`unknown` can be looked up like any other task type."""
    assert UNKNOWN in TASKS


@pytest.mark.parametrize(
    ("label", "resolved"),
    [
        ("extraction", ("extraction", None)),
        ("Question-Answering Context", ("question_answering_context", None)),
        ("summarisation", ("summarization", None)),
        ("Closed QA", ("question_answering_context", None)),
        ("llm-as-judge", ("classification", "judge")),
        ("Contract Triage", ("contract_triage", None)),
    ],
)
def test_a_label_is_tidied_and_synonyms_are_known(label: str, resolved: tuple[str, str | None]):
    """Case, spaces, hyphens and common synonyms lead to the table's name; other labels are kept."""
    assert resolve(label) == resolved


def test_the_table_cannot_be_changed():
    """Task types come from the table's rows only."""
    with pytest.raises(TypeError):
        TASKS["mine"] = TASKS["math"]  # type: ignore[index]
