"""Which model's calls a policy sends to which, in expectation: the flows of a Sankey diagram."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tierwise.routing.policy import Policy
from tierwise.savings.assignment import assign
from tierwise.savings.traffic import PICO, Traffic


@dataclass(frozen=True, slots=True)
class Flow:
    """Calls that ask for one model and go to one model."""

    requested_model: str
    model: str
    """The same where the calls stay."""
    calls: float
    """Expected number."""
    billed_usd: float
    """What those calls were billed when they were made, priced calls only."""


def flows(policy: Policy, traffic: Traffic) -> list[Flow]:
    """Every flow with calls in it, by the model asked for, largest bill first."""
    assigned = assign(policy, traffic)
    billed = np.where(traffic.priced, traffic.cost_pico / PICO, 0.0)
    found: dict[tuple[str, str], tuple[float, float]] = {}

    def add(requested: str, model: str, calls: float, usd: float) -> None:
        before = found.get((requested, model), (0.0, 0.0))
        found[requested, model] = (before[0] + calls, before[1] + usd)

    keys = np.stack([traffic.requested_model.codes, assigned.target.codes], axis=1)
    for requested_code, target_code in np.unique(keys, axis=0).tolist():
        rows = (keys[:, 0] == requested_code) & (keys[:, 1] == target_code)
        requested = traffic.requested_model.values[requested_code] or "unknown"
        target, moved = assigned.target.values[target_code], assigned.probability[rows]
        if target is not None:
            add(requested, target, float((traffic.calls[rows] * moved).sum()), float((billed[rows] * moved).sum()))
        stays = 1.0 - moved if target is not None else np.ones(int(rows.sum()))
        add(requested, requested, float((traffic.calls[rows] * stays).sum()), float((billed[rows] * stays).sum()))
    flowing = [Flow(*models, *amounts) for models, amounts in found.items() if amounts[0] > 1e-9]
    return sorted(flowing, key=lambda flow: (flow.requested_model, -flow.billed_usd, flow.model))
