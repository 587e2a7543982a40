"""How many pairs a retention certificate takes, how often it is wrong, and how long it takes to compute.

    python benchmarks/evidence/pairs_needed.py                      # everything, about 30 s
    python benchmarks/evidence/pairs_needed.py --only pairs --worlds 10000
    python benchmarks/evidence/pairs_needed.py --json > pairs.json

Synthetic worlds with a known answer: the strong model is right on 90% of requests, the weak one alone on 2%, and the
weak model is right `retention` times as often. Every world is looked at after every pair. `replay.py` measures policies
over many slices on real outcomes, `coverage.py` the intervals.
"""

from __future__ import annotations

import argparse
import inspect
import json
import math
import time
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from tierwise.evidence import Monitor, certify, confidence_sequence
from tierwise.evidence.e_process import STAKE_SHARES, STAKES

Floats = npt.NDArray[np.float64]
Outcomes = npt.NDArray[np.int8]
Strategy = Callable[[Outcomes, float], Floats]

RHO = 0.95
WEAK_SCORE, STRONG_SCORE = np.array([1.0, 1.0, 0.0, 0.0]), np.array([1.0, 0.0, 1.0, 0.0])
GAINS = WEAK_SCORE / RHO - STRONG_SCORE
# Median pairs at alpha 0.05 and 0.005 that a plain betting e-process takes in these worlds: the mark to stay under.
TO_BEAT = {1.02: (96, 153), 1.00: (185, 315), 0.99: (315, 545), 0.97: (1360, 2490)}
LONGEST = {1.02: 1_000, 1.00: 3_000, 0.99: 5_000, 0.97: 16_000}


def outcome_shares(retention: float, strong_rate: float = 0.9, weak_better: float = 0.02) -> Floats:
    """Shares of pairs where both, only weak, only strong, or neither is right, shape (4,)."""
    both = retention * strong_rate - weak_better
    strong_only = strong_rate - both
    return np.array([both, weak_better, strong_only, 1 - both - weak_better - strong_only])


def draw(retention: float, pairs: int, worlds: int, rng: np.random.Generator) -> Outcomes:
    """Outcome codes, shape (pairs, worlds)."""
    return np.searchsorted(outcome_shares(retention).cumsum()[:3], rng.random((pairs, worlds)), side="right").astype(
        np.int8
    )


def mixture(stakes: Floats, shares: Floats) -> Strategy:
    """The capital split over fixed stakes."""

    def pairs_to(outcomes: Outcomes, threshold: float) -> Floats:
        factors = 1.0 + GAINS[:, None] * stakes
        capital = np.tile(shares, (outcomes.shape[1], 1))
        running, reached = np.arange(outcomes.shape[1]), np.full(outcomes.shape[1], np.inf)
        for number, outcome in enumerate(outcomes, start=1):
            capital *= factors[outcome[running]]
            done = capital.sum(axis=1) >= threshold
            if done.any():
                reached[running[done]] = number
                capital, running = capital[~done], running[~done]
            if not len(running):
                break
        return reached

    return pairs_to


def plug_in(next_stake: Callable[[Floats, Floats, int], Floats]) -> Strategy:
    """One stake, set before each pair from the sums of the gains and of their squares so far."""

    def pairs_to(outcomes: Outcomes, threshold: float) -> Floats:
        worlds = outcomes.shape[1]
        total, squares, log_capital = np.zeros(worlds), np.zeros(worlds), np.zeros(worlds)
        reached = np.full(worlds, np.inf)
        for number, outcome in enumerate(outcomes, start=1):
            gain = GAINS[outcome]
            log_capital += np.log1p(next_stake(total, squares, number - 1) * gain)
            reached[(log_capital >= math.log(threshold)) & np.isinf(reached)] = number
            total += gain
            squares += gain**2
            if not np.isinf(reached).any():
                break
        return reached

    return pairs_to


def agrapa(total: Floats, squares: Floats, seen: int) -> Floats:
    """aGRAPA (Waudby-Smith and Ramdas 2024): mean over second moment, started at the moments of a fair coin."""
    mean = total / (seen + 1)
    variance = (0.25 + squares) / (seen + 1) - mean**2
    return np.clip(mean / (np.maximum(variance, 1e-9) + mean**2), 0.0, 0.9)


def newton(outcomes: Outcomes, threshold: float) -> Floats:
    """Online Newton steps on the log capital (Cutkosky and Orabona 2018; ONS-m in Waudby-Smith and Ramdas 2024)."""
    worlds = outcomes.shape[1]
    stake, curvature, log_capital = np.zeros(worlds), np.ones(worlds), np.zeros(worlds)
    reached = np.full(worlds, np.inf)
    for number, outcome in enumerate(outcomes, start=1):
        gain = GAINS[outcome]
        log_capital += np.log1p(stake * gain)
        reached[(log_capital >= math.log(threshold)) & np.isinf(reached)] = number
        slope = -gain / (1.0 + stake * gain)
        curvature += slope**2
        stake = np.clip(stake - 2.0 / (2.0 - math.log(3.0)) * slope / curvature, 0.0, 0.9)
    return reached


def strategies(retention: float) -> dict[str, Strategy]:
    """What is compared; the known best stake of this very world is the unreachable bound."""
    fine = (np.arange(200) + 0.5) / 200
    growth = outcome_shares(retention) @ np.log1p(GAINS[:, None] * fine)
    best = fine[[int(growth.argmax())]]
    return {
        "tierwise": mixture(STAKES, STAKE_SHARES),
        "best stake known": mixture(best, np.ones(1)),
        "uniform mixture": mixture(fine[::8], np.full(25, 1 / 25)),
        "universal portfolio": mixture(np.sin(0.5 * np.pi * fine[::4]) ** 2, np.full(50, 1 / 50)),
        "aGRAPA": plug_in(agrapa),
        "online Newton": newton,
    }


def measure_pairs(worlds: int, seed: int) -> list[dict[str, float | str]]:
    """Pairs to certification: median and 80th percentile over worlds, per strategy, retention and alpha."""
    rows: list[dict[str, float | str]] = []
    for retention, to_beat in TO_BEAT.items():
        outcomes = draw(retention, LONGEST[retention], worlds, np.random.default_rng(seed))
        for column, alpha in enumerate((0.05, 0.005)):
            for name, pairs_to in strategies(retention).items():
                reached = pairs_to(outcomes, 1 / alpha)
                median, later = np.sort(reached)[[worlds // 2, int(0.8 * worlds)]]
                rows.append(
                    {
                        "retention": retention,
                        "alpha": alpha,
                        "strategy": name,
                        "median": float(median),
                        "p80": float(later),
                        "to_beat": to_beat[column],
                        "ratio": round(float(median) / to_beat[column], 3),
                    }
                )
    return rows


def measure_errors(worlds: int, seed: int, pairs: int = 500) -> dict[str, float]:
    """Share of worlds at retention exactly 95% that each rule certifies at some look, looking after every pair."""
    outcomes = draw(RHO, pairs, worlds, np.random.default_rng(seed))
    seen = np.arange(1, pairs + 1)[:, None]
    weak, strong = WEAK_SCORE[outcomes], STRONG_SCORE[outcomes]
    weak_rate, strong_rate = weak.cumsum(axis=0) / seen, strong.cumsum(axis=0) / seen
    difference = weak - RHO * strong
    mean = difference.cumsum(axis=0) / seen
    deviation = np.sqrt(np.maximum((difference**2).cumsum(axis=0) / seen - mean**2, 1e-12) / seen)
    z = 1.959964
    wilson_low = (
        weak_rate + z * z / (2 * seen) - z * np.sqrt(weak_rate * (1 - weak_rate) / seen + z * z / (4 * seen**2))
    ) / (1 + z * z / seen)
    from_ten = seen >= 10
    return {
        "tierwise certificate": float(np.isfinite(mixture(STAKES, STAKE_SHARES)(outcomes, 20.0)).mean()),
        "weak >= 0.95 strong, n >= 10": float(((weak_rate >= RHO * strong_rate) & from_ten).any(axis=0).mean()),
        "Wilson low >= 0.95 strong, n >= 10": float(((wilson_low >= RHO * strong_rate) & from_ten).any(axis=0).mean()),
        "paired Wald low >= 0, n >= 10": float(((mean - 1.645 * deviation >= 0) & from_ten).any(axis=0).mean()),
    }


def measure_drift(worlds: int, seed: int) -> dict[str, float]:
    """The rollback monitor: how often it ever alarms on a rule at its limit, and how soon after a rule turns bad.

    The delay is the median number of pairs from a fall of retention, 100% to 85%, to the alarm.
    """
    figures: dict[str, float] = {}
    rng = np.random.default_rng(seed)
    for retention in (1.0, RHO):
        outcomes = draw(retention, 2_000, worlds, rng)
        alarms = 0
        for world in outcomes.T:
            monitor = Monitor()
            monitor.update(WEAK_SCORE[world], STRONG_SCORE[world])
            alarms += monitor.crossed
        figures[f"share of rules at {retention:.0%} ever alarmed, 2,000 pairs"] = alarms / worlds
    for good in (0, 500, 2000):
        delays: list[float] = []
        for _ in range(worlds):
            outcome = np.concatenate([draw(1.0, good, 1, rng), draw(0.85, 1500, 1, rng)])[:, 0]
            monitor = Monitor()
            monitor.update(WEAK_SCORE[outcome[:good]], STRONG_SCORE[outcome[:good]])
            while not monitor.crossed and monitor.n < len(outcome):
                monitor.update(WEAK_SCORE[outcome[monitor.n]], STRONG_SCORE[outcome[monitor.n]])
            delays.append(monitor.n - good)
        figures[f"pairs to the alarm after {good} good ones"] = float(np.median(delays))
    return figures


def measure_time(seed: int, pairs: int = 5_000) -> dict[str, float]:
    """Milliseconds, median of 15 runs, on `pairs` pairs."""
    rng = np.random.default_rng(seed)
    outcome = draw(0.98, pairs, 1, rng)[:, 0]
    graded_strong = rng.beta(5, 1, pairs)
    graded_weak = np.clip(graded_strong + rng.normal(-0.01, 0.1, pairs), 0.0, 1.0)
    conversation = rng.integers(pairs // 4, size=pairs)
    cases: dict[str, Callable[[], object]] = {
        "certify, right or wrong": lambda: certify(WEAK_SCORE[outcome], STRONG_SCORE[outcome]),
        "certify, graded": lambda: certify(graded_weak, graded_strong),
        "certify, graded, in conversations": lambda: certify(graded_weak, graded_strong, cluster=conversation),
        "confidence sequence, every look": lambda: confidence_sequence(graded_weak, 0.0, 1.0),
    }
    milliseconds: dict[str, float] = {}
    for name, run in cases.items():
        times: list[float] = []
        for _ in range(15):
            started = time.perf_counter()
            run()
            times.append(1000 * (time.perf_counter() - started))
        milliseconds[name] = round(float(np.median(times)), 2)
    return milliseconds


def print_table(rows: list[dict[str, float | str]]) -> None:
    """Rows with the same keys, under a line of their names."""
    texts = [[value if isinstance(value, str) else f"{value:g}" for value in row.values()] for row in rows]
    widths = [max(map(len, column)) for column in zip(rows[0], *texts, strict=True)]
    for line in ([*rows[0]], *texts):
        print("  " + "  ".join(f"{text:>{width}}" for text, width in zip(line, widths, strict=True)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worlds", type=int, default=2_000, help="simulated worlds per case")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=["pairs", "errors", "drift", "time"], help="one part")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    parts: dict[str, Callable[[], object]] = {
        "pairs": lambda: measure_pairs(arguments.worlds, arguments.seed),
        "errors": lambda: measure_errors(5 * arguments.worlds, arguments.seed),
        "drift": lambda: measure_drift(max(10, arguments.worlds // 20), arguments.seed),
        "time": lambda: measure_time(arguments.seed),
    }
    results = {name: run() for name, run in parts.items() if arguments.only in (None, name)}
    if arguments.json:
        print(json.dumps(results, indent=2))
        return
    for name, result in results.items():
        print(f"\n{name}: {inspect.getdoc(globals()[f'measure_{name}'])}")
        if isinstance(result, list):
            print_table(result)
        elif isinstance(result, dict):
            for key, value in result.items():
                print(f"  {key:<50} {value:g}")


if __name__ == "__main__":
    main()
