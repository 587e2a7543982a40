"""What a rule is expected to save per call, in the form in which it can later be held against what was measured."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa

from tierwise import prices
from tierwise.evidence.estimate import Estimate, NotEnoughData
from tierwise.evidence.quantiles import normal_quantile
from tierwise.routing.policy import Policy, Rule
from tierwise.savings.assignment import Assignment, match, scope_of
from tierwise.savings.moves import Pricing, moves
from tierwise.savings.outcome import Outcome
from tierwise.savings.pairs import Pairs, read_pairs
from tierwise.savings.ratios import MIN_PAIRS
from tierwise.savings.traffic import Floats, Ints, Traffic, read_traffic


@dataclass(frozen=True, slots=True)
class Prediction:
    """Cost on the requested model minus cost on the target, per call that goes to the target, in USD."""

    per_call: Estimate
    sd_requested: float
    """Spread of one call's cost on the requested model, in USD: the standard error of a mean over n calls is
    sd / sqrt(n), dependence inside conversations included."""
    sd_target: float
    """The same on the target."""
    n: int
    """Calls it was made from."""
    pairs: int
    """Pairs behind the token ratios; below 20 they are a prior."""
    as_of: datetime
    price_version: str

    def interval(self, *, n_treated: int, n_kept: int) -> tuple[float, float]:
        """Where the measured saving per call falls with the level of `per_call`, if the prediction holds.

        The error of the prediction and the noise of both arms add up in squares, on each side:

            low  = value - sqrt((value - low)^2  + z^2 (sd_target^2 / n_treated + sd_requested^2 / n_kept))
            high = value + sqrt((high - value)^2 + z^2 (sd_target^2 / n_treated + sd_requested^2 / n_kept))

        with low, value and high of `per_call` on the right and z its normal quantile.

        Args:
            n_treated, n_kept: calls on the target and on the requested model, above 0.
        """
        z = normal_quantile(0.5 + 0.5 * self.per_call.confidence_level)
        noise = z * z * (self.sd_target**2 / n_treated + self.sd_requested**2 / n_kept)
        value = self.per_call.value
        return (
            value - math.sqrt((value - self.per_call.low) ** 2 + noise),
            value + math.sqrt((self.per_call.high - value) ** 2 + noise),
        )

    def to_evidence(self) -> dict[str, Any]:
        """The prediction as entries of a rule's `[rule.evidence]` table."""
        return {
            "predicted_saving_usd": self.per_call.value,
            "predicted_saving_low_usd": self.per_call.low,
            "predicted_saving_high_usd": self.per_call.high,
            "predicted_level": self.per_call.confidence_level,
            "sd_requested_usd": self.sd_requested,
            "sd_target_usd": self.sd_target,
            "predicted_from_calls": self.n,
            "predicted_from_conversations": self.per_call.effective_n,
            "predicted_from_pairs": self.pairs,
            "as_of": self.as_of.isoformat(),
            "price_version": self.price_version,
        }


def from_evidence(evidence: Mapping[str, Any]) -> Prediction | None:
    """The prediction in a rule's `[rule.evidence]` table; None when it holds none."""
    try:
        return Prediction(
            per_call=Estimate(
                value=float(evidence["predicted_saving_usd"]),
                low=float(evidence["predicted_saving_low_usd"]),
                high=float(evidence["predicted_saving_high_usd"]),
                confidence_level=float(evidence["predicted_level"]),
                n=int(evidence["predicted_from_calls"]),
                effective_n=float(evidence["predicted_from_conversations"]),
                method="prediction at the time of approval",
                unit="USD",
            ),
            sd_requested=float(evidence["sd_requested_usd"]),
            sd_target=float(evidence["sd_target_usd"]),
            n=int(evidence["predicted_from_calls"]),
            pairs=int(evidence["predicted_from_pairs"]),
            as_of=datetime.fromisoformat(str(evidence["as_of"])),
            price_version=str(evidence["price_version"]),
        )
    except (KeyError, TypeError, ValueError):
        # People write policies by hand; an evidence table without these entries just predicts nothing.
        return None


def predict(
    rule: Rule,
    calls: pa.Table | Traffic,
    shadows: pa.Table | Pairs,
    *,
    as_of: datetime,
    seed: int,
    pricing: Pricing | None = None,
    draws: int = 1000,
    level: float = 0.95,
) -> Prediction | NotEnoughData:
    """What `rule` saves per call that it sends to its target, from calls that went to the requested model.

    Args:
        calls: rows of the named query `calls`.
        shadows: rows of the named query `shadows` or `pairs`.
        as_of: aware; recorded with the prediction.
        pricing: by default the prices of `as_of` and a target cache that starts cold.

    Returns: NotEnoughData below 30 conversations.
    """
    pricing = pricing or Pricing(at_ns=int(as_of.timestamp() * 1e9))
    policy = Policy(mode="enforce", rules=(replace(rule, enabled=True),))
    traffic = calls if isinstance(calls, Traffic) else read_traffic(calls)
    traffic = traffic.take(traffic.request_model.same_as(traffic.requested_model) & ~traffic.decision.equal("refused"))
    traffic = traffic.take(match(policy, scope_of(traffic)).rule == 0)
    pairs = (shadows if isinstance(shadows, Pairs) else read_pairs(shadows)).distinct()

    rng = np.random.default_rng(seed)
    n = len(traffic)
    matched = match(policy, scope_of(traffic))
    everything = Assignment(matched.rule, matched.target, np.ones(n), np.zeros(n, dtype=bool))
    plan = moves(traffic, everything, pairs, pricing=pricing, draws=draws, rng=rng)
    outcome = Outcome(traffic, plan, pricing, draws=draws, level=level, rng=rng)
    matched = match(policy, scope_of(pairs))
    own = pairs.take((matched.rule == 0) & matched.target.same_as(pairs.weak_model))
    return prediction(outcome, traffic, own, as_of=as_of)


def prediction(
    outcome: Outcome,
    traffic: Traffic,
    own: Pairs,
    *,
    as_of: datetime,
    rule: int | None = None,
    from_model: str | None = None,
) -> Prediction | NotEnoughData:
    """The same from a simulation that is there already.

    Args:
        outcome: of `traffic`, with every call of the rule moved.
        own: the pairs of the rule's calls with its target, each once.
        rule, from_model: which moves it is about; all by default.
    """
    per_call = outcome.saving_per_call(rule, from_model)
    if isinstance(per_call, NotEnoughData):
        return per_call
    places = range(len(outcome.plan)) if rule is None else outcome.of_rule(rule)
    plan = [outcome.plan[place] for place in places if from_model in (None, outcome.plan[place].from_model)]
    known = [move.repriced.known for move in plan]
    rows = np.concatenate([move.rows[priced] for move, priced in zip(plan, known, strict=True)])
    on_target = np.concatenate(
        [move.repriced.cost(move.ratios)[priced] for move, priced in zip(plan, known, strict=True)]
    )
    calls = traffic.calls[rows]
    _, block = np.unique(traffic.block[rows], return_inverse=True)
    return Prediction(
        per_call=per_call,
        sd_requested=_spread(outcome.cost[rows], calls, block),
        sd_target=max(
            _spread(on_target, calls, block), _spread_on_pairs(own, float(on_target.sum()) / float(calls.sum()))
        ),
        n=per_call.n,
        pairs=len(own.with_tokens()),
        as_of=as_of,
        price_version=prices.price_version(),
    )


def _spread(cost: Floats, calls: Floats, block: Ints) -> float:
    """The sd for which sd / sqrt(calls) is the cluster-robust standard error of the mean cost of a call.

    Args:
        cost, calls: shape (n,); what each row cost in all, and how many calls it stands for.
    """
    in_all = float(calls.sum())
    sums = np.bincount(block, cost - calls * (float(cost.sum()) / in_all))
    return math.sqrt(float(sums @ sums) / in_all * len(sums) / max(len(sums) - 1, 1))


def _spread_on_pairs(pairs: Pairs, mean_cost: float) -> float:
    """The spread of what the target's shadow calls did cost, brought to the mean cost expected; 0 with few pairs.

    A ratio of totals gives the mean cost on the target but smooths over how much the length of answers varies.
    """
    billed = pairs.take(np.isfinite(pairs.weak_cost))
    if len(billed) < MIN_PAIRS or billed.weak_cost.mean() <= 0.0:
        return 0.0
    spread = _spread(billed.weak_cost, np.ones(len(billed)), billed.block)
    return spread * mean_cost / float(billed.weak_cost.mean())
