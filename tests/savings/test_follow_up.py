from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tierwise.evidence.estimate import NotEnoughData
from tierwise.routing.policy import Rule
from tierwise.savings.follow_up import FollowUp, follow_up_of, followed, strong_share, with_verdicts
from tierwise.savings.pairs import Pairs, read_pairs
from tierwise.savings.traffic import Labels

if TYPE_CHECKING:
    from conftest import Worlds

VERDICTS = (None, "", "schema", "refusal truncation")


def checked(worlds: Worlds, **columns: Any) -> Pairs:
    """Pairs whose cheap answers passed, failed or were not looked at, in turn."""
    pairs = read_pairs(worlds.make(1, conversations=200, pair_share=0.5).pairs)
    codes = (np.arange(len(pairs)) % len(VERDICTS)).astype(np.int32)
    return replace(pairs, weak_failed_checks=Labels(VERDICTS, codes), **columns)


def test_a_cascade_takes_the_second_answer_where_the_first_fails(worlds: Worlds) -> None:
    """Score and duration are those of what the caller gets, and both answers are paid for."""
    pairs = checked(worlds)
    known = with_verdicts(pairs, FollowUp(("schema",)))

    got = followed(known, FollowUp(("schema",)))

    failing = known.weak_failed_checks.equal("schema")
    assert len(known) < len(pairs)
    assert (got.weak_score == np.where(failing, known.strong_score, known.weak_score)).all()
    assert got.weak_cost == pytest.approx(known.weak_cost + failing * known.strong_cost)
    assert got.weak_duration_s == pytest.approx(known.weak_duration_s + failing * known.strong_duration_s)


@settings(max_examples=40)
@given(weak_s=st.floats(0.1, 20), strong_s=st.floats(0.1, 20), patience_s=st.floats(0, 20), fails=st.booleans())
def test_a_speculative_rule_is_never_slower_than_a_cascade(
    worlds: Worlds, weak_s: float, strong_s: float, patience_s: float, fails: bool
) -> None:
    """It waits no longer than a cascade with the same checks, nor than patience and the requested model together."""
    pairs = checked(worlds).take(np.arange(1))
    pairs = replace(
        pairs,
        weak_failed_checks=Labels(("schema" if fails else "",), np.zeros(1, dtype=np.int32)),
        weak_duration_s=np.array([weak_s]),
        strong_duration_s=np.array([strong_s]),
    )

    speculative = followed(pairs, FollowUp(("schema",), patience_s))
    cascade = followed(pairs, FollowUp(("schema",)))

    assert speculative.weak_duration_s[0] <= cascade.weak_duration_s[0] + 1e-9
    assert speculative.weak_duration_s[0] <= patience_s + strong_s + 1e-9 or (not fails and weak_s <= patience_s)
    assert speculative.weak_cost[0] >= cascade.weak_cost[0]


def test_what_is_paid_beside_is_measured(worlds: Worlds) -> None:
    """The share is by cost, with draws around it; without verdicts there is none."""
    pairs = checked(worlds)
    follow_up = FollowUp(("refusal",))

    share = strong_share(pairs, follow_up, draws=200, rng=np.random.default_rng(1))
    nobody = replace(pairs, weak_failed_checks=Labels((None,), np.zeros(len(pairs), dtype=np.int32)))
    unknown = strong_share(nobody, follow_up, draws=200, rng=np.random.default_rng(1))

    assert not isinstance(share, NotEnoughData)
    known = with_verdicts(pairs, follow_up)
    failing = known.weak_failed_checks.equal("refusal truncation")
    assert share.value == pytest.approx(known.strong_cost[failing].sum() / known.strong_cost.sum())
    assert share.draws.min() < share.value < share.draws.max()
    assert "of the requested model's cost" in share.assumption
    assert isinstance(unknown, NotEnoughData)
    assert unknown.n == 0


@pytest.mark.parametrize(
    ("rule", "found"),
    [
        (Rule("r", "route", to="m"), None),
        (Rule("r", "cascade", to="m", options={"escalate": {"on": ("schema", "complexity")}}), FollowUp(("schema",))),
        (
            Rule("r", "speculative", to="m", options={"speculate": {"patience_s": 1.5}}),
            FollowUp(("schema", "refusal", "truncation"), 1.5),
        ),
    ],
)
def test_rules_say_what_follows(rule: Rule, found: FollowUp | None) -> None:
    """A cascade waits for its checks, a speculative rule for its patience too; a route asks one model."""
    assert follow_up_of(rule) == found


def test_some_rules_cannot_be_told_from_pairs() -> None:
    """Models in between and several answers are not in a pair, and the reason is said."""
    between = follow_up_of(Rule("r", "cascade", to="a", options={"escalate": {"to": ("b",)}}))
    several = follow_up_of(Rule("r", "cascade", to="a", options={"escalate": {"on": ("agreement",)}}))

    assert between == "it asks b in between, and pairs compare two models"
    assert isinstance(several, str)
