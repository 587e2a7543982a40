"""Which calls are also put to a cheaper model in the background, so that the two answers can be compared.

A shadow call costs money and must not do anything: it is drawn with a recorded probability, within a daily budget, and
only for calls that leave no trace but their answer. This release shadows no call that declares tools, since it cannot
know which of them act.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from random import Random
from typing import Any

from tierwise import prices
from tierwise.call import Decision, Request, Usage
from tierwise.routing import compat
from tierwise.routing.contents import messages_of
from tierwise.routing.parameters import output_cap, set_parameters
from tierwise.routing.policy import Policy

ASSUMED_OUTPUT_TOKENS = 2_000
"""For the estimate that is set aside before a shadow call whose request sets no limit; the real cost replaces it."""

CostEstimate = Callable[[Request, str], Decimal | None]
"""Request and model → USD, or None when the model's price is not known."""


@dataclass(frozen=True, slots=True)
class ShadowDraw:
    """One call that was drawn to be shadowed."""

    model: str
    """The candidate to put it to."""
    propensity: float
    """Probability, before the draw, that this call was shadowed by this candidate; in (0, 1]."""
    estimated_usd: Decimal
    """Set aside from the day's budget until `spent` says what it cost."""
    deployment: str | None = None
    """The name that the candidate is deployed under, where it is not its own."""

    def body(self, request: Request) -> dict[str, Any]:
        """The request body for the candidate: one whole answer, which the provider does not keep."""
        body = compat.adapt(request.body, self.model, provider=request.provider, deployment=self.deployment)
        body.pop("stream", None)
        body.pop("stream_options", None)
        if request.api == "responses" or "store" in set_parameters(body):
            body["store"] = False
        return body


class ShadowBudget:
    """USD left for shadow calls, by UTC day, in this process. Safe to use from several threads."""

    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._day = ""
        self._spent_usd = Decimal(0)
        self._set_aside_usd: deque[Decimal] = deque()

    def set_aside(self, estimated_usd: Decimal, daily_budget_usd: Decimal) -> bool:
        """Reserve an estimate; False when the day's budget does not hold it."""
        with self._lock:
            self._roll_over()
            if self._spent_usd + sum(self._set_aside_usd) + estimated_usd > daily_budget_usd:
                return False
            self._set_aside_usd.append(estimated_usd)
            return True

    def settle(self, cost_usd: Decimal | None, draw: ShadowDraw | None = None) -> None:
        """Book what a shadow call cost, in place of the estimate set aside for it: the oldest one without a `draw`.

        A cost that is not known books the estimate.
        """
        with self._lock:
            self._roll_over()
            estimated = Decimal(0)
            if draw is not None and draw.estimated_usd in self._set_aside_usd:
                estimated = draw.estimated_usd
                self._set_aside_usd.remove(estimated)
            elif draw is None and self._set_aside_usd:
                estimated = self._set_aside_usd.popleft()
            self._spent_usd += estimated if cost_usd is None else cost_usd

    def _roll_over(self) -> None:
        day = datetime.fromtimestamp(self._clock(), UTC).date().isoformat()
        if day != self._day:
            self._day, self._spent_usd = day, Decimal(0)
            self._set_aside_usd.clear()


def draw_shadow(
    request: Request,
    decision: Decision,
    policy: Policy,
    *,
    budget: ShadowBudget,
    rng: Random,
    estimate: CostEstimate,
) -> ShadowDraw | None:
    """The shadow call to make beside `request`; None for most requests.

    The draw looks at the sample share and at nothing that depends on the arm. A candidate is one of those the policy
    lists for the requested model, or else the target of the rule that matched.
    """
    plan = policy.shadow
    if plan.sample <= 0 or rng.random() >= plan.sample:
        return None
    if decision.changed or decision.decision in ("fell_back", "escalated") or side_effect(request) is not None:
        return None
    candidates = plan.candidates.get(request.model, ())
    rule = policy.rule(decision.rule_id) if decision.rule_id is not None else None
    if not candidates and rule is not None and rule.to is not None and rule.to != request.model:
        candidates = (rule.to,)
    if not candidates:
        return None
    model = candidates[int(rng.random() * len(candidates))]
    trusted = rule is not None and rule.to == model and rule.allow_unknown_target
    deployments = policy.deployments
    if compat.check(request, model, trusted=trusted, snapshot_named=True, deployments=deployments) is not None:
        return None
    estimated_usd = estimate(request, model)
    if estimated_usd is None or not budget.set_aside(estimated_usd, plan.daily_budget_usd):
        return None
    deployment = deployments.name_of(request.provider, model)
    named = None if deployment == model else deployment
    return ShadowDraw(model, plan.sample / len(candidates), estimated_usd, named)


def side_effect(request: Request) -> str | None:
    """Why repeating `request` could do something, or give something else than its answer; None when it could not."""
    body = set_parameters(request.body)
    if body.get("tools") or body.get("functions"):
        return "it declares tools"
    if body.get("background"):
        return "it runs in the background"
    if body.get("n") not in (None, 1):
        return "it asks for several answers"
    if messages_of(request) is None:
        return "its messages are not a list"
    return compat.conversation_state(request)


def estimated_cost(request: Request, model: str) -> Decimal | None:
    """What `request` may cost at `model`, before the call: input by its text, output by the limit it sets."""
    if not prices.ready():
        return None
    usage = Usage(
        input_tokens=request.input_tokens_estimate, output_tokens=output_cap(request.body) or ASSUMED_OUTPUT_TOKENS
    )
    cost = prices.cost(request.provider, model, usage, at_ns=time.time_ns())
    return None if cost is None else cost.total_usd
