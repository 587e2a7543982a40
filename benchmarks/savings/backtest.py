"""Whether predicted savings come true: predict from the first part of the traffic, enforce on the rest, compare.

    python benchmarks/savings/backtest.py PATH               # a folder of answers, about 2 min
    python benchmarks/savings/backtest.py PATH --runs 40 --pairs 50
    python benchmarks/savings/backtest.py PATH --json > backtest.json

PATH holds Parquet files of real answers: one row a prompt and model, with the columns prompt_id, category, model,
input_tokens and output_tokens. Every run deals a set's prompts at random into two halves. The first is traffic on the
dear model, some of it shadowed by the cheap one; a rule is predicted from it. The second is routed by that rule's own
hash and replayed: each call costs what the model that it went to really wrote. Nothing is simulated there, so what the
arms measure is what a user would have measured.

Printed per set and pair of models: how often the predicted interval holds the measured saving per call, the true one,
and the simulated one the total of moving everything; the error of that total cost, beside the same tokens at the other
price; and whether simulating the policy that logged the second half gives its logged cost back to the last digit.
Exit code 1 when
coverage is below 90%, a mean error above 10%, or a logged cost is not given back.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tierwise import prices
from tierwise.call import Usage
from tierwise.evidence.estimate import NotEnoughData
from tierwise.routing.decide import assign, hash_position
from tierwise.routing.policy import Policy, Rule, When
from tierwise.savings.backtest import compare, realised
from tierwise.savings.predict import predict
from tierwise.savings.simulate import simulate

Ints = npt.NDArray[np.int64]

AS_OF = datetime(2026, 11, 20, 12, tzinfo=UTC)
DAY_NS = 86_400_000_000_000
PICO = 10**12
LANES = {
    "bfcl_small": (
        ("anthropic", "claude-3-opus-20240229", "claude-3-haiku-20240307"),
        ("anthropic", "claude-3-5-sonnet-20240620", "claude-3-haiku-20240307"),
        ("openai", "gpt-4-turbo-2024-04-09", "gpt-4o-mini-2024-07-18"),
        ("openai", "gpt-4-0613", "gpt-3.5-turbo-0125"),
        ("gcp.gemini", "gemini-1.5-pro-preview-0514", "gemini-1.5-flash-preview-0514"),
    ),
    "zeroeval_small": (
        ("anthropic", "claude-3-opus-20240229", "claude-3-haiku-20240307"),
        ("anthropic", "claude-3-5-sonnet-20241022", "claude-3-5-haiku-20241022"),
        ("openai", "gpt-4o-2024-08-06", "gpt-4o-mini-2024-07-18"),
        ("gcp.gemini", "gemini-1.5-pro", "gemini-1.5-flash"),
    ),
    "mmlu_pro_pairs": (("gcp.gemini", "gemini-1.5-pro-002", "gemini-1.5-flash-002"),),
}
"""File → (provider, dear model, cheap model), priced at the models' own list prices."""


@dataclass(frozen=True, slots=True)
class Replay:
    """The prompts of a set that both models answered; every array has shape (n,)."""

    name: str
    provider: str
    strong: str
    weak: str
    use_case: list[str]
    strong_input: Ints
    strong_output: Ints
    weak_input: Ints
    weak_output: Ints
    strong_pico: Ints
    """What the dear model's answer costs, in 1e-12 USD."""
    weak_pico: Ints

    def __len__(self) -> int:
        return len(self.strong_input)


def replays(path: Path) -> Iterator[Replay]:
    """Every lane whose file is in `path`."""
    for name, lanes in LANES.items():
        file = path / f"{name}.parquet"
        if not file.exists():
            print(f"{file} is not there; left out", file=sys.stderr)
            continue
        rows = pq.read_table(file, columns=["prompt_id", "category", "model", "input_tokens", "output_tokens"])
        rows = rows.filter(pc.and_(pc.is_valid(rows["input_tokens"]), pc.greater(rows["output_tokens"], 0)))
        for provider, strong, weak in lanes:
            yield _replay(name, provider, strong, weak, rows)


def _replay(name: str, provider: str, strong: str, weak: str, rows: pa.Table) -> Replay:
    def of(model: str) -> dict[str, tuple[str, int, int]]:
        own = rows.filter(pc.equal(rows["model"], model))
        columns = [own[column].to_pylist() for column in ("prompt_id", "category", "input_tokens", "output_tokens")]
        return {
            prompt: (category, int(read), int(wrote)) for prompt, category, read, wrote in zip(*columns, strict=True)
        }

    strong_answers, weak_answers = of(strong), of(weak)
    prompts = sorted(strong_answers.keys() & weak_answers.keys())

    def tokens(answers: dict[str, tuple[str, int, int]], place: int) -> Ints:
        return np.array([answers[prompt][place] for prompt in prompts], dtype=np.int64)

    def cost(model: str, read: Ints, wrote: Ints) -> Ints:
        at_ns = int(AS_OF.timestamp()) * 1_000_000_000
        found: list[int] = []
        for inputs, outputs in zip(read.tolist(), wrote.tolist(), strict=True):
            priced = prices.cost(provider, model, Usage(input_tokens=inputs, output_tokens=outputs), at_ns=at_ns)
            if priced is None:
                raise SystemExit(f"no price for {provider}/{model}")
            found.append(int(priced.total_usd * PICO))
        return np.array(found, dtype=np.int64)

    strong_input, strong_output = tokens(strong_answers, 1), tokens(strong_answers, 2)
    weak_input, weak_output = tokens(weak_answers, 1), tokens(weak_answers, 2)
    return Replay(
        name=name,
        provider=provider,
        strong=strong,
        weak=weak,
        use_case=[strong_answers[prompt][0] for prompt in prompts],
        strong_input=strong_input,
        strong_output=strong_output,
        weak_input=weak_input,
        weak_output=weak_output,
        strong_pico=cost(strong, strong_input, strong_output),
        weak_pico=cost(weak, weak_input, weak_output),
    )


def money(pico: Ints) -> pa.Array:
    return pa.array([Decimal(amount) / PICO for amount in pico.tolist()], pa.decimal128(18, 12))


def calls(replay: Replay, rows: Ints, seed: int, rule: Rule | None = None) -> pa.Table:
    """The prompts of `rows` as logged: all on the dear model, or in the arms that `rule` puts them in.

    Every prompt is a conversation of its own, as these sets have no others.
    """
    n = len(rows)
    conversation = [f"{seed}/{row}" for row in rows.tolist()]
    columns = {
        "start_time": pa.array(
            int(AS_OF.timestamp()) * 1_000_000_000 - 20 * DAY_NS + np.arange(n) * (18 * DAY_NS // n),
            pa.timestamp("ns"),
        ),
        "provider": [replay.provider] * n,
        "operation": ["chat"] * n,
        "requested_model": [replay.strong] * n,
        "use_case_id": [replay.use_case[row] for row in rows.tolist()],
        "task_type": ["other"] * n,
        "conversation_id": conversation,
    }
    moved = np.zeros(n, dtype=bool)
    if rule is not None:
        drawn = [assign(hash_position(key, rule.id), share=rule.share, holdout=rule.holdout) for key in conversation]
        moved = np.array([arm in ("treated", "canary") for arm, _ in drawn])
        columns |= {
            "policy_version": [1] * n,
            "rule_id": [rule.id] * n,
            "arm": [arm for arm, _ in drawn],
            "propensity": [propensity for _, propensity in drawn],
            "decision": np.where(moved, "routed", "unchanged"),
        }
    return pa.table(
        {
            **columns,
            "request_model": np.where(moved, replay.weak, replay.strong),
            "input_tokens": np.where(moved, replay.weak_input[rows], replay.strong_input[rows]),
            "output_tokens": np.where(moved, replay.weak_output[rows], replay.strong_output[rows]),
            "cost_usd": money(np.where(moved, replay.weak_pico[rows], replay.strong_pico[rows])),
        }
    )


def shadows(replay: Replay, rows: Ints, seed: int, propensity: float) -> pa.Table:
    """The prompts of `rows` answered by both models."""
    n = len(rows)
    return pa.table(
        {
            "start_time": pa.array([int(AS_OF.timestamp()) * 1_000_000_000 - 10 * DAY_NS] * n, pa.timestamp("ns")),
            "shadow_span_id": [f"{row:016x}" for row in rows.tolist()],
            "provider": [replay.provider] * n,
            "use_case_id": [replay.use_case[row] for row in rows.tolist()],
            "task_type": ["other"] * n,
            "conversation_key": [f"{seed}/{row}" for row in rows.tolist()],
            "shadow_propensity": [propensity] * n,
            "strong_model": [replay.strong] * n,
            "weak_model": [replay.weak] * n,
            "strong_input_tokens": replay.strong_input[rows],
            "weak_input_tokens": replay.weak_input[rows],
            "strong_output_tokens": replay.strong_output[rows],
            "weak_output_tokens": replay.weak_output[rows],
            "strong_cost_usd": money(replay.strong_pico[rows]),
            "weak_cost_usd": money(replay.weak_pico[rows]),
        }
    )


@dataclass(frozen=True, slots=True)
class Run:
    """One deal of a set's prompts."""

    measured_in: bool
    """The predicted interval holds the saving per call that the arms measured."""
    true_in: bool
    """It holds what the treated calls really saved, each against the dear model's own answer."""
    total_in: bool
    """The simulated saving of moving the second half holds what that would have saved."""
    width: float
    """Of the predicted interval, over the predicted saving."""
    error: float
    """Of the simulated total cost of moving the second half, as a share of what it cost."""
    naive_error: float
    """The same for the dear model's tokens at the cheap model's price."""
    logged_given_back: bool


def run(replay: Replay, *, pairs: int, seed: int) -> Run:
    """Predict on one half, enforce on the other."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(replay)).astype(np.int64)
    first, rest = np.split(order, [len(order) // 2])
    shadowed = rng.choice(first, size=pairs, replace=False)
    pair_table = shadows(replay, shadowed, seed, pairs / len(first))
    rule = Rule(f"move-{seed}", "route", When(request_model=(replay.strong,)), to=replay.weak, share=1.0, holdout=0.2)

    predicted = predict(rule, calls(replay, first, seed), pair_table, as_of=AS_OF, seed=seed)
    logged = calls(replay, rest, seed, rule)
    measured = realised(logged, rule.id, seed=seed)
    if isinstance(predicted, NotEnoughData) or isinstance(measured.per_call, NotEnoughData):
        raise SystemExit(f"{replay.name}: too few prompts to predict from or to measure on")
    held = compare(predicted, measured)
    treated = np.array([model == replay.weak for model in logged["request_model"].to_pylist()])
    true = float((replay.strong_pico - replay.weak_pico)[rest][treated].mean()) / PICO
    low, high = predicted.interval(n_treated=measured.n_treated, n_kept=measured.n_kept)
    # Both costs of the same calls are known, so only their own number makes the true saving uncertain.
    true_low, true_high = predicted.interval(n_treated=measured.n_treated, n_kept=measured.n_treated)

    everything = Policy(mode="enforce", rules=(Rule("all", "route", When(), to=replay.weak),))
    moved = simulate(everything, calls(replay, rest, seed), pair_table, as_of=AS_OF, seed=seed)
    simulated, total = moved.simulated_usd, moved.saving
    saved = float((replay.strong_pico - replay.weak_pico)[rest].sum()) / PICO
    cost = float(replay.weak_pico[rest].sum()) / PICO
    given_back = simulate(Policy(mode="enforce", rules=(rule,)), logged, pair_table, as_of=AS_OF, seed=seed, draws=100)
    logged_cost = sum(logged["cost_usd"].to_pylist(), Decimal(0))
    if simulated is None or isinstance(total, NotEnoughData):
        raise SystemExit(f"{replay.name}: nothing was simulated")
    return Run(
        measured_in=held.covered is True,
        true_in=true_low <= true <= true_high,
        total_in=total.low <= saved <= total.high,
        width=(high - low) / predicted.per_call.value,
        error=abs(float(simulated) / cost - 1.0),
        naive_error=abs(_same_tokens(replay, rest) / cost - 1.0),
        logged_given_back=given_back.simulated_usd == logged_cost == given_back.baseline_usd,
    )


def _same_tokens(replay: Replay, rows: Ints) -> float:
    """USD for the dear model's token counts at the cheap model's price."""
    rates = prices.rates(replay.provider, replay.weak, input_tokens=0, at_ns=int(AS_OF.timestamp() * 1e9))
    if rates is None:
        raise SystemExit(f"no price for {replay.provider}/{replay.weak}")
    return float(
        int(replay.strong_input[rows].sum()) * rates.input + int(replay.strong_output[rows].sum()) * rates.output
    )


def report(replay: Replay, runs: list[Run]) -> dict[str, float | str | int]:
    errors = np.array([item.error for item in runs])
    return {
        "set": replay.name,
        "strong": replay.strong,
        "weak": replay.weak,
        "prompts": len(replay),
        "runs": len(runs),
        "measured_covered": float(np.mean([item.measured_in for item in runs])),
        "true_covered": float(np.mean([item.true_in for item in runs])),
        "total_covered": float(np.mean([item.total_in for item in runs])),
        "interval_width": float(np.mean([item.width for item in runs])),
        "error_mean": float(errors.mean()),
        "error_p90": float(np.quantile(errors, 0.9)),
        "naive_error_mean": float(np.mean([item.naive_error for item in runs])),
        "logged_given_back": sum(item.logged_given_back for item in runs),
    }


def show(lines: list[dict[str, float | str | int]]) -> None:
    print(
        f"{'set':<15} {'dear → cheap':<55} {'prompts':>7} {'runs':>5} {'measured in':>11} {'true in':>8} "
        f"{'total in':>8} {'width':>6} {'cost error':>10} {'p90':>6} {'same tokens':>11} {'logged':>7}"
    )
    for line in lines:
        print(
            f"{line['set']:<15} {line['strong']} → {line['weak']:<{52 - len(str(line['strong']))}} "
            f"{line['prompts']:>7,} {line['runs']:>5} {line['measured_covered']:>11.1%} {line['true_covered']:>8.1%} "
            f"{line['total_covered']:>8.1%} "
            f"{line['interval_width']:>6.1%} {line['error_mean']:>10.1%} {line['error_p90']:>6.1%} "
            f"{line['naive_error_mean']:>11.1%} {line['logged_given_back']:>3}/{line['runs']}"
        )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", type=Path, metavar="PATH", help="folder of Parquet files of answers")
    parser.add_argument("--runs", type=int, default=25, help="deals per set and pair of models (default: 25)")
    parser.add_argument("--pairs", type=int, default=100, help="shadow pairs per run (default: 100)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    lines: list[dict[str, float | str | int]] = []
    for replay in replays(options.path):
        runs = [run(replay, pairs=options.pairs, seed=options.seed + number) for number in range(options.runs)]
        lines.append(report(replay, runs))
    total = sum(int(line["runs"]) for line in lines)
    if not total:
        raise SystemExit(f"{options.path} holds none of {', '.join(LANES)}")
    covered = sum(float(line["measured_covered"]) * int(line["runs"]) for line in lines) / total
    true = sum(float(line["true_covered"]) * int(line["runs"]) for line in lines) / total
    in_all = sum(float(line["total_covered"]) * int(line["runs"]) for line in lines) / total
    worst = max(float(line["error_mean"]) for line in lines)
    given_back = sum(int(line["logged_given_back"]) for line in lines)
    good = covered >= 0.9 and worst <= 0.1 and given_back == total
    if options.json:
        print(json.dumps({"lanes": lines, "runs": total, "measured_covered": covered, "good": good}, indent=2))
    else:
        show(lines)
        print(
            f"\n{total} runs: the predicted interval holds the measured saving in {covered:.1%} (aim: 90% or more), "
            f"the true one in {true:.1%}, the total of moving everything in {in_all:.1%}\n"
            f"largest mean error of the total cost with {options.pairs} pairs: {worst:.1%} (aim: 10% or less)\n"
            f"logged cost given back to the last digit: {given_back} of {total}"
        )
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
