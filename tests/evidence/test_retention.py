from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tierwise.evidence.e_process import STAKE_SHARES, STAKES, log_e_process, log_mixture
from tierwise.evidence.retention import Certificate, certify, expected_pairs, first_scores

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]

graded = st.integers(0, 10).map(lambda k: k / 10)
graded_pairs = st.lists(st.tuples(graded, graded), min_size=1, max_size=60)

WEAK, STRONG = np.array([1.0, 1.0, 0.0, 0.0]), np.array([1.0, 0.0, 1.0, 0.0])


def outcomes(retention: float, shape: int | tuple[int, ...], seed: int, *, strong_rate: float = 0.9) -> Codes:
    """Codes of both / only weak / only strong / none right; the weak model alone is right on 2%."""
    both = retention * strong_rate - 0.02
    edges = np.cumsum([both, 0.02, strong_rate - both])
    return np.searchsorted(edges, np.random.default_rng(seed).random(shape), side="right")


def first_crossing(gains: Floats, threshold: float = 20.0) -> Floats:
    """The look, counted from 1, at which each world's e-value first reaches the threshold; inf if never.

    Args:
        gains: shape (pairs, worlds).
    """
    capital = np.tile(STAKE_SHARES, (gains.shape[1], 1))
    reached = np.full(gains.shape[1], np.inf)
    for look, gain in enumerate(gains, start=1):
        capital *= 1.0 + gain[:, None] * STAKES
        reached[np.isinf(reached) & (capital.sum(axis=1) >= threshold)] = look
    return reached


def rate_bound(alpha: float, worlds: int) -> float:
    """A rate of at most alpha, measured on so many worlds, stays below this but for three standard deviations."""
    return alpha + 3 * math.sqrt(alpha * (1 - alpha) / worlds)


def test_the_simulation_below_is_the_certificate():
    """The vectorised e-process that the truth tests use gives the e-value of certify()."""
    codes = outcomes(0.98, 80, seed=0)

    certificate = certify(WEAK[codes], STRONG[codes])

    log_capital = np.log1p((WEAK[codes] / 0.95 - STRONG[codes])[:, None] * STAKES).sum(axis=0)
    assert certificate.e_value == pytest.approx(math.exp(log_mixture(log_capital)))


@pytest.mark.parametrize("strong_rate", [0.5, 0.9])
def test_watching_every_pair_rarely_certifies_a_model_at_the_limit(strong_rate: float):
    """At a retention of exactly 95%, looking after each of 500 pairs, at most 5% of 3,000 worlds ever certify."""
    codes = outcomes(0.95, (500, 3000), seed=1, strong_rate=strong_rate)

    reached = first_crossing(WEAK[codes] / 0.95 - STRONG[codes])

    assert np.isfinite(reached).mean() <= rate_bound(0.05, 3000)


def test_graded_scores_at_the_limit_are_rarely_certified():
    """With graded scores whose means are at the limit, at most 5% of 2,000 worlds ever certify."""
    rng = np.random.default_rng(2)
    strong = rng.beta(6, 2, (400, 2000))
    weak = 0.95 * rng.permuted(strong, axis=0)

    reached = first_crossing(weak / 0.95 - strong)

    assert np.isfinite(reached).mean() <= rate_bound(0.05, 2000)


def test_weights_keep_the_promise_under_stratified_sampling():
    """A model at the limit overall, good where sampled often, is certified by at most 5% of weighted worlds."""
    rng = np.random.default_rng(3)
    # Half the traffic is hard (weak right on 81.7%) and sampled 1 in 4, half easy (98.3%) and always; strong is right.
    # Overall 90%; in a sample 4 in 5 pairs are easy.
    easy = rng.random((400, 2000)) < 0.8
    weak = (rng.random((400, 2000)) < np.where(easy, 0.983, 0.817)).astype(float)
    gains = weak / 0.90 - 1.0

    weighted = first_crossing(gains * np.where(easy, 0.25, 1.0))
    unweighted = first_crossing(gains)

    assert np.isfinite(weighted).mean() <= rate_bound(0.05, 2000)
    assert np.isfinite(unweighted).mean() > 0.5


@pytest.mark.parametrize(("retention", "pairs"), [(1.02, 96), (1.00, 185), (0.99, 315)])
def test_a_good_model_is_certified_in_few_pairs(retention: float, pairs: int):
    """At least half of 1,000 worlds certify within the pairs that a plain betting e-process takes."""
    codes = outcomes(retention, (pairs, 1000), seed=4)

    reached = first_crossing(WEAK[codes] / 0.95 - STRONG[codes])

    assert np.isfinite(reached).mean() > 0.5


def test_bounds_cover_the_truth_when_one_stops_at_will():
    """Stopping at certification or after 300 pairs, each bound misses the true 98% in at most 5% of 300 worlds."""
    codes = outcomes(0.98, (300, 300), seed=5)
    stops = np.minimum(first_crossing(WEAK[codes] / 0.95 - STRONG[codes]), 300).astype(int)

    certificates = [certify(WEAK[codes[:stop, world]], STRONG[codes[:stop, world]]) for world, stop in enumerate(stops)]

    assert np.mean([certificate.low > 0.98 for certificate in certificates]) <= rate_bound(0.05, 300)
    assert np.mean([certificate.high < 0.98 for certificate in certificates]) <= rate_bound(0.05, 300)
    assert any(certificate.certified for certificate in certificates)


@given(graded_pairs, st.sampled_from([0.5, 0.8, 0.95, 1.0, 1.2]), st.sampled_from([0.3, 0.05, 0.001]))
def test_certified_means_that_the_lower_bound_reaches_rho(pairs: list[tuple[float, float]], rho: float, alpha: float):
    """certified, low >= rho and e_value >= 1 / alpha are one statement; the observed value lies between the bounds."""
    weak, strong = np.array(pairs).T

    certificate = certify(weak, strong, rho=rho, alpha=alpha)

    assert certificate.certified == (certificate.low >= rho)
    assert certificate.certified == (math.log(certificate.e_value) >= -math.log(alpha) - 1e-12)
    assert certificate.certified == (certificate.pairs_needed == 0)
    assert certificate.value is None or certificate.low <= certificate.value <= certificate.high


@given(graded_pairs)
def test_exchanging_the_models_inverts_the_bounds(pairs: list[tuple[float, float]]):
    """Retention of weak over strong is the inverse of strong over weak, bounds included."""
    weak, strong = np.array(pairs).T
    assume(weak.any() and strong.any())

    upright, exchanged = certify(weak, strong, rho=5.0), certify(strong, weak, rho=5.0)

    assert upright.high == pytest.approx(1 / exchanged.low)
    assert exchanged.high == pytest.approx(1 / upright.low)


@given(graded_pairs, st.data())
def test_a_better_weak_score_never_hurts(pairs: list[tuple[float, float]], data: st.DataObject):
    """Raising one weak score raises the evidence and both bounds, or leaves them."""
    weak, strong = np.array(pairs).T
    at = data.draw(st.integers(0, len(pairs) - 1))
    raised = weak.copy()
    raised[at] = data.draw(st.floats(weak[at], 1.0))

    before, after = certify(weak, strong), certify(raised, strong)

    assert after.e_value >= before.e_value * (1 - 1e-9)
    assert after.low >= before.low * (1 - 1e-9)
    assert after.high >= before.high * (1 - 1e-9)


@given(graded_pairs, st.randoms(use_true_random=False))
def test_the_order_of_pairs_and_the_names_of_clusters_do_not_matter(
    pairs: list[tuple[float, float]],
    random,  # pyright: ignore[reportMissingParameterType]
):
    """Shuffling pairs with their clusters, and renaming clusters, gives the same certificate."""
    cluster = [index // 3 for index in range(len(pairs))]
    order = list(range(len(pairs)))
    random.shuffle(order)
    weak, strong = np.array(pairs).T

    plain = certify(weak, strong, cluster=cluster)
    shuffled = certify(weak[order], strong[order], cluster=[f"c{99 - cluster[index]}" for index in order])

    assert shuffled.certified == plain.certified
    assert (shuffled.e_value, shuffled.low, shuffled.high) == pytest.approx((plain.e_value, plain.low, plain.high))


@given(graded_pairs, st.floats(0.1, 1000.0))
def test_equal_weights_and_singleton_clusters_are_no_weights_and_no_clusters(
    pairs: list[tuple[float, float]], weight: float
):
    """Weighting all pairs alike, or putting each in its own cluster, changes nothing."""
    weak, strong = np.array(pairs).T

    plain = certify(weak, strong)

    for other in (
        certify(weak, strong, weight=np.full(len(weak), weight)),
        certify(weak, strong, cluster=np.arange(len(weak))),
    ):
        assert (other.e_value, other.low, other.high) == pytest.approx((plain.e_value, plain.low, plain.high))
        assert other.effective_n == pytest.approx(len(weak))


def test_the_path_of_the_evidence_is_the_e_process_of_the_difference():
    """log_e_process on weak - rho strong ends at the certificate's e-value."""
    codes = outcomes(0.99, 70, seed=10)

    path = log_e_process(WEAK[codes] - 0.95 * STRONG[codes], -0.95, 1.0, 0.0)

    assert math.exp(path[-1]) == pytest.approx(certify(WEAK[codes], STRONG[codes]).e_value)


def test_a_conversation_counts_once():
    """Repeating each pair of a conversation adds no evidence."""
    codes = outcomes(1.0, 60, seed=6)
    single = certify(WEAK[codes], STRONG[codes])

    repeated = certify(np.repeat(WEAK[codes], 5), np.repeat(STRONG[codes], 5), cluster=np.repeat(np.arange(60), 5))

    assert repeated.e_value == pytest.approx(single.e_value)
    assert (repeated.n, repeated.effective_n) == (300, pytest.approx(60.0))
    assert repeated.pairs_needed == pytest.approx(5 * (single.pairs_needed or 0), abs=5)


def test_a_rarer_stratum_that_was_not_sampled_lowers_the_evidence():
    """Naming a larger max_weight than was seen shrinks every bet."""
    codes = outcomes(1.0, 150, seed=7)

    seen = certify(WEAK[codes], STRONG[codes], weight=np.full(150, 2.0))
    named = certify(WEAK[codes], STRONG[codes], weight=np.full(150, 2.0), max_weight=10.0)

    assert named.e_value < seen.e_value
    assert named.low < seen.low


def test_scores_exactly_at_the_limit_are_no_evidence():
    """When weak is rho times strong in every pair, the e-value is one and stays there."""
    strong = np.array([1.0, 0.6, 0.2, 0.0] * 50)

    certificate = certify(0.5 * strong, strong, rho=0.5)

    assert certificate.e_value == pytest.approx(1.0)
    assert certificate.value == pytest.approx(0.5)
    assert certificate.pairs_needed is None


def test_evidence_of_exactly_one_over_alpha_certifies():
    """The tie belongs to certification, and the bound is then rho itself."""
    codes = outcomes(1.0, 120, seed=8)
    e_value = certify(WEAK[codes], STRONG[codes]).e_value

    reached = certify(WEAK[codes], STRONG[codes], alpha=(1 + 1e-12) / e_value)
    missed = certify(WEAK[codes], STRONG[codes], alpha=(1 - 1e-9) / e_value)

    assert (reached.certified, reached.low) == (True, pytest.approx(0.95))
    assert missed.certified is False
    assert missed.low < 0.95


def test_more_pairs_are_forecast_from_the_rates_seen():
    """A sample repeated without change certifies at the first hundred after the forecast, and not at the one before."""
    codes = np.repeat([0, 1, 2, 3], [88, 2, 2, 8])
    certificate = certify(WEAK[codes], STRONG[codes])
    assert certificate.pairs_needed is not None

    hundreds, _ = divmod(100 + certificate.pairs_needed, 100)

    assert 100 + certificate.pairs_needed == expected_pairs(1.0)
    assert not certify(np.tile(WEAK[codes], hundreds), np.tile(STRONG[codes], hundreds)).certified
    assert certify(np.tile(WEAK[codes], hundreds + 1), np.tile(STRONG[codes], hundreds + 1)).certified


def test_a_hopeless_model_needs_no_number_of_pairs():
    """A model at 80% gets no forecast, and its line says so."""
    codes = outcomes(0.8, 200, seed=9)

    certificate = certify(WEAK[codes], STRONG[codes])

    assert certificate.pairs_needed is None
    assert certificate.high < 0.95
    assert certificate.describe().endswith("not certified to keep 95% and not on the way there")


def test_no_pairs_are_no_evidence():
    """Without pairs nothing is certified, the bounds are 0 and infinity, and there is no value."""
    certificate = certify([], [])

    assert (certificate.certified, certificate.low, certificate.value, certificate.high, certificate.n) == (
        False,
        0.0,
        None,
        math.inf,
        0,
    )
    assert certificate.e_value == pytest.approx(1.0)
    assert certificate.describe() == "retention unknown, n=0, no pairs yet"


def test_a_strong_model_that_scores_nothing_has_no_retention():
    """Retention is not divided by zero: the value is None, the lower bound still holds."""
    certificate = certify(np.ones(50), np.zeros(50))

    assert certificate.value is None
    assert certificate.certified
    assert certificate.high == math.inf


@pytest.mark.parametrize("weak", [[], [1.0, 1.0, 0.0]])
def test_a_certificate_is_json(weak: list[float]):
    """The certificate can be stored as it is; an infinite bound becomes null."""
    stored = json.loads(json.dumps(certify(weak, np.ones(len(weak))).to_dict(), allow_nan=False))

    assert set(stored) == set(Certificate.__slots__)


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({}, "retention 99.2% [95.4%, 103.0%], n=240, certified to keep 95%"),
        (
            {"certified": False, "low": 0.9, "high": math.inf, "pairs_needed": 1360},
            "retention 99.2% [90.0%, no upper bound], n=240, not certified to keep 95%: about 1,360 more pairs needed",
        ),
    ],
)
def test_a_certificate_reads_as_one_line(changes: dict[str, Any], line: str):
    """The line shows value, bounds, n, the verdict and what is missing."""
    certificate = Certificate(
        certified=True,
        e_value=31.0,
        low=0.954,
        value=0.992,
        high=1.03,
        n=240,
        effective_n=240.0,
        pairs_needed=0,
        method="test",
        rho=0.95,
        alpha=0.05,
    )

    assert replace(certificate, **changes).describe() == line


def test_the_forecast_falls_with_retention():
    """Fewer pairs are expected for better models, more for stricter levels, none for a model at the limit."""
    by_retention = [expected_pairs(retention) or 0 for retention in (1.02, 1.0, 0.99, 0.97)]

    assert by_retention == sorted(by_retention)
    assert (expected_pairs(1.0, alpha=0.005) or 0) > (expected_pairs(1.0) or 0)
    assert expected_pairs(0.95) is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"weak": [2.0], "strong": [1.0]}, r"weak is 2\.0 at position 0"),
        ({"weak": [1.0], "strong": [1.0, 1.0]}, "strong has 2 rows where the others have 1"),
        ({"weak": [1.0], "strong": [1.0], "rho": 0.0}, r"rho is 0\.0"),
        ({"weak": [1.0], "strong": [1.0], "alpha": 1.0}, r"alpha is 1\.0"),
        ({"weak": [1.0], "strong": [1.0], "weight": [0.0]}, r"weight is 0\.0 at position 0"),
        ({"weak": [1.0], "strong": [1.0], "weight": [9.0], "max_weight": 4.0}, r"weight is 9\.0 .* max_weight=4\.0"),
        ({"weak": [1.0], "strong": [1.0], "cluster": ["a", "b"]}, "cluster has 2 rows"),
    ],
)
def test_wrong_input_is_refused_with_the_value(arguments: dict[str, list[float]], message: str):
    """Every refusal names the argument, the value and the way out."""
    with pytest.raises(ValueError, match=message):
        certify(**arguments)  # pyright: ignore[reportArgumentType]


def test_impossible_rates_are_refused():
    """A weak model cannot be alone right on more requests than strong gets wrong."""
    with pytest.raises(ValueError, match=r"weak_better=0\.2 leave a negative share"):
        expected_pairs(1.0, strong_rate=0.9, weak_better=0.2)


def test_a_new_design_leaves_earlier_bets_as_they_were():
    """When the sampling rate falls later, pairs sampled at the old rate keep their bets if each names its own bound."""
    codes = outcomes(1.0, 200, seed=11)
    weak, strong = WEAK[codes], STRONG[codes]
    weight = np.repeat([10.0, 50.0], 100)

    per_pair = certify(weak, strong, weight=weight, max_weight=weight)
    one_bound = certify(weak, strong, weight=weight, max_weight=50.0)

    assert per_pair.e_value == pytest.approx(certify(weak, strong).e_value)
    assert one_bound.e_value < per_pair.e_value


def test_a_pair_scored_again_counts_with_its_first_score():
    """Bets stay settled: of several scores of a pair only the first in time counts, in order of arrival."""
    rows = first_scores(["a", "b", "a", "c", "b"], [5.0, 2.0, 1.0, 4.0, 3.0])

    assert rows.tolist() == [2, 1, 3]
