from __future__ import annotations

from collections.abc import Generator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from tierwise import tariffs

DAY_NS = int(datetime(2026, 11, 20, 12, 7, tzinfo=UTC).timestamp()) * 1_000_000_000


@pytest.fixture(autouse=True)
def no_overrides() -> Generator[None]:
    yield
    tariffs.configure(None)


def key(model: str, response_model: str | None = None, provider: str = "openai") -> tariffs.TariffKey:
    return provider, model, response_model, None, False, None


def test_a_tariff_holds_for_a_quarter_of_an_hour() -> None:
    """Prices may change by the hour; within a quarter of one they do not."""
    tariff = tariffs.find_tariff(key("gpt-4o"), DAY_NS)

    assert tariff.from_ns <= DAY_NS < tariff.until_ns
    assert tariff.until_ns - tariff.from_ns == 15 * 60 * 1_000_000_000
    assert tariffs.tariffs[key("gpt-4o")] is tariff


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names that come from outside cannot fill the memory."""
    monkeypatch.setattr(tariffs, "_MAX_RESOLVED", 10)

    for number in range(100):
        tariffs.find_tariff(key(f"no-such-{number}"), DAY_NS)

    assert len(tariffs.tariffs) <= 10
    assert len(tariffs._resolved) <= 10


def test_rates_past_a_step() -> None:
    """The highest step that a request is past gives its rates."""
    tariff = tariffs.find_tariff(key("gpt-5.5"), DAY_NS)

    assert tariff.first_step == 272_000
    assert tariff.rates_past(272_000) == tariff.rates
    assert tariff.rates_past(272_001).input == 2 * tariff.rates.input


def test_the_answers_name_of_the_model_comes_first() -> None:
    """What answered is more exact than what was asked for; the latter is used when nobody lists the former."""
    answered = tariffs.find_tariff(key("no-such", "gpt-4o-mini-2024-07-18"), DAY_NS)
    asked = tariffs.find_tariff(key("gpt-4o-mini", "no-such"), DAY_NS)

    assert answered.rates == asked.rates
    assert answered.reason is asked.reason is None


def test_own_prices_change_what_is_kept(tmp_path: Path) -> None:
    """A new price file holds from the next call on."""
    path = tmp_path / "prices.toml"
    path.write_text('[[discount]]\nprovider = "openai"\npercent = 50\n', encoding="utf-8")
    before = tariffs.find_tariff(key("gpt-4o"), DAY_NS).rates.input

    tariffs.configure(path)

    assert tariffs.find_tariff(key("gpt-4o"), DAY_NS).rates.input == before / 2
    assert tariffs.discount("openai", "gpt-4o") == Decimal("0.5")
    assert "+overrides:" in tariffs.price_version()
