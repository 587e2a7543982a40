from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tierwise.evidence.estimate import Estimate, NotEnoughData
from tierwise.recommend.levers.lever import sql_text, total_of

if TYPE_CHECKING:
    from recommend.levers.conftest import Shop


def test_a_total_has_an_interval() -> None:
    """The sum over units is exact, and its interval holds what other units would have given."""
    saved = np.random.default_rng(1).exponential(2.0, 200)

    found = total_of(saved, n=500, seed=1)

    assert isinstance(found, Estimate)
    assert found.value == pytest.approx(saved.sum())
    assert found.low < 400.0 < found.high
    assert (found.n, found.unit) == (500, "USD")


@pytest.mark.parametrize("units", [0, 1, 29])
def test_few_units_give_no_number(units: int) -> None:
    """Below thirty conversations there is no interval, and so no number."""
    found = total_of(np.ones(units), n=units, seed=1)

    assert isinstance(found, NotEnoughData)
    assert (found.n, found.needed) == (units, 30)


def test_a_lever_is_json_and_has_a_lasting_id(shop: Shop) -> None:
    """Its content goes through JSON, and its id depends on kind and scope alone."""
    shop.fill(pair_share=0.0)
    shop.sql("UPDATE llm_calls SET error_type = 'timeout' WHERE hash(span_id) % 5 = 0")
    (lever,) = shop.levers("failed_calls")

    assert json.loads(json.dumps(lever.to_dict(), allow_nan=False))["id"] == lever.id
    assert replace(lever, calls=1).id == lever.id
    assert replace(lever, use_case_id="other").id != lever.id


def test_no_month_is_made_up_from_hours(shop: Shop) -> None:
    """Less than a day of traffic says nothing about a month."""
    shop.fill(pair_share=0.0)
    shop.sql("UPDATE llm_calls SET error_type = 'timeout' WHERE hash(span_id) % 5 = 0")
    (lever,) = shop.levers("failed_calls")

    assert isinstance(lever.monthly_saving, Estimate)
    assert isinstance(replace(lever, window_days=0.5).monthly_saving, NotEnoughData)


def test_texts_are_quoted() -> None:
    """A quote in a name ends no literal."""
    assert sql_text("o'clock") == "'o''clock'"
    assert sql_text(None) == "NULL"
