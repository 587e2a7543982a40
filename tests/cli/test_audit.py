from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tierwise.cli.audit import beginning
from tierwise.store import open_store

if TYPE_CHECKING:
    from cli.conftest import RunCommand


@pytest.fixture
def log(tmp_path: Path) -> str:
    """Sixty calls a minute apart, with a broken line and a model without a price among them."""
    lines = [
        json.dumps(
            {
                "timestamp": (datetime.now(UTC) - timedelta(days=2, minutes=-number)).isoformat(),
                "request": {
                    "model": "<house>" if number == 7 else "gpt-4o",
                    "messages": [{"role": "user", "content": f"Translate to French: good morning number {number}"}],
                },
                "response": {
                    "object": "chat.completion",
                    "choices": [{"finish_reason": "stop", "message": {"content": "secret answer"}}],
                    "usage": {"prompt_tokens": 1000, "completion_tokens": 100},
                },
            }
        )
        for number in range(60)
    ]
    path = tmp_path / "calls.jsonl"
    path.write_text("\n".join(["{broken", *lines]))
    return str(path)


def test_logs_in_figures_out(run: RunCommand, log: str) -> None:
    """An audit of a log says what came in, task mix, spend, other models, what is not measured, and what is missing."""
    found = run("audit", log)

    assert found.code == 0
    for words in (
        "61 rows read (openai 60)",
        "60 calls from",
        "What the calls are for",
        "translation",
        "What they cost, by model asked for",
        "The dearest use cases",
        "The same calls on another model, at today's prices",
        "try first",
        "Small-model territory, by your own evidence: not yet measured",
        "<house> (openai), no price: no price for openai/<house>",
        "Taken for granted",
        "assumed, not measured",
    ):
        assert words in found.out
    assert "line 1: not JSON" in found.err
    assert "secret" not in found.out


def test_json_holds_the_same_and_the_import(run: RunCommand, log: str, tmp_path: Path) -> None:
    """The JSON has the figures of the kept store, and what the import did."""
    kept = tmp_path / "kept.duckdb"

    found = run("audit", log, "--json", "--keep", str(kept)).json

    store = open_store(f"duckdb:{kept}", read_only=True)
    (row,) = store.sql("SELECT count(*) AS calls, sum(cost_usd) AS spend FROM llm_calls").to_pylist()
    store.close()
    assert (found["totals"]["calls"], found["totals"]["spend_usd"]) == (row["calls"], str(row["spend"]))
    assert (found["import"]["calls"], found["import"]["refused"]) == (60, 1)
    assert found["small_model_territory"]["words"] == "not yet measured"


def test_nothing_is_left_behind(run: RunCommand, log: str, tmp_path: Path) -> None:
    """Without `--keep` the calls are gone when the command ends."""
    before = set(tmp_path.rglob("*"))

    run("audit", log)

    assert set(tmp_path.rglob("*")) == before


def test_a_store(run: RunCommand, db: str) -> None:
    """Without logs the store is reported on, its evidence too, and a part of it on request."""
    whole = run("audit", "--store", db, "--json").json
    newest = run("audit", "--last", "50", "--json").json
    table = run("audit", "--since", "3000d").out

    assert whole["small_model_territory"]["measured"]
    assert whole["import"] is None
    assert newest["totals"]["calls"] == 50
    assert "Evidence" in table


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("calls.jsonl", "--store", "duckdb:x"), 2, "not both"),
        (("--keep", "x"), 2, "name the logs"),
        (("calls.jsonl", "--last", "0"), 2, "at least one"),
        (("calls.jsonl", "--since", "soon"), 2, "neither a date"),
        (("calls.jsonl", "--since", "2100-01-01"), 1, "no calls to report on since 2100-01-01"),
        (("calls.jsonl", "--html", "no/page.html"), 1, "cannot be written"),
    ],
    ids=lambda value: str(value),
)
def test_what_cannot_be_done_is_said(
    run: RunCommand, log: str, arguments: tuple[str, ...], code: int, words: str
) -> None:
    """Wrong usage and nothing to report end with their exit code and a reason."""
    found = run("audit", *arguments)

    assert found.code == code
    assert words in found.err


def test_beginnings() -> None:
    """A span counts back from now; a date is a date."""
    assert datetime.now(UTC) - beginning("36h") - timedelta(hours=36) < timedelta(seconds=10)
    assert beginning("2026-11-01") == datetime(2026, 11, 1, tzinfo=UTC)


class Page(HTMLParser):
    """What a page is made of."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "rect"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_needs_nothing_else(run: RunCommand, log: str, tmp_path: Path) -> None:
    """The page is well formed, asks for nothing from anywhere, names its table cells and pictures, and escapes."""
    path = tmp_path / "page.html"

    found = run("audit", log, "--html", str(path))
    text = path.read_text()
    page = Page()
    page.feed(text)

    assert found.code == 0
    assert page.open == []
    assert not {tag for tag, _ in page.tags} & {"script", "link", "img", "iframe", "object"}
    assert not re.search(r"https?://|url\(|@import", text)
    assert all("scope" in attributes for tag, attributes in page.tags if tag == "th")
    assert all(attributes["aria-label"] for tag, attributes in page.tags if tag == "svg")
    assert sum(tag == "svg" for tag, _ in page.tags) > 3
    assert "prefers-color-scheme: dark" in text
    assert "@media print" in text
    assert "<house>" not in text
    assert "&lt;house&gt;" in text
    assert "rows not imported: not JSON" in text
