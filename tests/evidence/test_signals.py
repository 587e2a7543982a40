from __future__ import annotations

import json

import numpy as np
import pytest

from tierwise.evidence.estimate import Estimate, NotEnoughData
from tierwise.evidence.signals import audit


def test_auc_agrees_with_scipy():
    """scipy 1.17.1: stats.mannwhitneyu(wrong, right).statistic / (len(wrong) * len(right)), with ties."""
    wrong = np.tile([3.0, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8], 2)
    right = np.tile([2.0, 7, 1, 8, 2, 8, 1, 8, 2, 8, 4, 5], 2)

    auc = audit(np.append(wrong, right), np.repeat([0, 1], 24)).auc

    assert isinstance(auc, Estimate)
    assert auc.value == pytest.approx(0.4826388888888889)
    assert auc.low < 0.5 < auc.high


def test_precision_and_recall_count_flagged_and_found():
    """A check that fires on 10 answers, 8 of them wrong, out of 20 wrong ones, has precision 80% and recall 40%."""
    correct = np.array([0] * 20 + [1] * 80)
    fires = np.array([1] * 8 + [0] * 12 + [1] * 2 + [0] * 78)

    found = audit(fires, correct)

    assert isinstance(found.precision, Estimate)
    assert isinstance(found.recall, Estimate)
    assert (found.precision.value, found.precision.n) == (0.8, 10)
    assert (found.recall.value, found.recall.n) == (0.4, 20)


def test_the_auc_interval_covers_the_truth():
    """Over 400 samples of normal scores one standard deviation apart, the interval covers 0.760 in 91% to 98%."""
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(400):
        signal = np.append(rng.normal(1, 1, 20), rng.normal(0, 1, 60))

        auc = audit(signal, np.repeat([0, 1], [20, 60])).auc

        covered += isinstance(auc, Estimate) and auc.low <= 0.7602499 <= auc.high
    assert 0.91 <= covered / 400 <= 0.98


def test_a_perfect_signal_is_not_certain():
    """With all wrong answers above all right ones the AUC is 1 and its lower bound below 1."""
    auc = audit(np.arange(40.0), np.repeat([1, 0], [30, 10])).auc

    assert isinstance(auc, Estimate)
    assert auc.value == auc.high == 1.0
    assert 0.6 < auc.low < 0.95


def test_reversing_a_signal_mirrors_its_auc():
    """The AUC of the negated signal is one minus the AUC, and so are its bounds."""
    signal, correct = np.random.default_rng(1).random(60), np.repeat([0, 1, 1], 20)

    upright, reversed_signal = audit(signal, correct).auc, audit(-signal, correct).auc

    assert isinstance(upright, Estimate)
    assert isinstance(reversed_signal, Estimate)
    assert (reversed_signal.low, reversed_signal.high) == pytest.approx((1 - upright.high, 1 - upright.low))


def test_a_signal_that_never_fired_has_no_precision():
    """What was never seen is NotEnoughData, for each figure on its own."""
    silent = audit(np.zeros(50), np.repeat([0, 1], [10, 40]))

    assert isinstance(silent.precision, NotEnoughData)
    assert isinstance(silent.recall, Estimate)
    assert isinstance(audit(np.ones(50), np.ones(50)).auc, NotEnoughData)
    assert isinstance(audit([], []).recall, NotEnoughData)


def test_an_audit_is_json():
    """The audit can be stored as it is."""
    assert set(json.loads(json.dumps(audit([1, 0], [0, 1]).to_dict()))) == {"precision", "recall", "auc"}


def test_weights_undo_how_answers_were_drawn():
    """Where suspicious answers are graded ten times as often, weights give precision, recall and AUC of all answers,
    and intervals wider than the same number of answers drawn alike would."""
    rng = np.random.default_rng(3)
    wrong = rng.random(20_000) < 0.2
    fires = np.where(rng.random(20_000) < np.where(wrong, 0.6, 0.1), 1.0, 0.0)
    graded = rng.random(20_000) < np.where(fires > 0.5, 0.5, 0.05)
    weight = np.where(fires > 0.5, 1 / 0.5, 1 / 0.05)[graded]
    truth = audit(fires, ~wrong)

    found = audit(fires[graded], ~wrong[graded], weight=weight)
    careless = audit(fires[graded], ~wrong[graded])

    for name in ("precision", "recall", "auc"):
        whole, weighted, plain = (getattr(item, name) for item in (truth, found, careless))
        assert weighted.low < whole.value < weighted.high
        assert weighted.effective_n <= weighted.n
        if name == "recall":
            assert not plain.low < whole.value < plain.high
            assert weighted.effective_n < weighted.n / 2


def test_equal_weights_change_nothing():
    """Weights that are all the same give what no weights give."""
    rng = np.random.default_rng(4)
    signal, correct = rng.random(200), (rng.random(200) < 0.7).astype(float)

    same = audit(signal, correct, weight=np.full(200, 7.0))

    for name, plain in audit(signal, correct).to_dict().items():
        weighted = same.to_dict()[name]
        assert [weighted[key] for key in ("value", "low", "high", "n")] == pytest.approx(
            [plain[key] for key in ("value", "low", "high", "n")]
        )
