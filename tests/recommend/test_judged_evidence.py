"""Use cases whose pairs a judge scored and people reviewed, in worlds whose truth is known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest

from tierwise.evidence.estimate import Estimate, NotEnoughData
from tierwise.recommend import Recommendation
from tierwise.recommend.explain import explain
from tierwise.recommend.judged_evidence import read_judged
from tierwise.recommend.propose import recommend
from tierwise.review.queue import QueueItem, read_queue
from tierwise.review.verdicts import Choice, record

if TYPE_CHECKING:
    from conftest import World, Worlds
    from tierwise.store.duckdb import DuckDBStore

REVIEW_EVERYTHING = """\
version = 1
mode = "shadow"

[[rule]]
id = "watched"
when = { use_case = ["uc_0"] }
to = "claude-haiku-5-5"
share = 0.5

[rule.review]
sample = 0.3
disagreements = 0.9
"""

Truth = dict[str, tuple[float, float]]
"""Shadow span id → what a person finds of the strong and of the weak answer."""


def _fill(
    worlds: Worlds,
    store: DuckDBStore,
    world: World,
    judge: Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]],
) -> Truth:
    """Store `world` with a judge's scores in place of the true ones, under a policy that has many pairs reviewed."""
    pairs = world.pairs
    strong, weak = pairs["strong_score"].to_numpy(), pairs["weak_score"].to_numpy()
    n = len(pairs)
    judged = pairs.set_column(
        pairs.column_names.index("evaluation_source"), "evaluation_source", pa.array(["judge"] * n)
    )
    judged = judged.set_column(judged.column_names.index("weak_score"), "weak_score", pa.array(judge(weak)))
    worlds.fill(store, replace(world, pairs=judged))
    store.put_policy(REVIEW_EVERYTHING, who="ada", why="")
    with store.cursor() as cursor:
        cursor.execute("UPDATE llm_calls SET rule_id = 'watched', policy_version = 1 WHERE shadow_of_span_id IS NULL")
    spans = pairs["shadow_span_id"].to_pylist()
    return {span: (strong[row], weak[row]) for row, span in enumerate(spans)}


def _honest(item: QueueItem, truth: Truth) -> Choice:
    strong, weak = truth[item.shadow_span_id]
    if strong == weak:
        return "tie" if strong else "bad"
    return "a" if (item.first == "strong") == (strong > weak) else "b"


def _review(store: DuckDBStore, truth: Truth, *, most: int | None = None) -> int:
    waiting = read_queue(store).waiting[:most]
    for place, item in enumerate(waiting):
        record(store, item, _honest(item, truth), reviewer="ada", shown="link", now_ns=10**18 + place)
    return len(waiting)


def _only(store: DuckDBStore, worlds: Worlds) -> Recommendation:
    (item,) = recommend(store, now=worlds.AS_OF)
    return item


@pytest.fixture(scope="module")
def equal_quality(worlds: Worlds) -> World:
    """The weak model is as good."""
    return worlds.make(5, conversations=600, pair_share=0.5)


def test_a_judge_alone_certifies_nothing(worlds: Worlds, store: DuckDBStore, equal_quality: World) -> None:
    """However many pairs a judge likes, without a person it stays a candidate."""
    _fill(worlds, store, equal_quality, lambda weak: weak)

    item = _only(store, worlds)

    assert item.state == "candidate"
    assert item.judged is None
    assert any("people must score" in line for line in item.missing)


def test_a_good_judge_and_people_certify(worlds: Worlds, store: DuckDBStore, equal_quality: World) -> None:
    """Reviews of the drawn pairs certify what the judge found, with agreement, bias and both counts shown."""
    truth = _fill(worlds, store, equal_quality, lambda weak: weak)
    reviewed = _review(store, truth)

    item = _only(store, worlds)

    assert item.state == "certified"
    evidence = item.judged
    assert evidence is not None
    assert (evidence.judge, evidence.reviewed, evidence.waiting) == ("exact", reviewed, 0)
    assert evidence.pairs == evidence.counted == len(equal_quality.pairs)
    assert 100 < reviewed < 0.6 * evidence.pairs
    assert item.certificate == evidence.certificate
    assert isinstance(evidence.agreement, Estimate)
    assert evidence.agreement.value == 1.0
    assert isinstance(evidence.leniency, Estimate)
    assert abs(evidence.leniency.value) < 1e-9
    assert isinstance(evidence.position_advantage, NotEnoughData)
    assert isinstance(evidence.weak_quality, Estimate)
    assert evidence.weak_quality.low < float(np.mean([weak for _, weak in truth.values()])) < evidence.weak_quality.high
    assert any("people corrected it" in line for line in item.assumptions)
    assert Recommendation.from_dict(item.to_dict()).judged == evidence


def test_a_lenient_judge_certifies_nothing_that_people_would_not(worlds: Worlds, store: DuckDBStore) -> None:
    """A judge that likes every answer of a model that keeps 80% is corrected by the reviews, and its leniency shown."""
    truth = _fill(
        worlds, store, worlds.make(6, conversations=600, pair_share=0.5, retention=0.8), lambda weak: np.ones(len(weak))
    )
    _review(store, truth)

    (evidence,) = read_judged(
        store, store.query("pairs", until=worlds.AS_OF), now=worlds.AS_OF, rho=0.95, alpha=0.05
    ).values()
    item = _only(store, worlds)

    assert not evidence.certificate.certified
    assert evidence.certificate.high < 0.95
    assert isinstance(evidence.leniency, Estimate)
    assert evidence.leniency.low > 0.0
    assert item.target != worlds.WEAK or item.share < 0.5


def test_a_half_finished_queue_counts_up_to_the_first_pair_that_waits(
    worlds: Worlds, store: DuckDBStore, equal_quality: World
) -> None:
    """Pairs after the first unreviewed one are left out, and it says how many wait."""
    truth = _fill(worlds, store, equal_quality, lambda weak: weak)
    drawn = len(read_queue(store).waiting)
    _review(store, truth, most=40)

    item = _only(store, worlds)

    evidence = item.judged
    assert evidence is not None
    assert (evidence.reviewed, evidence.waiting) == (40, drawn - 40)
    assert evidence.counted < evidence.pairs / 2
    assert any("wait for review" in line for line in item.missing)


def test_skipped_pairs_count_neither_way(worlds: Worlds, store: DuckDBStore, equal_quality: World) -> None:
    """Skipping every drawn pair proves nothing, not even with a judge that likes all answers."""
    _fill(worlds, store, equal_quality, lambda weak: weak)
    for item in read_queue(store).waiting:
        record(store, item, "skip", reviewer="ada", shown="link")

    assert _only(store, worlds).state != "certified"


def test_position_bias_is_measured(worlds: Worlds, store: DuckDBStore, equal_quality: World) -> None:
    """A judge that prefers what it sees first is shown as such."""
    truth = _fill(worlds, store, equal_quality, lambda weak: weak)
    _review(store, truth)
    with store.cursor() as cursor:
        cursor.execute("UPDATE evaluations SET label = 'win/loss' WHERE source = 'judge'")

    evidence = _only(store, worlds).judged

    assert evidence is not None
    assert isinstance(evidence.position_advantage, Estimate)
    assert evidence.position_advantage.value == 1.0
    assert isinstance(evidence.consistency, Estimate)
    assert evidence.consistency.value == 0.0


def test_what_it_rests_on_is_explained(worlds: Worlds, store: DuckDBStore, equal_quality: World) -> None:
    """Counts of judged and reviewed pairs have statements that give them again."""
    truth = _fill(worlds, store, equal_quality, lambda weak: weak)
    _review(store, truth)
    item = _only(store, worlds)

    figures = {figure.name: figure for figure in explain(item).figures}

    for name in ("judged pairs", "reviewed pairs", "quality kept", "evaluation_cost_usd"):
        (value,) = store.sql(figures[name].sql).to_pylist()[0].values()
        assert float(value) == pytest.approx(float(figures[name].value))
        assert value > 0


def test_a_judge_is_not_moved(worlds: Worlds, store: DuckDBStore, equal_quality: World) -> None:
    """The calls that a judge makes are no use case to save on."""
    worlds.fill(store, equal_quality)
    with store.cursor() as cursor:
        cursor.execute("UPDATE llm_calls SET use_case_name = 'judge of replies'")

    assert recommend(store, now=worlds.AS_OF) == []
