"""Route, cascade, speculate: what each design saves, keeps and takes on real answers, and what its triggers find.

    python benchmarks/routing/cascade.py DATA                       # every pair and price list, about 3 min
    python benchmarks/routing/cascade.py DATA --only "bfcl opus" --prices launch
    python benchmarks/routing/cascade.py DATA --json > cascade.json

DATA is the folder that `benchmarks/evidence/replay.py` takes. The checks are those of `tierwise.checks`, run on the
weak model's recorded answers; nothing about them is simulated. Prices: `launch` are those of the models' day; `2025`
and `today` put the same tokens to a pair of models of that year, from the price list that tierwise ships.

Designs. `route`: the weak model for everything, or for what is chosen. `cascade`: the weak model first; an answer that
fails schema, refusal or truncation goes to the strong model, and both are paid. `speculative`: the same, with the
strong model started beside the weak one after a patience; what is cancelled is paid for as far as it was written.
`tool forced` asks for a tool wherever tools are offered, as an application does that always wants a call; of these
data only BFCL's requests offer any. Speculation, and what is chosen by category, check that way where there are tools.

What is `by category` or `certified` is chosen on a random half and measured on the other. `mix` picks for each category
the strong model, the weak one or the cascade, so as to save most while the half keeps 95% by point estimates;
`certified` moves what tierwise's own certificate allows. `random` is what moving a random share would keep at the same
saving; `under` the share of splits in which what was chosen keeps less than 95%. Latency is that of the recording,
where it has any; the checks' own time, in thread CPU seconds, is printed with the triggers.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from recorded_calls import as_call

from tierwise import prices
from tierwise.call import Usage
from tierwise.checks import run
from tierwise.evidence.bootstrap import bootstrap_ratio
from tierwise.evidence.estimate import Estimate, NotEnoughData
from tierwise.evidence.signals import audit

# The loaders and the prices of the day are the replay's.
sys.path.append(str(Path(__file__).parents[1] / "evidence"))
from replay import (
    PAIRS,
    RHO,
    Answered,
    Floats,
    Outcomes,
    Price,
    category_rule,
    certified,
    oracle_saving,
    outcomes,
    print_table,
    read_pairs,
)

Flags = npt.NDArray[np.bool_]

CHECKS = ("schema", "refusal", "truncation", "language")
ESCALATING = ("schema", "refusal", "truncation")
PATIENCES_S = (0.5, 2.0)
FLOOR, SHARES = 0.85, tuple(tenth / 10 for tenth in range(1, 11))
SUCCESSORS: dict[str, dict[str, tuple[str, str, str]]] = {
    "2025": {
        "opus": ("anthropic", "claude-opus-4-5", "claude-haiku-4-5"),
        "sonnet": ("anthropic", "claude-sonnet-4-5", "claude-haiku-4-5"),
        "4": ("openai", "gpt-5", "gpt-5-mini"),
    },
    "today": {
        "opus": ("anthropic", "claude-opus-5-5", "claude-haiku-5-5"),
        "sonnet": ("anthropic", "claude-sonnet-5-5", "claude-haiku-5-5"),
        "4-": ("openai", "gpt-6.1-sol", "gpt-6-luna"),
        "4o": ("openai", "gpt-6.1-sol", "gpt-6-luna"),
        "4": ("openai", "gpt-6.1-sol", "gpt-6.1-terra"),
    },
}
"""Price list → beginning of the strong model's name in a pair's → (provider, strong, weak)."""


@dataclass(frozen=True, slots=True)
class Recording:
    """Both models' answers to the same prompts, and what the checks say of the weak model's."""

    pairs: list[tuple[Answered, Answered]]
    flagged: dict[str, Flags]
    """By trigger, shape (n,)."""
    check_s: dict[str, Floats]
    """By check, thread CPU seconds an answer."""
    strong_s: Floats | None
    """Measured latency; None where the recording has none."""
    weak_s: Floats | None


@dataclass(frozen=True, slots=True)
class Design:
    """What a design makes of every prompt; shape (n,)."""

    score: Floats
    cost: Floats
    latency_s: Floats | None
    escalated: Flags | None = None


def record(folder: Path, name: str) -> Recording:
    pairs = read_pairs(folder, name)
    flagged = {trigger: np.zeros(len(pairs), dtype=np.bool_) for trigger in (*CHECKS, "schema, tool forced")}
    check_s = {check: np.zeros(len(pairs)) for check in CHECKS}
    for at, (_, weak) in enumerate(pairs):
        body, answer, context = as_call(name, weak.category, weak.prompt, weak.response)
        for check in CHECKS:
            began_s = time.thread_time()
            [verdict] = run([check], body, answer, context=context, timeout_s=10.0)
            check_s[check][at] = time.thread_time() - began_s
            flagged[check][at] = verdict.passed is False
        if "tools" in body:
            [verdict] = run(["schema"], {**body, "tool_choice": "required"}, answer, context=context, timeout_s=10.0)
            flagged["schema, tool forced"][at] = verdict.passed is False
    flagged["any of schema, refusal, truncation"] = np.logical_or.reduce([flagged[check] for check in ESCALATING])
    if flagged["schema, tool forced"].any():
        flagged["any, tool forced"] = flagged["any of schema, refusal, truncation"] | flagged["schema, tool forced"]
    else:
        del flagged["schema, tool forced"]
    latency = [(strong.latency_s, weak.latency_s) for strong, weak in pairs]
    measured = all(one is not None and other is not None for one, other in latency)
    strong_s, weak_s = np.array(latency, dtype=np.float64).T if measured else (None, None)
    return Recording(pairs, flagged, check_s, strong_s, weak_s)


# --- designs ----------------------------------------------------------------------------------------------------------


def cascade(recording: Recording, base: Outcomes, flagged: Flags) -> Design:
    latency_s = None if recording.weak_s is None else recording.weak_s + flagged * recording.strong_s
    score = np.where(flagged, base.strong, base.weak)
    return Design(score, base.weak_cost + flagged * base.strong_cost, latency_s, flagged)


def speculative(recording: Recording, base: Outcomes, price: Price, flagged: Flags, patience_s: float) -> Design | None:
    """None without measured latencies: what is started, and what is cancelled when, depends on them."""
    weak_s, strong_s = recording.weak_s, recording.strong_s
    if weak_s is None or strong_s is None:
        return None
    strong_in = np.array([strong.input_tokens * price[0] for strong, _ in recording.pairs])
    weak_in = np.array([weak.input_tokens * price[2] for _, weak in recording.pairs])
    strong_out, weak_out = base.strong_cost - strong_in, base.weak_cost - weak_in
    starts_s = np.minimum(patience_s, weak_s)
    is_started = (weak_s > patience_s) | flagged
    strong_ends_s = starts_s + strong_s
    weak_wins = ~flagged & (~is_started | (weak_s <= strong_ends_s))
    ends_s = np.where(weak_wins, weak_s, strong_ends_s)
    strong_share = np.clip((ends_s - starts_s) / np.maximum(strong_s, 1e-9), 0.0, 1.0)
    weak_share = np.clip(ends_s / np.maximum(weak_s, 1e-9), 0.0, 1.0)
    cost = weak_in + weak_out * weak_share + is_started * (strong_in + strong_out * strong_share)
    return Design(np.where(weak_wins, base.weak, base.strong), cost, ends_s, ~weak_wins)


def chosen(recording: Recording, base: Outcomes, design: Design, share: Floats) -> Design:
    """`design` for a share of each category, the strong model for the rest."""
    moved = share[base.category]
    score = moved * design.score + (1 - moved) * base.strong
    cost = moved * design.cost + (1 - moved) * base.strong_cost
    return Design(score, cost, None)


def mix(half: Outcomes, stepped: Outcomes) -> tuple[Floats, Floats]:
    """(route, cascade) of each category: what saves most while the whole keeps 95% on this half.

    By the Lagrange multiplier that just keeps the promise: each category takes the arm with the least cost plus the
    multiplier times the quality lost.
    """
    zero = np.zeros(half.categories)
    lost = np.array([zero, half.per_category(half.strong - half.weak), half.per_category(half.strong - stepped.weak)])
    saved = np.array(
        [
            zero,
            half.per_category(half.strong_cost - half.weak_cost),
            half.per_category(half.strong_cost - stepped.weak_cost),
        ]
    )
    budget = (1 - RHO) * half.strong.sum()
    scale = half.strong_cost.sum() / max(half.strong.sum(), 1e-9)
    best = np.zeros(half.categories, dtype=np.intp)
    for price_of_quality in np.geomspace(1e-3, 1e3, 200):
        arm = np.argmax(saved - price_of_quality * scale * lost, axis=0)
        at = np.arange(half.categories)
        if lost[arm, at].sum() <= budget and saved[arm, at].sum() > saved[best, at].sum():
            best = arm
    return (best == 1).astype(np.float64), (best == 2).astype(np.float64)


# --- figures ----------------------------------------------------------------------------------------------------------


def price_of(name: str, price_list: str) -> Price | None:
    """USD per million tokens; None where the pair has no successor in the list."""
    if price_list == "launch":
        return PAIRS[name][3]
    strong = name.split(" ")[1].split(">")[0]
    models = next(
        (models for key, models in SUCCESSORS[price_list].items() if strong.removeprefix("gpt-").startswith(key)), None
    )
    if models is None:
        return None
    provider, *both = models
    rates: list[float] = []
    for model in both:
        for usage in (Usage(1_000, 0), Usage(0, 1_000)):
            cost = prices.cost(provider, model, usage, at_ns=time.time_ns())
            if cost is None:
                return None
            rates.append(1_000 * float(cost.total_usd))
    return rates[0], rates[1], rates[2], rates[3]


def percent(estimate: Estimate | NotEnoughData) -> str:
    if isinstance(estimate, NotEnoughData):
        return estimate.describe()
    return f"{100 * estimate.value:.1f} [{100 * estimate.low:.1f}, {100 * estimate.high:.1f}]"


def fixed(label: str, base: Outcomes, design: Design) -> dict[str, Any]:
    """The row of a design in which nothing is chosen, with intervals."""
    saved = 1 - design.cost.sum() / base.strong_cost.sum()
    # Both bootstrapped as ratios of sums, prompt by prompt.
    saving = bootstrap_ratio(base.strong_cost - design.cost, base.strong_cost, seed=0, draws=1000)
    kept = bootstrap_ratio(design.score + 1e-12, base.strong + 1e-9, seed=0, draws=1000)
    return row(label, base, saved, percent(saving), percent(kept), design)


def row(label: str, base: Outcomes, saved: float, saving: str, kept: str, design: Design | None) -> dict[str, Any]:
    everything = 1 - base.weak_cost.sum() / base.strong_cost.sum()
    retention = base.weak.sum() / base.strong.sum()
    random = 1 - saved / everything * (1 - retention) if 0 <= saved <= everything else None
    latency = None if design is None else design.latency_s
    return {
        "design": label,
        "saved %": saving,
        "kept %": kept,
        "random": None if random is None else round(100 * float(random), 1),
        "escalated %": None if design is None or design.escalated is None else round(100 * design.escalated.mean(), 1),
        "p50 s": "not measured" if latency is None else round(float(np.median(latency)), 2),
        "p95 s": "not measured" if latency is None else round(float(np.quantile(latency, 0.95)), 2),
        "under %": None,
    }


def split_row(label: str, base: Outcomes, results: list[tuple[float, float]]) -> dict[str, Any]:
    """The row of a design that was chosen on one half and measured on the other."""
    saved, kept = np.array(results).T
    found = row(label, base, float(saved.mean()), f"{100 * saved.mean():.1f}", f"{100 * kept.mean():.1f}", None)
    return found | {"p50 s": None, "p95 s": None, "under %": round(100 * float((kept < RHO).mean()))}


def designs(recording: Recording, base: Outcomes, price: Price, *, splits: int, seed: int) -> list[dict[str, Any]]:
    """One row a design."""
    any_of = recording.flagged["any of schema, refusal, truncation"]
    stepped = cascade(recording, base, any_of)
    rows = [
        fixed("always strong", base, Design(base.strong, base.strong_cost, recording.strong_s)),
        fixed("always weak (route)", base, Design(base.weak, base.weak_cost, recording.weak_s)),
        fixed("cascade", base, stepped),
    ]
    forced = recording.flagged.get("any, tool forced")
    if forced is not None:
        rows.append(fixed("cascade, tool forced", base, cascade(recording, base, forced)))
    for patience_s in PATIENCES_S:
        beside = speculative(recording, base, price, any_of if forced is None else forced, patience_s)
        label = f"speculative after {patience_s:g} s"
        if beside is None:
            rows.append({**dict.fromkeys(rows[0]), "design": label, "saved %": "not measured"})
        else:
            rows.append(fixed(label, base, beside))
    best = stepped if forced is None else cascade(recording, base, forced)
    as_weak = replace(base, weak=best.score, weak_cost=best.cost)
    results: dict[str, list[tuple[float, float]]] = {}
    oracle: list[float] = []
    for split in range(splits):
        order = np.random.default_rng((seed, split)).permutation(len(base.weak))
        first, other = (base.take(part) for part in np.array_split(order, 2))
        first_stepped, other_stepped = (as_weak.take(part) for part in np.array_split(order, 2))
        oracle.append(oracle_saving(other))
        results.setdefault("route by category", []).append(other.realised(category_rule(first)))
        results.setdefault("cascade by category", []).append(other_stepped.realised(category_rule(first_stepped)))
        route, step = mix(first, first_stepped)
        (saved, kept), (more_saved, more_kept) = other.realised(route), other_stepped.realised(step)
        results.setdefault("mix by category", []).append((saved + more_saved, kept + more_kept - 1))
        for label, half, whole in (
            ("route, certified", first, other),
            ("cascade, certified", first_stepped, other_stepped),
        ):
            share = certified(half, floor=FLOOR, shares=SHARES)
            results.setdefault(label, []).append(whole.realised(share))
    rows += [split_row(label, base, values) for label, values in results.items()]
    rows.append(split_row("oracle at 95%", base, [(saved, RHO) for saved in oracle]) | {"under %": None})
    return rows


def triggers(recording: Recording) -> list[dict[str, Any]]:
    """One row a trigger: how often it fires, and how many of the wrong answers that finds."""
    weak = np.array([answered.score for _, answered in recording.pairs])
    rows: list[dict[str, Any]] = []
    for name, flagged in recording.flagged.items():
        found = audit(flagged.astype(np.float64), weak)
        taken = recording.check_s.get(name)
        rows.append(
            {
                "trigger": name,
                "fires %": round(100 * float(flagged.mean()), 1),
                "precision %": percent(found.precision),
                "recall %": percent(found.recall),
                "AUC": None,
                "check p50 µs": None if taken is None else round(1e6 * float(np.median(taken))),
                "check p95 µs": None if taken is None else round(1e6 * float(np.quantile(taken, 0.95))),
            }
        )
    length = np.array([len(answered.prompt or "") for _, answered in recording.pairs], dtype=np.float64)
    answer = np.array([answered.output_tokens for _, answered in recording.pairs], dtype=np.float64)
    for name, signal in (("prompt length, before the call", length), ("answer length", answer)):
        found = within_categories(signal, weak, [answered.category for _, answered in recording.pairs])
        rows.append({**dict.fromkeys(rows[0]), "trigger": f"{name} (within categories)", "AUC": found})
    return rows


def within_categories(signal: Floats, correct: Floats, category: list[str]) -> str:
    """Range of a signal's AUC over the categories in which it can be told."""
    found: list[float] = []
    for name in sorted(set(category)):
        mine = np.array([one == name for one in category])
        auc = audit(signal[mine], correct[mine]).auc
        if isinstance(auc, Estimate):
            found.append(auc.value)
    if not found:
        return "not enough data"
    return f"{np.median(found):.2f} ({min(found):.2f} to {max(found):.2f}, {len(found)} categories)"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", type=Path, metavar="DATA")
    parser.add_argument("--only", default="", help="pairs whose name contains this")
    parser.add_argument("--prices", choices=["launch", *SUCCESSORS], help="one price list, by default all")
    parser.add_argument("--splits", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    report: dict[str, Any] = {}
    for name in PAIRS:
        if arguments.only not in name or not name.startswith(("bfcl", "zeroeval")):
            continue
        recording = record(arguments.path, name)
        report[name] = {"triggers": triggers(recording), "designs": {}}
        if not arguments.json:
            print(f"\n{name}: {len(recording.pairs)} prompts")
            print_table(report[name]["triggers"])
        for price_list in [arguments.prices] if arguments.prices else ["launch", *SUCCESSORS]:
            price = price_of(name, price_list)
            if price is None:
                continue
            rows = designs(
                recording, outcomes(recording.pairs, price), price, splits=arguments.splits, seed=arguments.seed
            )
            report[name]["designs"][price_list] = {"usd_per_million": price, "rows": rows}
            if not arguments.json:
                print(f"\n{name} at {price_list} prices ({', '.join(f'{one:g}' for one in price)} USD/M)")
                print_table(rows)
    if arguments.json:
        print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
