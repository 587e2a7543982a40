from __future__ import annotations

import pytest

from tierwise.tasks import lexicon
from tierwise.tasks.taxonomy import SUB_TAGS, TASKS

TABLES = (lexicon.WORDS, lexicon.LEADS, lexicon.OBJECTS, lexicon.SUBSTRINGS)


def test_classes_are_rows_of_the_taxonomy():
    """Words can tell every task type but those known otherwise."""
    assert set(lexicon.CLASSES) == (set(TASKS) | set(SUB_TAGS)) - {"embedding", "unknown"}


@pytest.mark.parametrize("table", TABLES)
def test_entries_are_lower_case_and_positive(table: lexicon.Evidence):
    """Entries can be found in lower-case text, and each speaks for its class."""
    for task, by_weight in table.items():
        assert task in lexicon.CLASSES
        for weight, entries in by_weight.items():
            assert weight > 0
            assert all(entry and entry == entry.lower().strip() for entry in entries.split("|"))


@pytest.mark.parametrize("table", [lexicon.LEADS, lexicon.OBJECTS])
def test_leads_and_objects_are_single_words(table: lexicon.Evidence):
    """They are looked up token by token."""
    entries = [entry for by_weight in table.values() for row in by_weight.values() for entry in row.split("|")]
    assert not [entry for entry in entries if " " in entry]
