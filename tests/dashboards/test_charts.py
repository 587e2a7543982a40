from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import charts
import pyarrow as pa
import pytest

from tierwise.evidence.estimate import Estimate

START = datetime(2026, 11, 1, tzinfo=UTC)
DOT = {"subject": "triage", "kind": "measured", "value": 0.2, "low": 0.1, "high": 0.3, "n": 40}


def spend_series() -> pa.Table:
    return pa.table(
        {
            "step": pa.array([START, START], pa.timestamp("us", "UTC")),
            "bucket": ["dear", "everything else"],
            "rank": [1, 9],
            "calls": [3, 5],
            "spend_usd": [1.5, 0.5],
        }
    )


def test_spend_is_stacked_by_rank() -> None:
    """The dearest bucket comes first in the legend and at the bottom of the stack."""
    chart = charts.spend_over_time(spend_series(), since=None, step=timedelta(days=1), bucket_title="Model")

    spec: dict[str, Any] = chart.to_dict()

    assert spec["encoding"]["color"]["sort"] == ["dear", "everything else"]
    assert spec["encoding"]["order"]["field"] == "rank"
    assert spec["encoding"]["y"]["stack"] == "zero"


@pytest.mark.parametrize(
    ("step", "unit", "steps"),
    [
        (timedelta(minutes=1), "utcyearmonthdatehoursminutes", 1),
        (timedelta(minutes=30), "utcyearmonthdatehoursminutes", 30),
        (timedelta(hours=6), "utcyearmonthdatehours", 6),
        (timedelta(days=1), "utcyearmonthdate", 1),
    ],
)
def test_a_bar_is_as_wide_as_its_step_and_in_utc(step: timedelta, unit: str, steps: int) -> None:
    """Bars cover the step that the query counted, wherever the browser is."""
    spec = charts.spend_over_time(spend_series(), since=None, step=step, bucket_title="Model").to_dict()

    assert spec["encoding"]["x"]["timeUnit"] == {"unit": unit, "step": steps}


def test_axis_covers_the_selected_time() -> None:
    """Time without calls is shown as such, from the beginning of the selection to now."""
    chart = charts.spend_over_time(spend_series(), since=START, step=timedelta(days=1), bucket_title="Model")

    first, last = chart.to_dict()["encoding"]["x"]["scale"]["domain"]

    assert first == {"year": 2026, "month": 11, "date": 1, "hours": 0, "minutes": 0, "utc": True}
    assert (last["year"], last["utc"]) == (datetime.now(UTC).year, True)


def test_interval_is_drawn_with_its_value() -> None:
    """Every dot has a line from its lower to its upper bound."""
    spec = charts.intervals([DOT], value_title="USD", axis_format=charts.MONEY, reference=0.0).to_dict()

    line, dot, reference = spec["layer"]
    assert (line["encoding"]["x"]["field"], line["encoding"]["x2"]["field"]) == ("low", "high")
    assert dot["encoding"]["x"]["field"] == "value"
    assert reference["encoding"]["x"]["field"] == "reference"


def test_one_kind_needs_no_legend() -> None:
    """A legend appears only where there is something to tell apart."""
    alone = charts.intervals([DOT], value_title="USD", axis_format=".3f").to_dict()
    two = charts.intervals([DOT, {**DOT, "kind": "predicted"}], value_title="USD", axis_format=".3f").to_dict()

    assert alone["layer"][0]["encoding"]["color"]["legend"] is None
    assert two["layer"][0]["encoding"]["color"]["legend"]["orient"] == "top"


def test_simulated_cost_has_its_interval() -> None:
    """The bar of the simulation carries an error bar, that of the bill none."""
    simulated = Estimate(56.0, 54.0, 58.0, 0.95, 100, 90.0, "bootstrap", "USD")

    spec = charts.before_and_after(98.0, simulated).to_dict()

    billed, proposed = next(iter(spec["datasets"].values()))
    assert (billed["usd"], billed["low"]) == (98.0, None)
    assert (proposed["usd"], proposed["low"], proposed["high"]) == (56.0, 54.0, 58.0)
    assert spec["layer"][1]["mark"]["type"] == "errorbar"


def test_token_mix_keeps_the_order_of_the_query() -> None:
    """Models come dearest first."""
    mix = pa.table(
        {"model": ["z", "a"], "kind": ["output", "output"], "kind_rank": [4, 4], "tokens": [1, 2], "share": [1.0, 1.0],
         "cost_usd": [2.0, 1.0]}
    )  # fmt: skip

    assert charts.token_mix(mix).to_dict()["encoding"]["y"]["sort"] == ["z", "a"]
