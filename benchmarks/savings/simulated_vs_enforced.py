"""Whether a simulated policy costs what it then costs in force: three policies, simulated, enforced, and held together.

    python benchmarks/savings/simulated_vs_enforced.py PATH
    python benchmarks/savings/simulated_vs_enforced.py PATH --deals 20 --json

PATH is the folder of real answers that `backtest.py` reads. A set's prompts are dealt at random into two halves. The
first half, some of it answered by both models, is what is known; the second is the traffic. Each policy is simulated on
the traffic as it was logged, all on the dear model. Then the same traffic goes through `Router.decide` under that
policy, and each call costs what the model that it was sent to really wrote. Pairs whose cheap model is no longer
served are left out: nothing is sent there.

The policies: everything to the cheap model with a fifth held back; a canary of three tenths; and the two largest use
cases pinned, all others moved. Printed for each: the bill that simulating promised, with its interval, and the bill
that enforcing brought; and in how many deals the saving per call that the arms measured lay where it was expected, with
the noise of both arms, which `backtest.py` looks at more closely. Exit code 1 when fewer than nine tenths of the bills
lie in their interval.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from backtest import AS_OF, PICO, Ints, Replay, calls, money, replays, shadows

from tierwise.call import Request
from tierwise.evidence.estimate import NotEnoughData
from tierwise.routing.capabilities import lookup
from tierwise.routing.live import Router
from tierwise.routing.policy import Policy, Rule, When
from tierwise.savings.backtest import compare, realised
from tierwise.savings.predict import predict
from tierwise.savings.simulate import simulate
from tierwise.settings import Settings

AIM = 0.9


@dataclass(frozen=True, slots=True)
class Held:
    """One policy, simulated and enforced."""

    policy: str
    baseline_usd: float
    """What the traffic cost on the dear model."""
    simulated_usd: float
    low_usd: float
    high_usd: float
    enforced_usd: float
    """What it cost under the policy."""
    arms_in: bool | None
    """The saving per call that the arms measured lies where it was expected; None without enough of both."""

    @property
    def bill_in(self) -> bool:
        return self.low_usd <= self.enforced_usd <= self.high_usd


def policies(replay: Replay, seed: int) -> dict[str, Policy]:
    """Three policies for a set; the seed is in the rules' ids, so that every deal is drawn anew."""

    def moving(share: float, holdout: float) -> Rule:
        when = When(request_model=(replay.strong,))
        return Rule(
            f"move-{seed}", "route", when, to=replay.weak, share=share, holdout=holdout, allow_unknown_target=True
        )

    largest = [name for name, _ in Counter(replay.use_case).most_common(2)]
    pin = Rule("pinned", "pin", When(use_case=tuple(largest)))
    return {
        "everything, 20% held back": Policy(1, "enforce", (moving(1.0, 0.2),)),
        "canary of 30%": Policy(1, "enforce", (moving(0.3, 0.1),)),
        "two use cases pinned": Policy(1, "enforce", (pin, moving(0.8, 0.1))),
    }


def enforce(policy: Policy, replay: Replay, rows: Ints, seed: int) -> pa.Table:
    """The traffic as logged under `policy`, decided call by call as an application does."""
    router = Router(Settings(), policy=policy)
    unrouted = calls(replay, rows, seed)
    decisions = [
        router.decide(
            Request(
                provider=replay.provider,
                operation="chat",
                api="messages" if replay.provider == "anthropic" else "chat_completions",
                model=replay.strong,
                body={"model": replay.strong, "messages": [{"role": "user", "content": "replayed"}]},
                use_case_id=replay.use_case[row],
                task_type="other",
                conversation_id=f"{seed}/{row}",
            )
        )
        for row in rows.tolist()
    ]
    moved = np.array([decision.sent_model == replay.weak for decision in decisions])
    columns = {name: unrouted[name] for name in unrouted.column_names} | {
        "request_model": np.where(moved, replay.weak, replay.strong),
        "input_tokens": np.where(moved, replay.weak_input[rows], replay.strong_input[rows]),
        "output_tokens": np.where(moved, replay.weak_output[rows], replay.strong_output[rows]),
        "cost_usd": money(np.where(moved, replay.weak_pico[rows], replay.strong_pico[rows])),
        "policy_version": [decision.policy_version for decision in decisions],
        "rule_id": [decision.rule_id for decision in decisions],
        "arm": [decision.arm for decision in decisions],
        "propensity": [decision.propensity for decision in decisions],
        "decision": [decision.decision for decision in decisions],
    }
    return pa.table(columns)


def hold(replay: Replay, *, pairs: int, seed: int) -> list[Held]:
    """Simulate and enforce the three policies on one deal of the prompts."""
    rng = np.random.default_rng(seed)
    first, rest = np.split(rng.permutation(len(replay)).astype(np.int64), [len(replay) // 2])
    shadowed = rng.choice(first, size=min(pairs, len(first)), replace=False)
    pair_table = shadows(replay, shadowed, seed, len(shadowed) / len(first))
    found: list[Held] = []
    for name, policy in policies(replay, seed).items():
        simulated = simulate(policy, calls(replay, rest, seed), pair_table, as_of=AS_OF, seed=seed)
        saving, baseline = simulated.saving, float(simulated.baseline_usd)
        if isinstance(saving, NotEnoughData) or simulated.simulated_usd is None:
            raise SystemExit(f"{replay.name}: nothing was simulated: {saving}")
        logged = enforce(policy, replay, rest, seed)
        found.append(
            Held(
                policy=name,
                baseline_usd=baseline,
                simulated_usd=float(simulated.simulated_usd),
                low_usd=baseline - saving.high,
                high_usd=baseline - saving.low,
                enforced_usd=_usd(np.where(_moved(logged, replay), replay.weak_pico[rest], replay.strong_pico[rest])),
                arms_in=_arms(policy, replay, first, pair_table, logged, seed),
            )
        )
    return found


def _moved(logged: pa.Table, replay: Replay) -> npt.NDArray[np.bool_]:
    return np.array([model == replay.weak for model in logged["request_model"].to_pylist()])


def _usd(pico: Ints) -> float:
    return int(pico.sum()) / PICO


def _arms(
    policy: Policy, replay: Replay, first: Ints, pair_table: pa.Table, logged: pa.Table, seed: int
) -> bool | None:
    moving = policy.rules[-1]
    # Calls that an earlier rule pins are not the rule's, in the prediction either.
    pinned = {name for rule in policy.rules[:-1] for name in rule.when.use_case}
    mine = sorted(set(replay.use_case) - pinned)
    rule = replace(moving, when=replace(moving.when, use_case=tuple(mine)))
    predicted = predict(rule, calls(replay, first, seed), pair_table, as_of=AS_OF, seed=seed)
    measured = realised(logged, moving.id, seed=seed)
    if isinstance(predicted, NotEnoughData) or isinstance(measured.per_call, NotEnoughData):
        return None
    return compare(predicted, measured).covered


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", type=Path, metavar="PATH", help="folder of Parquet files")
    parser.add_argument("--deals", type=int, default=10, help="deals of each set's prompts (default: 10)")
    parser.add_argument("--pairs", type=int, default=100, help="prompts answered by both models (default: 100)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    options = parser.parse_args()
    lines: list[dict[str, float | str | int | None]] = []
    for lane, replay in enumerate(replays(options.path)):
        known = lookup(replay.provider, replay.weak)
        if known is not None and known.is_retired(time.time()):
            print(f"{replay.weak} is no longer served; left out", file=sys.stderr)
            continue
        # A seed of its own: sets share prompts, and with them the same ones would be drawn for every pair of models.
        seed = options.seed + 1_000 * lane
        deals = [hold(replay, pairs=options.pairs, seed=seed + number) for number in range(options.deals)]
        for of_policy in zip(*deals, strict=True):
            last = of_policy[-1]
            arms = [item.arms_in for item in of_policy if item.arms_in is not None]
            lines.append(
                {
                    "set": replay.name,
                    "models": f"{replay.strong} → {replay.weak}",
                    "policy": last.policy,
                    "deals": len(of_policy),
                    "bill_in": sum(item.bill_in for item in of_policy),
                    "arms_in": sum(arms),
                    "arms_deals": len(arms),
                    "baseline_usd": last.baseline_usd,
                    "simulated_usd": last.simulated_usd,
                    "low_usd": last.low_usd,
                    "high_usd": last.high_usd,
                    "enforced_usd": last.enforced_usd,
                }
            )
    if not lines:
        raise SystemExit(f"{options.path} holds none of the sets that backtest.py knows")
    covered = {
        kind: sum(int(line[f"{kind}_in"] or 0) for line in lines) / max(1, sum(int(line[of] or 0) for line in lines))
        for kind, of in (("bill", "deals"), ("arms", "arms_deals"))
    }
    good = covered["bill"] >= AIM
    if options.json:
        print(json.dumps({"lines": lines, "covered": covered, "good": good}, indent=2))
        return 0 if good else 1
    print(f"{'models':<58} {'policy':<26} {'simulated bill of one deal':>31} {'enforced':>9} {'bill in':>8} arms in")
    for line in lines:
        interval = f"${line['simulated_usd']:.4f} [{line['low_usd']:.4f}, {line['high_usd']:.4f}]"
        print(
            f"{line['models']:<58} {line['policy']:<26} {interval:>31} {line['enforced_usd']:>9.4f} "
            f"{line['bill_in']:>4}/{line['deals']:<3} {line['arms_in']:>4}/{line['arms_deals']:<3}"
        )
    print(
        f"\nthe simulated interval holds the enforced bill in {covered['bill']:.1%} of deals (aim: {AIM:.0%} or more); "
        f"the saving measured on the arms lies where it was expected in {covered['arms']:.1%}"
    )
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
