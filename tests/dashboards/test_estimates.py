from __future__ import annotations

import math
from dataclasses import replace

import estimates

from tierwise.evidence.estimate import Estimate, NotEnoughData
from tierwise.evidence.retention import Certificate, certify

SAVING = Estimate(412.0, 305.0, 540.0, 0.95, 1204, 800.0, "bootstrap", "USD")


def test_value_and_interval_come_in_the_unit() -> None:
    """Money, shares and seconds are each written their own way."""
    money = estimates.shown(SAVING)
    share = estimates.shown(replace(SAVING, value=0.42, low=0.4, high=0.5, unit="share"))
    time = estimates.shown(replace(SAVING, value=-0.78, low=-0.82, high=-0.74, unit="s"))

    assert (money.value, money.interval) == ("$412.00", "$305.00 to $540.00")
    assert (share.value, share.interval) == ("42.0%", "40.0% to 50.0%")
    assert (time.value, time.interval) == ("−780 ms", "−820 ms to −740 ms")
    assert money.detail == "95% interval, n=1,204, bootstrap"


def test_no_data_is_no_value() -> None:
    """Too little data shows a dash and says how much there is, never a zero."""
    text = estimates.shown(NotEnoughData(12, 30, "conversations"))

    assert not text.known
    assert (text.value, text.interval, text.detail) == ("—", "not enough data: 12 of 30", "conversations")


def test_unbounded_interval() -> None:
    """An interval without an upper end says so."""
    assert estimates.shown(replace(SAVING, high=math.inf)).interval == "$305.00 or more"


def test_retention() -> None:
    """Quality kept is shown with both bounds; without any pair there is none."""
    proof = certify([1.0] * 400, [1.0] * 400)

    shown, unknown = estimates.shown_retention(proof), estimates.shown_retention(certify([], []))

    assert isinstance(proof, Certificate)
    assert shown.value == "100%"
    assert shown.interval.endswith(f"{proof.high:.1%}")
    assert "n=400 pairs" in shown.detail
    assert not unknown.known
    assert unknown.interval == "0% to no upper bound"


def test_e_value_says_from_where_on_it_certifies() -> None:
    """The reader need not know the threshold of an e-value by heart."""
    weak = certify([1.0, 0.0], [1.0, 1.0])
    strong = certify([1.0] * 900, [1.0] * 900)

    assert estimates.e_value(weak).endswith("(certified from 20)")
    assert estimates.e_value(strong) == "e-value over 1,000 (certified from 20)"
