"""Policies certified on one half of real outcomes, measured on the other half.

    python benchmarks/evidence/replay.py PATH                        # every pair of models, 200 splits each
    python benchmarks/evidence/replay.py PATH --splits 40 --only bfcl
    python benchmarks/evidence/replay.py PATH --floor 0.75 --json > replay.json

PATH is a folder of parquet files with one row a prompt and model: columns prompt_id, prompt, category, model, score,
input_tokens, output_tokens, response. Missing token counts are estimated at four characters a token. Prices are those
of the models' day; `today` is what the same policies save at today's list prices of the models that have taken their
place, with the same answers and tokens (none for open weights, which have no list price).

Each split puts the pairs of one half, in random order, before the rules below, and applies what they choose to the
other half. `certified` is the share of splits in which a rule moves anything; `under` the share of splits in which what
it moves keeps less than 95% on the other half, and `peeked` the same when the rule is asked after every pair (beyond
1,000 pairs, after each further percent) and anything it ever chose counts. `of category` is the saving as a share of
what the category rule saves: the greedy choice of whole categories that keeps 95% on the first half by point estimates,
which is what breaks its promise in the column `under`. `of oracle` is the share of what knowing each answer in advance
would save.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from tierwise import prices
from tierwise.evidence.e_process import STAKES, log_mixture
from tierwise.evidence.portfolio import IN_TENTHS, allowed_shares, select
from tierwise.evidence.ranking import epochs
from tierwise.evidence.retention import certify

Floats = npt.NDArray[np.float64]
Price = tuple[float, float, float, float]

RHO, ALPHA = 0.95, 0.05
_Z = 1.959964
# File, strong model, weak model, and their prices in USD per million tokens: strong in, strong out, weak in, weak out.
PAIRS = {
    "bfcl opus>haiku": ("bfcl_small", "claude-3-opus-20240229", "claude-3-haiku-20240307", (15, 75, 0.25, 1.25)),
    "bfcl sonnet-3.5>haiku": (
        "bfcl_small",
        "claude-3-5-sonnet-20240620",
        "claude-3-haiku-20240307",
        (3, 15, 0.25, 1.25),
    ),
    "bfcl 4-turbo>4o-mini": ("bfcl_small", "gpt-4-turbo-2024-04-09", "gpt-4o-mini-2024-07-18", (10, 30, 0.15, 0.6)),
    "bfcl gpt-4>gpt-3.5": ("bfcl_small", "gpt-4-0613", "gpt-3.5-turbo-0125", (30, 60, 0.5, 1.5)),
    "zeroeval opus>haiku": (
        "zeroeval_small",
        "claude-3-opus-20240229",
        "claude-3-haiku-20240307",
        (15, 75, 0.25, 1.25),
    ),
    "zeroeval sonnet>haiku-3.5": (
        "zeroeval_small",
        "claude-3-5-sonnet-20241022",
        "claude-3-5-haiku-20241022",
        (3, 15, 0.8, 4),
    ),
    "zeroeval 4o>4o-mini": ("zeroeval_small", "gpt-4o-2024-08-06", "gpt-4o-mini-2024-07-18", (2.5, 10, 0.15, 0.6)),
    "mmlu-pro pro>flash": ("mmlu_pro_pairs", "gemini-1.5-pro-002", "gemini-1.5-flash-002", (1.25, 5, 0.075, 0.3)),
    "mmlu-pro 70B>8B": ("mmlu_pro_pairs", "llama-3.1-70b-instruct", "llama-3.1-8b-instruct", (0.59, 0.79, 0.05, 0.08)),
    "mmlu gpt-4>mixtral": (
        "routellm_mmlu",
        "gpt-4-1106-preview",
        "mistralai/Mixtral-8x7B-Instruct-v0.1",
        (10, 30, 0.24, 0.24),
    ),
    "gsm8k gpt-4>mixtral": (
        "routellm_gsm8k",
        "gpt-4-1106-preview",
        "mistralai/Mixtral-8x7B-Instruct-v0.1",
        (10, 30, 0.24, 0.24),
    ),
    "mt-bench gpt-4>mixtral": (
        "routellm_mtbench",
        "gpt-4-1106-preview",
        "mistralai/Mixtral-8x7B-Instruct-v0.1",
        (10, 30, 0.24, 0.24),
    ),
}

# Who stands today where the models of a pair stood: provider, strong, weak.
TODAY = {
    "bfcl opus>haiku": ("anthropic", "claude-opus-5-5", "claude-haiku-5-5"),
    "bfcl sonnet-3.5>haiku": ("anthropic", "claude-sonnet-5-5", "claude-haiku-5-5"),
    "bfcl 4-turbo>4o-mini": ("openai", "gpt-6.1-sol", "gpt-6-luna"),
    "bfcl gpt-4>gpt-3.5": ("openai", "gpt-6.1-sol", "gpt-6-luna"),
    "zeroeval opus>haiku": ("anthropic", "claude-opus-5-5", "claude-haiku-5-5"),
    "zeroeval sonnet>haiku-3.5": ("anthropic", "claude-sonnet-5-5", "claude-haiku-5-5"),
    "zeroeval 4o>4o-mini": ("openai", "gpt-6.1-sol", "gpt-6-luna"),
    "mmlu-pro pro>flash": ("google", "gemini-2.5-pro", "gemini-2.5-flash"),
}


def todays_price(name: str) -> Price | None:
    """USD per million tokens, in the order of `PAIRS`; None where a model has no list price."""
    if name not in TODAY:
        return None
    provider, *models = TODAY[name]
    found = [prices.rates(provider, model, input_tokens=0, at_ns=time.time_ns()) for model in models]
    million = [float(rate * 1_000_000) for rates in found if rates for rate in (rates.input, rates.output)]
    return (million[0], million[1], million[2], million[3]) if len(million) == 4 else None


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Both models' answers to the same prompts; arrays have shape (n,)."""

    category: npt.NDArray[np.intp]
    weak: Floats
    strong: Floats
    weak_cost: Floats
    strong_cost: Floats
    categories: int

    def take(self, rows: npt.NDArray[np.intp]) -> Outcomes:
        columns = (self.category, self.weak, self.strong, self.weak_cost, self.strong_cost)
        return Outcomes(*(column[rows] for column in columns), self.categories)  # type: ignore[arg-type]

    def per_category(self, values: Floats) -> Floats:
        return np.bincount(self.category, values, minlength=self.categories)

    def realised(self, share: Floats) -> tuple[float, float]:
        """What moving `share`, shape (categories,), saves and what quality it keeps, as shares."""
        moved = share[self.category]
        saved = moved @ (self.strong_cost - self.weak_cost) / self.strong_cost.sum()
        return float(saved), float(1 + moved @ (self.weak - self.strong) / self.strong.sum())


@dataclass(frozen=True, slots=True)
class Answered:
    """What a model made of a prompt."""

    category: str
    prompt: str | None
    response: str | None
    score: float
    input_tokens: float
    output_tokens: float
    latency_s: float | None


def read_pairs(folder: Path, name: str) -> list[tuple[Answered, Answered]]:
    """(strong, weak) of each prompt that both models of a pair answered and that was graded."""
    file, strong_model, weak_model, _ = PAIRS[name]
    columns = ["prompt_id", "prompt", "category", "model", "score", "input_tokens", "output_tokens", "response"]
    table = pq.read_table(
        folder / f"{file}.parquet",
        columns=[*columns, "latency_s"],
        filters=[("model", "in", [strong_model, weak_model])],
    )
    answers: dict[str, dict[str, Answered]] = {}
    for row in table.to_pylist():
        if row["score"] is None:
            continue
        tokens_in, tokens_out = (
            len(row[text] or "") / 4 if row[count] is None or np.isnan(row[count]) else float(row[count])
            for text, count in (("prompt", "input_tokens"), ("response", "output_tokens"))
        )
        answers.setdefault(row["prompt_id"], {})[row["model"]] = Answered(
            row["category"], row["prompt"], row["response"], row["score"], tokens_in, tokens_out, row["latency_s"]
        )
    return [
        (answer[strong_model], answer[weak_model])
        for answer in answers.values()
        if strong_model in answer and weak_model in answer
    ]


def outcomes(pairs: list[tuple[Answered, Answered]], price: Price) -> Outcomes:
    """The pairs as arrays, priced in USD per million tokens: strong in, strong out, weak in, weak out."""
    names, category = np.unique([strong.category for strong, _ in pairs], return_inverse=True)
    return Outcomes(
        category,
        np.array([weak.score for _, weak in pairs], dtype=np.float64),
        np.array([strong.score for strong, _ in pairs], dtype=np.float64),
        np.array([weak.input_tokens * price[2] + weak.output_tokens * price[3] for _, weak in pairs]),
        np.array([strong.input_tokens * price[0] + strong.output_tokens * price[1] for strong, _ in pairs]),
        len(names),
    )


def category_rule(half: Outcomes) -> Floats:
    """Whole categories, those that lose least per dollar first, while the whole keeps 95% on this half."""
    lost = half.per_category(half.strong - half.weak)
    saved = half.per_category(half.strong_cost - half.weak_cost)
    share, budget = np.zeros(half.categories), (1 - RHO) * half.strong.sum()
    for code in np.argsort(lost / np.maximum(saved, 1e-12)):
        if saved[code] > 0 and lost[code] <= budget:
            share[code], budget = 1.0, budget - lost[code]
    return share


def oracle_saving(half: Outcomes) -> float:
    """The most that can be saved at 95% by who knows every answer in advance."""
    lost, saved = half.strong - half.weak, half.strong_cost - half.weak_cost
    order = np.argsort(np.where(lost <= 0.0, -1.0, lost / np.maximum(saved, 1e-12)))
    affordable = np.maximum.accumulate(lost[order].cumsum()) <= (1 - RHO) * half.strong.sum()
    return float(np.maximum(saved[order[affordable]], 0.0).sum() / half.strong_cost.sum())


def point_rule(right_weak: Floats, right_strong: Floats, seen: Floats) -> npt.NDArray[np.bool_]:
    """The usual rule: the weak model's pass rate is at least 95% of the strong one's, from 10 pairs on."""
    return (seen >= 10) & (right_weak >= RHO * right_strong)


def wilson_rule(right_weak: Floats, right_strong: Floats, seen: Floats) -> npt.NDArray[np.bool_]:
    """The lower end of the weak model's Wilson interval is at least 95% of the strong one's rate."""
    n = np.maximum(seen, 1.0)
    rate = right_weak / n
    low = (rate + _Z**2 / (2 * n) - _Z * np.sqrt(rate * (1 - rate) / n + _Z**2 / (4 * n**2))) / (1 + _Z**2 / n)
    return (seen >= 10) & (low >= RHO * right_strong / n)


Counted = Callable[[Floats, Floats, Floats], npt.NDArray[np.bool_]]


def counted(rule: Counted, half: Outcomes, *, peeking: bool) -> Floats:
    """The categories that a rule accepts one by one at the end, or at any pair."""
    share = np.zeros(half.categories)
    for code in range(half.categories):
        weak, strong = half.weak[half.category == code].cumsum(), half.strong[half.category == code].cumsum()
        accepted = rule(weak, strong, np.arange(1.0, len(weak) + 1))
        share[code] = accepted.any() if peeking else len(accepted) > 0 and accepted[-1]
    return share


def certified(half: Outcomes, *, floor: float, shares: tuple[float, ...]) -> Floats:
    selection = select(
        half.category,
        half.weak,
        half.strong,
        half.weak_cost,
        half.strong_cost,
        rho=RHO,
        alpha=ALPHA,
        floor=floor,
        shares=shares,
        seed=0,
        draws=2,
    )
    share = np.zeros(half.categories)
    for name, moved in selection.shares.items():
        share[int(name)] = moved
    return share


def ever_certified(half: Outcomes, *, floor: float, shares: tuple[float, ...]) -> list[Floats]:
    """All policies that any look certifies: as far as the path reached, and with all taken back that may be."""
    n = len(half.weak)
    looks = np.unique(np.concatenate([np.arange(1, min(n, 1_000) + 1), np.geomspace(1_000, max(n, 1_000), 232)]))
    looks = looks[looks <= n].astype(np.intp)
    found: list[Floats] = []
    for epoch in epochs(
        half.category,
        half.weak,
        half.strong,
        half.strong_cost - half.weak_cost,
        slice_of=np.arange(half.categories),
        shares=shares,
        rho=RHO,
        alpha=0.9 * ALPHA,
        floor=floor,
        weight=np.ones(n),
        cluster=np.arange(n),
    ):
        firm = np.zeros(half.categories)
        for code in np.flatnonzero(epoch.seen):
            mine = epoch.ranking & (half.category == code)
            firm[code] = certify(half.weak[mine], half.strong[mine], alpha=ALPHA).low
        firm = allowed_shares(firm, floor, shares) if epoch.number else np.zeros(half.categories)
        rows = [np.flatnonzero(epoch.testing & (half.category == code)) for code in range(half.categories)]

        def of_category(code: int, share: float, rows: list[npt.NDArray[np.intp]] = rows) -> Floats:
            mine = rows[code]
            gains = (1 / RHO - 1) * half.strong[mine] + share * (half.weak[mine] - half.strong[mine]) / RHO
            path = np.vstack([np.zeros(len(STAKES)), np.log1p(gains[:, None] * STAKES).cumsum(axis=0)])
            return path[np.searchsorted(mine, looks)]

        least = [of_category(code, 0.0) for code in range(half.categories)]
        total, share = np.sum(least, axis=0), np.zeros(half.categories)
        for step in epoch.path:
            for code in step.arms:
                now = of_category(code, step.share)
                if firm[code] < step.share:
                    now = np.minimum(now, of_category(code, float(firm[code])))
                total, least[code] = total + now - least[code], now
            threshold = -np.log(epoch.alpha)
            # Most steps hold at the last look; only the others need all looks.
            if log_mixture(total[-1], step.log_shares) < threshold > log_mixture(total, step.log_shares).max():
                break
            share[list(step.arms)] = step.share
            found += [share.copy(), np.minimum(share, firm)]
    return found


def measure(
    name: str, launch: Outcomes, today: Outcomes | None, *, splits: int, seed: int, floor: float, peeking: bool
) -> list[dict[str, Any]]:
    """One row a rule.

    Args:
        launch: at the prices of the models' day.
        today: the same outcomes at today's.
    """
    certificates = {
        f"tierwise, floor {floor:g}": (floor, IN_TENTHS),
        "tierwise, no floor": (0.0, IN_TENTHS),
        f"tierwise, whole categories, floor {floor:g}": (floor, (1.0,)),
    }
    point_rules: dict[str, Counted] = {"point >= 95%, n >= 10": point_rule, "Wilson low >= 95%": wilson_rule}
    results: dict[str, list[tuple[float, float, float, float]]] = {}
    category, oracle = [], []
    priced = launch if today is None else today
    for split in range(splits):
        order = np.random.default_rng((seed, split)).permutation(len(launch.weak))
        first, other = launch.take(order[: len(order) // 2]), launch.take(order[len(order) // 2 :])
        now = priced.take(order[len(order) // 2 :])
        oracle.append(oracle_saving(other))
        chosen = {"category rule": category_rule(first)}
        peeked: dict[str, float] = {}
        category.append(other.realised(chosen["category rule"])[0])
        for label, rule in point_rules.items():
            chosen[label] = counted(rule, first, peeking=False)
            peeked[label] = other.realised(counted(rule, first, peeking=True))[1]
        for label, (own_floor, shares) in certificates.items():
            chosen[label] = certified(first, floor=own_floor, shares=shares)
            looks = ever_certified(first, floor=own_floor, shares=shares) if peeking else []
            peeked[label] = min((other.realised(share)[1] for share in looks), default=math.inf)
        for label, share in chosen.items():
            saved, kept = other.realised(share)
            lowest = min(kept, peeked.get(label, math.inf))
            results.setdefault(label, []).append((saved, kept, lowest, now.realised(share)[0]))
        if sys.stderr.isatty() or (split + 1) % 50 == 0:
            print(
                f"  {name}: {split + 1} of {splits} splits", end="\r" if sys.stderr.isatty() else "\n", file=sys.stderr
            )
    rows: list[dict[str, Any]] = []
    for label, values in results.items():
        saved, kept, lowest, saved_now = np.array(values).T
        rows.append(
            {
                "models": name,
                "rule": label,
                "saved": round(100 * float(saved.mean()), 1),
                "today": None if today is None else round(100 * float(saved_now.mean()), 1),
                "of category": round(100 * float(saved.mean() / max(np.mean(category), 1e-9)))
                if np.mean(category) > 0.001
                else None,
                "of oracle": round(100 * float(saved.mean() / np.mean(oracle))),
                "kept": round(100 * float(kept.mean()), 1),
                "certified": round(100 * float((saved > 0).mean())),
                "under": round(100 * float((kept < RHO).mean()), 1),
                "peeked": round(100 * float((lowest < RHO).mean()), 1)
                if peeking and label != "category rule"
                else None,
            }
        )
    return rows


def print_table(rows: list[dict[str, Any]]) -> None:
    """Rows with the same keys, under a line of their names; all figures in percent."""
    texts = [["-" if value is None else str(value) for value in row.values()] for row in rows]
    widths = [max(map(len, column)) for column in zip(rows[0], *texts, strict=True)]
    for line in ([*rows[0]], *texts):
        print(
            "  ".join(
                f"{text:<{width}}" if at < 2 else f"{text:>{width}}"
                for at, (text, width) in enumerate(zip(line, widths, strict=True))
            ),
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", type=Path, help="folder of the parquet files")
    parser.add_argument("--splits", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--floor", type=float, default=0.85, help="what each category keeps at least")
    parser.add_argument("--only", default="", help="pairs of models whose name contains this")
    parser.add_argument("--no-peeking", action="store_true", help="leave out the column that takes the time")
    parser.add_argument("--json", action="store_true", help="print one JSON list")
    arguments = parser.parse_args()
    table: list[dict[str, Any]] = []
    for name in (name for name in PAIRS if arguments.only in name):
        started = time.perf_counter()
        pairs, price_now = read_pairs(arguments.path, name), todays_price(name)
        rows = measure(
            name,
            outcomes(pairs, PAIRS[name][3]),
            None if price_now is None else outcomes(pairs, price_now),
            splits=arguments.splits,
            seed=arguments.seed,
            floor=arguments.floor,
            peeking=not arguments.no_peeking,
        )
        table += rows
        if not arguments.json:
            print_table(rows)
            print(f"  {time.perf_counter() - started:.0f} s\n", flush=True)
    if arguments.json:
        print(json.dumps(table, indent=2))


if __name__ == "__main__":
    main()
