from __future__ import annotations

from pathlib import Path

import pytest
from opening import OpenPage
from streamlit.testing.v1 import AppTest


def badges(app: AppTest) -> str:
    return " ".join(item.value for item in app.markdown if "-badge[" in item.value)


@pytest.mark.parametrize("page", ["overview", "policy"])
def test_every_page_carries_the_coverage_strip(page: str, populated_db: str, open_page: OpenPage) -> None:
    """How far the figures can be trusted is said on every page, with the policy's mode."""
    app = open_page(page)

    said = badges(app)
    for part in ("98.1% priced", "100% classified", "1.9% estimated", "Newest", "genai-prices 0.2.3", "Evaluation"):
        assert part in said
    assert "Enforcing · v2" in said


@pytest.mark.parametrize(
    ("page", "title"),
    [
        ("overview", "No calls yet"),
        ("recommendations", "No calls yet"),
        ("simulator", "No calls yet"),
        ("policy", "No policy yet"),
        ("verify", "Nothing to verify yet"),
    ],
)
def test_empty_store_says_what_to_do_next(page: str, title: str, empty_db: str, open_page: OpenPage) -> None:
    """A page without data is an instruction, not a blank."""
    app = open_page(page)

    assert app.title[0].value == page.capitalize()
    assert title in [heading.value for heading in app.subheader]
    if title == "No calls yet":
        assert any("import tierwise.auto" in block.value for block in app.code)


def test_unreachable_collector_says_what_to_run(monkeypatch: pytest.MonkeyPatch, open_page: OpenPage) -> None:
    """Without a collector the page tells how to start one, and offers to try again."""
    monkeypatch.setenv("TIERWISE_DB", "http://127.0.0.1:9")

    app = open_page()

    assert "no collector answers at" in app.error[0].value
    assert any("tierwise up" in block.value for block in app.code)
    assert app.button(key="try_again")


def test_trying_again_finds_the_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, open_page: OpenPage) -> None:
    """Once the store is there, a click is enough."""
    monkeypatch.setenv("TIERWISE_DB", "http://127.0.0.1:9")
    app = open_page()
    monkeypatch.setenv("TIERWISE_DB", f"duckdb:{tmp_path / 'calls.duckdb'}")

    app.button(key="try_again").click().run()

    assert not app.exception
    assert not app.error
    assert app.subheader[0].value == "No calls yet"


def test_bad_setting_is_shown_with_its_way_out(monkeypatch: pytest.MonkeyPatch, open_page: OpenPage) -> None:
    """A setting that cannot be used is named, with what is allowed."""
    monkeypatch.setenv("TIERWISE_MODE", "on")

    app = open_page()

    assert "TIERWISE\\_MODE" in app.error[0].value
    assert "off, shadow, enforce" in app.error[0].value
