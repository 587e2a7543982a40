from __future__ import annotations

from pathlib import Path

import pytest
from opening import OpenPage


def test_each_gap_says_what_to_do(populated_db: str, open_page: OpenPage) -> None:
    """What is missing comes with the way to mend it, and what is fine says so."""
    app = open_page("coverage")

    text = " ".join(item.value for item in app.markdown)
    assert "TIERWISE\\_PRICES" in text or "`TIERWISE_PRICES`" in text
    assert "Good." in text
    assert app.dataframe[0].value["model"].tolist() == ["gpt-6.2-sol"]


def test_prices_of_ones_own_are_named(
    populated_db: str, open_page: OpenPage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file of overrides and what is in it."""
    path = tmp_path / "prices.toml"
    path.write_text('[[discount]]\nprovider = "anthropic"\npercent = 12\n', encoding="utf-8")
    monkeypatch.setenv("TIERWISE_PRICES", str(path))

    app = open_page("coverage")

    assert any("1 discounts" in item.value for item in app.caption)
