"""Calls sent to other models outright, without a policy: what recommendations work out their savings from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import numpy as np

from tierwise.savings.assignment import Assignment
from tierwise.savings.follow_up import StrongShare
from tierwise.savings.moves import Pricing, moves
from tierwise.savings.outcome import Outcome
from tierwise.savings.pairs import Pairs
from tierwise.savings.traffic import Indices, Labels, Traffic


def relocate(
    traffic: Traffic,
    groups: Sequence[tuple[Indices, str]],
    shadows: Pairs,
    *,
    now: datetime,
    seed: int,
    draws: int = 1000,
    level: float = 0.95,
    beside: Mapping[int, StrongShare] | None = None,
) -> Outcome:
    """All calls of each group on the group's model; its number among `groups` is the rule of its moves.

    Calls of no group stay where they went, and so do those that a rule found unfit to be moved.

    Args:
        groups: rows of `traffic` that are in one group only, and the model they go to.
        shadows: for token ratios, each pair once.
        now: aware; prices are those of this moment.
        beside: number of a group → how much of the requested model's cost is paid beside.
    """
    targets = list(dict.fromkeys(target for _, target in groups))
    place = {target: code for code, target in enumerate(targets, start=1)}
    rule = np.full(len(traffic), -1, dtype=np.int64)
    code = np.zeros(len(traffic), dtype=np.int32)
    for number, (rows, target) in enumerate(groups):
        rule[rows] = number
        code[rows] = place[target]
    assignment = Assignment(
        rule=rule,
        target=Labels((None, *targets), code),
        probability=(rule >= 0).astype(np.float64),
        settled=(rule < 0) | traffic.decision.equal("refused"),
    )
    rng = np.random.default_rng(seed)
    pricing = Pricing(at_ns=int(now.timestamp() * 1e9))
    plan = moves(traffic, assignment, shadows, pricing=pricing, draws=draws, rng=rng, beside=beside)
    return Outcome(traffic, plan, pricing, draws=draws, level=level, rng=rng)
