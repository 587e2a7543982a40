"""Whether intervals cover and certificates hold in worlds whose truth is known, and whether other packages agree.

    python benchmarks/evidence/coverage.py                    # everything, about two minutes
    python benchmarks/evidence/coverage.py --only promises --worlds 1000
    python benchmarks/evidence/coverage.py --only agreement   # needs: scipy statsmodels ppi-python ville krippendorff

`promises`: the share of worlds in which a model or policy that keeps 95% or less is ever certified, looking again and
again and stopping at the first success; at most 5%. `intervals`: the share of worlds in which an interval contains the
truth; nominal 95%. `agreement`: the largest difference from what another package computes; packages that are not
installed are named and left out.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tierwise.evidence import (
    IN_TENTHS,
    Estimate,
    NotEnoughData,
    agreement,
    audit,
    bootstrap_mean,
    bootstrap_ratio,
    certify,
    certify_judged,
    clopper_pearson,
    confidence_sequence,
    e_bh,
    holm,
    mean_interval,
    ppi,
    select,
    wilson,
)

Floats = npt.NDArray[np.float64]
LOOKS = np.unique(np.geomspace(20, 1_500, 40).astype(int))


def pairs(retention: float | Floats, n: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Right-or-wrong scores: strong right on 90%, weak alone on 2%; `retention` may differ from pair to pair."""
    both = 0.9 * np.broadcast_to(retention, n) - 0.02
    u = rng.random(n)
    return (u < both + 0.02).astype(float), ((u < both) | ((u >= both + 0.02) & (u < 0.92))).astype(float)


def ever(looks: Iterator[bool]) -> bool:
    """Whether any look certifies; who stops at the first has what the adversary wants."""
    return any(looks)


def plain(rng: np.random.Generator) -> bool:
    weak, strong = pairs(0.95, LOOKS[-1], rng)
    return ever(certify(weak[:n], strong[:n]).certified for n in LOOKS)


def conversations(rng: np.random.Generator) -> bool:
    """Retention differs between conversations of 1 to 12 pairs, which share most of their luck."""
    size = rng.integers(1, 13, LOOKS[-1])
    cluster = np.repeat(np.arange(len(size)), size)[: 4 * LOOKS[-1]]
    kept = rng.choice([0.85, 1.02], len(size), p=[0.07 / 0.17, 0.10 / 0.17])[cluster]
    weak, strong = pairs(kept, len(cluster), rng)
    return ever(certify(weak[: 4 * n], strong[: 4 * n], cluster=cluster[: 4 * n]).certified for n in LOOKS)


def stratified(rng: np.random.Generator) -> bool:
    """Hard calls, half of the traffic, are sampled a fifth as often; the rate halves after 500 pairs."""
    n = LOOKS[-1]
    easy = rng.random(n) < 5 / 6
    weak, strong = pairs(np.where(easy, 1.0, 0.9), n, rng)
    rate = np.where(np.arange(n) < 500, 0.5, 0.25)
    weight, bound = 1 / np.where(easy, rate, rate / 5), 5 / rate
    return ever(certify(weak[:k], strong[:k], weight=weight[:k], max_weight=bound[:k]).certified for k in LOOKS)


def drifting(rng: np.random.Generator) -> bool:
    """Quality wanders, by season, but never keeps more than 95%."""
    kept = 0.95 - 0.05 * (1 + np.sin(np.arange(LOOKS[-1]) / 60.0 + rng.uniform(0, 6.28))) / 2
    weak, strong = pairs(kept, LOOKS[-1], rng)
    return ever(certify(weak[:n], strong[:n]).certified for n in LOOKS)


def graded(rng: np.random.Generator) -> bool:
    """Grades instead of right or wrong, with skewed losses."""
    strong = rng.beta(6, 2, LOOKS[-1])
    weak = strong * np.where(rng.random(LOOKS[-1]) < 0.1, 0.5, 1.0)
    return ever(certify(weak[:n], strong[:n]).certified for n in LOOKS)


def judged(rng: np.random.Generator) -> bool:
    """A judge that passes nearly everything, with people reviewing a fifth, more where it finds a loss."""
    weak, strong = pairs(0.95, LOOKS[-1], rng)
    judge_weak = np.maximum(weak, (rng.random(len(weak)) < 0.9).astype(float))
    chance = np.where(judge_weak < strong, 0.8, 0.2)
    reviewed = rng.random(len(weak)) < chance
    human = [np.where(reviewed, scores, np.nan) for scores in (weak, strong)]
    return ever(
        certify_judged(
            judge_weak[:n], strong[:n], human[0][:n], human[1][:n], chance[:n], least_review_probability=0.2
        ).certified
        for n in LOOKS[::4]
    )


def tempting(
    share: Floats, kept: Floats, floor: float, shares: tuple[float, ...]
) -> Callable[[np.random.Generator], bool]:
    """Slices of which many policies keep 95% exactly or less; whatever is ever selected is judged by the truth."""

    def world(rng: np.random.Generator) -> bool:
        code = rng.choice(len(share), p=share, size=LOOKS[-1])
        weak, strong = pairs(kept[code], LOOKS[-1], rng)
        for n in LOOKS[::5]:
            selection = select(
                code[:n], weak[:n], strong[:n], np.full(n, 0.2), np.ones(n), floor=floor, shares=shares, seed=0, draws=2
            )
            lost = sum(moved * share[int(name)] * (1 - kept[int(name)]) for name, moved in selection.shares.items())
            if selection.members and 1 - lost <= 0.95 + 1e-9:
                return True
        return False

    return world


ONE_LARGE = np.array([0.6, 0.1, 0.1, 0.1, 0.1]), np.array([1 - 0.05 / 0.6, 1.0, 1.0, 1.0, 1.0])
MANY = np.full(20, 0.05), np.repeat([0.95, 0.90], 10)
SUBSIDY = np.array([0.25, 0.5, 0.25]), np.array([1.05, 0.875, 1.0])
PROMISES: dict[str, Callable[[np.random.Generator], bool]] = {
    "one model at the limit": plain,
    "dependent conversations": conversations,
    "stratified sampling, changing rates": stratified,
    "drifting quality": drifting,
    "graded scores": graded,
    "lenient judge, few reviews": judged,
    "portfolio, one large slice": tempting(*ONE_LARGE, 0.0, (1.0,)),
    "portfolio, in tenths": tempting(*ONE_LARGE, 0.0, IN_TENTHS),
    "portfolio, in tenths, floor 85%": tempting(*ONE_LARGE, 0.85, IN_TENTHS),
    "portfolio, 20 slices at 90-95%": tempting(*MANY, 0.0, IN_TENTHS),
    "portfolio, a better slice carries": tempting(*SUBSIDY, 0.85, IN_TENTHS),
}


def measure_promises(worlds: int, seed: int) -> dict[str, float]:
    return {
        name: float(np.mean([world(np.random.default_rng((seed, at, number))) for number in range(worlds)]))
        for at, (name, world) in enumerate(PROMISES.items())
    }


def covers(estimate: Estimate | NotEnoughData, truth: float) -> bool:
    return isinstance(estimate, Estimate) and estimate.low <= truth <= estimate.high


def interval_worlds(rng: np.random.Generator) -> dict[str, bool]:
    """One world of each kind, and whether its interval has the truth."""
    luck = rng.normal(0, 0.5, 80)
    cluster = np.repeat(np.arange(80), rng.integers(1, 9, 80))
    cost = rng.lognormal(luck[cluster] - 0.125 - 0.125, 0.5)
    rare = rng.random(400) < 0.8
    values = np.where(rare, rng.random(400), 2.0 + rng.random(400))
    human = (rng.random(1_060) < 0.7).astype(float)
    judge = np.where(rng.random(1_060) < 0.15, 1.0, human)
    judged_right = (rng.random(80) < 0.7).astype(float)
    judge_verdict = (rng.random(80) < np.where(judged_right > 0.5, 0.9, 0.2)).astype(float)
    chance = 0.7 * 0.69 + 0.3 * 0.31
    normal = np.append(rng.normal(1, 1, 20), rng.normal(0, 1, 60))
    right, n = int((rng.random(60) < 0.93).sum()), 60
    weak, strong = pairs(0.97, 300, rng)
    retention = certify(weak, strong)
    low, high = confidence_sequence(rng.beta(2, 5, 300), 0.0, 1.0, grid=100)
    return {
        "bootstrap_ratio, skewed cost, conversations": covers(
            bootstrap_ratio(cost, np.ones(len(cost)), cluster=cluster, seed=int(rng.integers(2**31)), draws=400), 1.0
        ),
        "bootstrap_mean, weighted strata": covers(
            bootstrap_mean(values, weight=np.where(rare, 1.0, 4.0), seed=int(rng.integers(2**31)), draws=400), 1.5
        ),
        "mean_interval, uniform": covers(mean_interval(rng.random(40)), 0.5),
        "wilson, 93% of 60": covers(wilson(right, n), 0.93),
        "clopper_pearson, 93% of 60": covers(clopper_pearson(right, n), 0.93),
        "ppi, lenient judge, 60 reviews": covers(ppi(human[:60], judge[:60], judge[60:]), 0.7),
        "kappa, 80 items": covers(
            agreement(judged_right, judge_verdict).kappa, (0.7 * 0.9 + 0.3 * 0.8 - chance) / (1 - chance)
        ),
        "AUC of a signal, 20 wrong of 80": covers(audit(normal, np.repeat([0, 1], [20, 60])).auc, 0.7602499),
        "retention at 300 pairs, both ends": retention.low <= 0.97 <= retention.high,
        "confidence sequence, at every look": bool(((low <= 2 / 7) & (high >= 2 / 7)).all()),
    }


def measure_intervals(worlds: int, seed: int) -> dict[str, float]:
    found = [interval_worlds(np.random.default_rng((seed, 100, number))) for number in range(worlds)]
    return {name: float(np.mean([world[name] for world in found])) for name in found[0]}


def of_scipy(rng: np.random.Generator) -> float:
    stats = importlib.import_module("scipy.stats")
    worst = 0.0
    for _ in range(50):
        n = int(rng.integers(5, 400))
        right = int(rng.integers(0, n + 1))
        values = rng.normal(size=max(n, 30))
        ours, theirs = clopper_pearson(right, n), stats.binomtest(right, n).proportion_ci(method="exact")
        t, reference = mean_interval(values), stats.ttest_1samp(values, 0.0).confidence_interval(0.95)
        signal, correct = rng.integers(0, 9, 80).astype(float), np.arange(80) % 3 > 0
        auc = audit(signal, correct.astype(float)).auc
        u = stats.mannwhitneyu(signal[~correct], signal[correct]).statistic / ((~correct).sum() * correct.sum())
        assert isinstance(ours, Estimate)
        assert isinstance(t, Estimate)
        assert isinstance(auc, Estimate)
        gaps = (ours.low - theirs.low, ours.high - theirs.high, t.low - reference.low, t.high - reference.high)
        worst = max(worst, abs(auc.value - u), *map(abs, gaps))
    return worst


def of_statsmodels(rng: np.random.Generator) -> float:
    proportion = importlib.import_module("statsmodels.stats.proportion")
    raters = importlib.import_module("statsmodels.stats.inter_rater")
    multitest = importlib.import_module("statsmodels.stats.multitest")
    worst = 0.0
    for _ in range(50):
        n = int(rng.integers(5, 400))
        right = int(rng.integers(0, n + 1))
        ours = wilson(right, n)
        low, high = proportion.proportion_confint(right, n, method="wilson")
        human = rng.integers(0, 2, 80)
        judge = np.where(rng.random(80) < 0.8, human, 1 - human)
        table = np.zeros((2, 2))
        np.add.at(table, (human, judge), 1)
        kappa = agreement(human, judge).kappa
        e = np.exp(rng.normal(2.0, 2.0, 12))
        theirs = multitest.multipletests(np.minimum(1 / e, 1.0), alpha=0.05, method="holm")[0]
        assert isinstance(ours, Estimate)
        assert isinstance(kappa, Estimate)
        gaps = (ours.low - low, ours.high - high, kappa.value - raters.cohens_kappa(table).kappa)
        worst = max(worst, *map(abs, gaps), float((holm(e) != theirs).any()))
    return worst


def of_ppi_python(rng: np.random.Generator) -> float:
    """With 2,000 reviews the two imagined disagreements are small."""
    theirs = importlib.import_module("ppi_py").ppi_mean_ci
    human = (rng.random(5_000) < 0.7).astype(float)
    judge = np.where(rng.random(5_000) < 0.1, 1.0, human)
    low, high = theirs(human[:2_000], judge[:2_000], judge[2_000:], alpha=0.05)
    ours = ppi(human[:2_000], judge[:2_000], judge[2_000:])
    assert isinstance(ours, Estimate)
    return max(abs(ours.low - float(np.squeeze(low))), abs(ours.high - float(np.squeeze(high))))


def of_ville(rng: np.random.Generator) -> float:
    """Another betting confidence sequence has other bets, so only the ends after 400 coins are compared."""
    coins = (rng.random(400) < 0.6).astype(float)
    sequence = importlib.import_module("ville").BettingCS(alpha=0.05)
    for coin in coins:
        sequence.update(float(coin))
    theirs = sequence.interval() if callable(getattr(sequence, "interval", None)) else sequence.interval
    low, high = confidence_sequence(coins, 0.0, 1.0)
    return max(abs(low[-1] - float(theirs[0])), abs(high[-1] - float(theirs[1])))


def of_krippendorff(rng: np.random.Generator) -> float:
    theirs = importlib.import_module("krippendorff").alpha
    worst = 0.0
    for _ in range(20):
        human = rng.integers(0, 6, 60) / 5
        judge = np.where(rng.random(60) < 0.7, human, rng.integers(0, 6, 60) / 5)
        ours = agreement(human, judge).alpha
        assert isinstance(ours, Estimate)
        worst = max(worst, abs(ours.value - float(theirs(np.array([human, judge]), level_of_measurement="interval"))))
    return worst


def by_brute_force(rng: np.random.Generator) -> float:
    """Base e-BH against its definition, worked out by brute force here: no other package has it."""
    worst = 0.0
    for _ in range(50):
        e = np.exp(rng.normal(2.0, 2.0, 8))
        largest = max((k for k in range(1, 9) if np.sort(e)[-k] >= 8 / (0.05 * k)), default=0)
        worst = max(worst, abs(float(e_bh(e, closed=False).sum()) - largest))
    return worst


PACKAGES: dict[str, Callable[[np.random.Generator], float]] = {
    "scipy: Clopper-Pearson, t, Mann-Whitney": of_scipy,
    "statsmodels: Wilson, kappa, Holm": of_statsmodels,
    "ppi-python: PPI++ mean, 2,000 reviews": of_ppi_python,
    "ville: betting confidence sequence, other bets": of_ville,
    "krippendorff: alpha": of_krippendorff,
    "brute force: e-BH": by_brute_force,
}


def measure_agreement(worlds: int, seed: int) -> dict[str, float | str]:
    # A package that ppi-python needs imports `coverage` when there is one, and would take this file for it.
    here = Path(__file__).resolve().parent
    sys.path[:] = [entry for entry in sys.path if Path(entry).resolve() != here]
    found: dict[str, float | str] = {}
    for name, compare in PACKAGES.items():
        try:
            found[name] = compare(np.random.default_rng(seed))
        except ModuleNotFoundError as missing:
            found[name] = f"not compared: {missing}"
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worlds", type=int, default=200, help="simulated worlds per case")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=["promises", "intervals", "agreement"], help="one part")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    parts: dict[str, Callable[[int, int], Any]] = {
        "promises": measure_promises,
        "intervals": measure_intervals,
        "agreement": measure_agreement,
    }
    results = {
        name: run(arguments.worlds, arguments.seed) for name, run in parts.items() if arguments.only in (None, name)
    }
    if arguments.json:
        print(json.dumps(results, indent=2))
        return
    for name, figures in results.items():
        print(f"\n{name}, {arguments.worlds:,} worlds" if name != "agreement" else f"\n{name}")
        for key, value in figures.items():
            print(f"  {key:<48} {value if isinstance(value, str) else f'{value:.3g}'}")


if __name__ == "__main__":
    main()
