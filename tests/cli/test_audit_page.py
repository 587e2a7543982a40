from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime

from tierwise.audit import audit
from tierwise.cli.audit_page import page
from tierwise.imports.importer import Totals
from tierwise.store import open_store


def test_names_are_text_and_not_markup(db: str) -> None:
    """Names that users chose are shown as they are, in tables, pictures and the import's reasons."""
    store = open_store(db, read_only=True)
    found = audit(store, now=datetime.now(UTC))
    store.close()
    tasks = [{**row, "task_type": '"><b>bold</b>'} for row in found.tasks]

    text = page(replace(found, tasks=tasks), Totals(refusals=Counter({"not JSON: <i>": 3})))

    assert "<b>" not in text
    assert "&quot;&gt;&lt;b&gt;bold&lt;/b&gt;" in text
    assert "not JSON: &lt;i&gt;" in text


def test_evidence_is_shown_where_there_is_some(db: str) -> None:
    """With scored pairs the page has their table; every measured cost has its bar with words for who cannot see it."""
    store = open_store(db, read_only=True)
    found = audit(store, now=datetime.now(UTC))
    store.close()

    text = page(found)

    assert "scored pairs" in text
    assert text.count('role="img"') == len(found.tasks) + sum(len(model.candidates) for model in found.models)
    assert "of today&#x27;s cost, " in text
