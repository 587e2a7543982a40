from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from tierwise.evidence.estimate import Estimate, NotEnoughData
from tierwise.evidence.retention import Certificate
from tierwise.recommend import recommend
from tierwise.savings import cells
from tierwise.savings.predict import Prediction

if TYPE_CHECKING:
    from conftest import World, Worlds
    from tierwise.store.duckdb import DuckDBStore

SHADOW = """
mode = "shadow"
[shadow]
sample = 0.2
[shadow.candidates]
"claude-opus-5-5" = ["claude-haiku-5-5"]
"""


def test_equal_quality_is_certified(worlds: Worlds, store: DuckDBStore, proven: World) -> None:
    """With enough pairs of equal quality the recommendation is certified and carries all that is known."""
    (item,) = recommend(store, now=worlds.AS_OF)

    assert (item.state, item.evidence_state) == ("certified", "certified")
    assert item.target == worlds.WEAK
    assert item.calls == len(proven.calls)
    assert item.spend_usd == sum(proven.calls["cost_usd"].to_pylist(), Decimal(0))
    assert item.monthly_calls == pytest.approx(item.calls * 30 / item.window_days)
    assert isinstance(item.certificate, Certificate)
    assert item.policy_certificate is not None
    assert item.policy_certificate.certified
    assert item.pair_count == len(proven.pairs)
    assert (item.evaluation, item.evaluation_source) == ("exact", "check")
    assert isinstance(item.prediction, Prediction)
    assert item.needed.pairs == 0
    assert item.missing == ()


def test_the_monthly_saving_is_that_of_moving_everything(worlds: Worlds, store: DuckDBStore, proven: World) -> None:
    """The saving is projected from the window to 30 days, with its interval around what the world really saves."""
    (item,) = recommend(store, now=worlds.AS_OF)

    assert item.monthly_calls is not None
    assert item.monthly_spend_usd is not None
    saved = proven.saved_per_call * item.monthly_calls
    assert isinstance(item.monthly_saving, Estimate)
    assert item.monthly_saving.low < saved < item.monthly_saving.high
    assert isinstance(item.saving_share, Estimate)
    assert item.saving_share.value == pytest.approx(item.monthly_saving.value / float(item.monthly_spend_usd), rel=1e-3)


def test_without_pairs_it_is_unproven_and_says_what_it_takes(worlds: Worlds, store: DuckDBStore) -> None:
    """No pairs: a model is proposed from the price list, with a wide interval and the plan to prove it."""
    worlds.fill(store, worlds.make(2, pair_share=0.0))
    store.put_policy(SHADOW, who="ada", why="", based_on=None)

    (item,) = recommend(store, now=worlds.AS_OF)

    assert item.state == "unproven"
    assert item.target == "claude-haiku-5-5"
    assert isinstance(item.certificate, NotEnoughData)
    assert isinstance(item.prediction, NotEnoughData)
    assert item.needed.pairs is not None
    assert 150 < item.needed.pairs < 300
    assert item.needed.days == pytest.approx(item.needed.pairs / (item.calls / item.window_days * 0.2))
    assert item.needed.cost_usd is not None
    assert 0 < item.needed.cost_usd < item.spend_usd
    assert item.needed.pairs_low is not None
    assert item.needed.pairs_high is not None
    assert item.needed.pairs_low < item.needed.pairs < item.needed.pairs_high
    assert item.missing[0].endswith(f"({item.needed.pairs_low} to {item.needed.pairs_high}), at equal quality")
    assert any("assumed, not measured" in line for line in item.assumptions)
    assert len(item.alternatives) > 1


def test_it_says_when_nothing_gathers_evidence(worlds: Worlds, store: DuckDBStore) -> None:
    """Without a shadow plan for the target there is no day on which the evidence will be there."""
    worlds.fill(store, worlds.make(3, pair_share=0.0))

    (item,) = recommend(store, now=worlds.AS_OF)

    assert item.needed.days is None
    assert any("[shadow.candidates]" in line for line in item.missing)


def test_doubtful_quality_is_a_candidate(worlds: Worlds, store: DuckDBStore) -> None:
    """Enough pairs to judge but not to certify: a candidate that says how many more it takes."""
    worlds.fill(store, worlds.make(4, conversations=150, pair_share=0.2))

    (item,) = recommend(store, now=worlds.AS_OF)

    assert item.state == "candidate"
    assert isinstance(item.prediction, Prediction)
    assert item.missing


def test_a_model_that_is_too_weak_is_not_recommended(worlds: Worlds, store: DuckDBStore) -> None:
    """When the model tried is certainly too weak, the next one is proposed, unproven, and the first says why not."""
    worlds.fill(store, worlds.make(5, conversations=600, pair_share=0.5, retention=0.6))

    (item,) = recommend(store, now=worlds.AS_OF)

    assert item.state == "unproven"
    assert item.target != worlds.WEAK
    failed = next(other for other in item.alternatives if other.target == worlds.WEAK)
    assert "too weak" in failed.why_not
    assert failed.pairs > 100


@pytest.mark.parametrize(
    ("source", "words"), [("structural", "only structural checks"), ("judge", "not trusted alone")]
)
def test_untrusted_scores_do_not_certify(worlds: Worlds, store: DuckDBStore, source: str, words: str) -> None:
    """Structural checks and judges alone leave it a candidate, and it says so."""
    world = worlds.make(6, conversations=600, pair_share=0.4)
    at = world.pairs.column_names.index("evaluation_source")
    scored = world.pairs.set_column(at, "evaluation_source", pa.array([source] * len(world.pairs)))
    worlds.fill(store, replace(world, pairs=scored))

    (item,) = recommend(store, now=worlds.AS_OF)

    assert item.state == "candidate"
    assert any(words in line for line in item.missing)


def test_unscored_shadow_calls_measure_tokens_and_are_asked_for(worlds: Worlds, store: DuckDBStore) -> None:
    """Shadow calls without scores give token ratios and latency, and the missing check is named."""
    worlds.fill(store, worlds.make(7, pair_share=0.3))
    with store.cursor() as cursor:
        cursor.execute("DELETE FROM evaluations")

    (item,) = recommend(store, now=worlds.AS_OF)

    assert item.state == "unproven"
    assert any("measured on" in line for line in item.assumptions)
    assert any("have no score for both answers" in line for line in item.missing)
    assert not isinstance(item.latency, NotEnoughData)


def test_one_recommendation_a_use_case_best_first(worlds: Worlds, store: DuckDBStore) -> None:
    """Several use cases give one recommendation each: certified ones first, then by what they surely save."""
    worlds.fill(store, worlds.make(8, conversations=1500, pair_share=0.4, use_cases=3))

    items = recommend(store, now=worlds.AS_OF)

    assert len({item.scope.use_case_id for item in items}) == len(items) == 3
    ranks = [
        (item.evidence_state != "certified", -item.net_saving.low)
        for item in items
        if isinstance(item.net_saving, Estimate)
    ]
    assert len(ranks) == 3
    assert ranks == sorted(ranks)
    assert len({item.policy_certificate for item in items if item.state == "certified"}) == 1


def test_old_calls_are_out_of_the_window(worlds: Worlds, store: DuckDBStore, proven: World) -> None:
    """Only calls of the horizon count; a later look at the same store sees fewer, and finally none."""
    (full,) = recommend(store, now=worlds.AS_OF)
    (later,) = recommend(store, now=worlds.AS_OF, horizon_days=5)

    assert later.calls < full.calls
    assert recommend(store, now=worlds.AS_OF + timedelta(days=60)) == []


def test_less_than_a_day_says_nothing_about_a_month(worlds: Worlds, store: DuckDBStore) -> None:
    """From hours of traffic the saving in the window is given, and no monthly figure is made up."""
    worlds.fill(store, worlds.make(1, conversations=600, pair_share=0.4))
    with store.cursor() as cursor:
        for table, columns in (("llm_calls", ("start_time", "end_time")), ("evaluations", ("time",))):
            for column in columns:
                cursor.execute(
                    f"UPDATE {table} SET {column} = make_timestamp_ns($1 - ($1 - epoch_ns({column})) // 100)",
                    [int(worlds.AS_OF.timestamp()) * 1_000_000_000],
                )

    (item,) = recommend(store, now=worlds.AS_OF)

    assert item.window_days < 1
    assert isinstance(item.window_saving, Estimate)
    assert item.monthly_calls is None
    assert item.monthly_spend_usd is None
    assert isinstance(item.monthly_saving, NotEnoughData)
    assert item.monthly_saving.describe().endswith("of 24 (hours of traffic, to speak of a month)")


def test_quality_below_the_promise_is_no_candidate(worlds: Worlds, store: DuckDBStore) -> None:
    """Pairs that show 90% kept do not make a candidate, however few they are, and the figure is said."""
    worlds.fill(store, worlds.make(5, conversations=300, pair_share=0.2, retention=0.9))

    (item,) = recommend(store, now=worlds.AS_OF)

    assert isinstance(item.certificate, Certificate)
    assert item.certificate.value is not None
    assert item.certificate.value < 0.95 < item.certificate.high
    assert item.state == "unproven"
    assert "kept, it will not be certified" in item.missing[0]


def test_a_doubtful_model_is_certified_for_a_share(worlds: Worlds, store: DuckDBStore) -> None:
    """A model that would cost too much quality for all calls is certified for a part of them, and its saving is that
    of the part."""
    worlds.fill(store, worlds.make(9, conversations=1500, pair_share=0.5, retention=0.96))

    (item,) = recommend(store, now=worlds.AS_OF)

    assert item.state == "certified"
    assert 0.0 < item.share < 1.0
    assert isinstance(item.certificate, Certificate)
    assert not item.certificate.certified
    assert item.policy_certificate is not None
    assert item.policy_certificate.certified
    assert isinstance(item.saving_share, Estimate)
    assert isinstance(item.window_saving, Estimate)
    assert isinstance(item.prediction, Prediction)
    assert item.window_saving.value == pytest.approx(item.prediction.per_call.value * item.calls * item.share)
    assert any(line.startswith(f"which {item.share:.0%} of the calls move") for line in item.assumptions)


def test_a_cascade_is_proposed_where_a_route_is_too_weak(
    worlds: Worlds, store: DuckDBStore, add_verdicts: Callable[[DuckDBStore], None]
) -> None:
    """Where structural checks find the wrong answers, the weak model is certified with the requested one behind it, at
    what both cost and the time both take."""
    worlds.fill(store, worlds.make(12, conversations=1500, pair_share=0.5, retention=0.8))
    (routed,) = recommend(store, now=worlds.AS_OF)
    add_verdicts(store)

    (item,) = recommend(store, now=worlds.AS_OF)

    assert routed.rule_kind == "route"
    assert (item.state, item.rule_kind, item.target) == ("certified", "cascade", worlds.WEAK)
    assert item.strong_share is not None
    assert 0.1 < item.strong_share < 0.4
    assert isinstance(item.certificate, Certificate)
    assert item.certificate.low > 0.95
    assert isinstance(item.saving_share, Estimate)
    assert item.saving_share.value == pytest.approx(item.share * (0.97 - item.strong_share), abs=0.02)
    assert not isinstance(item.latency, NotEnoughData)
    assert item.latency.weak_p95_s > item.latency.strong_p95_s
    assert any("paid beside the cheaper one's" in line for line in item.assumptions)


@pytest.mark.parametrize("retention", [0.6, 0.86, 0.92])
def test_what_is_certified_is_what_is_proposed(worlds: Worlds, store: DuckDBStore, retention: float) -> None:
    """However weak a model is, a certificate is never shown with another model than the one whose pairs gave it."""
    worlds.fill(store, worlds.make(10, conversations=2500, pair_share=0.5, retention=retention))

    (item,) = recommend(store, now=worlds.AS_OF)

    if item.state == "certified":
        assert item.target == worlds.WEAK
        assert item.share < 1.0
    else:
        assert item.policy_certificate is None
        assert item.share == 1.0
    assert (item.state == "certified") == (retention > 0.85)


def test_an_empty_store_has_no_recommendations(worlds: Worlds, store: DuckDBStore) -> None:
    """Nothing stored, nothing recommended."""
    assert recommend(store, now=worlds.AS_OF) == []


def test_the_same_store_gives_the_same_answer(worlds: Worlds, store: DuckDBStore, proven: World) -> None:
    """Recommending twice gives the same values, and writes nothing."""
    assert recommend(store, now=worlds.AS_OF) == recommend(store, now=worlds.AS_OF)
    assert store.recommendations() == []


def test_what_it_rests_on_is_said(worlds: Worlds, store: DuckDBStore, proven: World) -> None:
    """Net saving, coverage, token counts, window, expiry and why now are part of it."""
    (item,) = recommend(store, now=worlds.AS_OF)

    assert isinstance(item.net_saving, Estimate)
    assert isinstance(item.window_saving, Estimate)
    assert item.net_saving.value == pytest.approx(item.window_saving.value - float(item.evaluation_cost_usd))
    assert item.evaluation_cost_usd > 0
    assert item.priced_share == 1.0
    assert item.tokens is not None
    assert item.tokens.pairs == item.tokens.pairs_in_all == len(proven.pairs)
    assert item.since == worlds.AS_OF - timedelta(days=30)
    assert item.candidates is not None
    assert item.candidates > 5
    assert "there are enough pairs now to certify it" in item.why_now
    assert item.expires_at == worlds.AS_OF + timedelta(days=14)
    assert not item.is_stale(worlds.AS_OF + timedelta(days=13))
    assert item.is_stale(worlds.AS_OF + timedelta(days=14))


def test_added_up_traffic_gives_the_numbers_of_single_calls(
    worlds: Worlds, store: DuckDBStore, proven: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dealt into groups of conversations, the saving is the same and its interval no narrower."""
    (single,) = recommend(store, now=worlds.AS_OF)
    monkeypatch.setattr(cells, "MOST_SINGLE", 0)

    (added_up,) = recommend(store, now=worlds.AS_OF)

    assert isinstance(single.window_saving, Estimate)
    assert isinstance(added_up.window_saving, Estimate)
    assert added_up.window_saving.value == pytest.approx(single.window_saving.value, rel=1e-9)
    assert (added_up.calls, added_up.spend_usd) == (single.calls, single.spend_usd)
    # How many conversations fall into a group varies, which widens a total and not a share.
    assert (
        single.window_saving.high - single.window_saving.low < added_up.window_saving.high - added_up.window_saving.low
    )
    assert isinstance(single.saving_share, Estimate)
    assert isinstance(added_up.saving_share, Estimate)
    widths = [item.high - item.low for item in (single.saving_share, added_up.saving_share)]
    assert widths[1] == pytest.approx(widths[0], rel=0.25)


def test_a_call_found_unfit_to_move_stays(worlds: Worlds, store: DuckDBStore, proven: World) -> None:
    """Calls that a rule had to refuse are in the spend and not in the saving."""
    (before,) = recommend(store, now=worlds.AS_OF)
    with store.cursor() as cursor:
        cursor.execute("UPDATE llm_calls SET decision = 'refused' WHERE hash(conversation_id) % 2 = 0")

    (after,) = recommend(store, now=worlds.AS_OF)

    assert isinstance(before.window_saving, Estimate)
    assert isinstance(after.window_saving, Estimate)
    assert after.spend_usd == before.spend_usd
    assert after.window_saving.value < 0.7 * before.window_saving.value
