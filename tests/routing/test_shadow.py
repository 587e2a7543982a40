from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from random import Random
from typing import Any

import pytest

from tierwise import prices
from tierwise.call import Cost, Decision, Request
from tierwise.routing import shadow
from tierwise.routing.policy import Policy
from tierwise.routing.rule import Rule, ShadowPlan
from tierwise.routing.shadow import ShadowBudget, ShadowDraw, draw_shadow, estimated_cost, side_effect

MakeRequest = Callable[..., Request]

OPUS, HAIKU, OLD_HAIKU = "claude-opus-5-5", "claude-haiku-5-5", "claude-haiku-4-5"
UNCHANGED = Decision(OPUS, OPUS, 1)


def _cent(request: Request, model: str) -> Decimal | None:
    return Decimal("0.01")


def _policy(sample: float = 1.0, budget: str = "5", *rules: Rule, **candidates: tuple[str, ...]) -> Policy:
    listed = {OPUS: (HAIKU,)} if not candidates else {OPUS: candidates["opus"]} if candidates["opus"] else {}
    return Policy(1, "enforce", rules, ShadowPlan(sample, Decimal(budget), listed))


def _draw(
    request: Request,
    policy: Policy,
    decision: Decision = UNCHANGED,
    *,
    seed: int = 1,
    budget: ShadowBudget | None = None,
) -> ShadowDraw | None:
    return draw_shadow(request, decision, policy, budget=budget or ShadowBudget(), rng=Random(seed), estimate=_cent)


def test_an_eligible_call_is_drawn_with_its_probability(make_request: MakeRequest):
    """At sample 1 every eligible call is shadowed by the listed candidate."""
    assert _draw(make_request(), _policy()) == ShadowDraw(HAIKU, 1.0, Decimal("0.01"))


def test_the_sample_is_as_large_as_said(make_request: MakeRequest):
    """A tenth of the calls is drawn at sample 0.1, each with that propensity."""
    rng, request, policy = Random(7), make_request(), _policy(0.1, "1000000")

    drawn = [
        draw_shadow(request, UNCHANGED, policy, budget=ShadowBudget(), rng=rng, estimate=_cent) for _ in range(4_000)
    ]

    hits = [draw for draw in drawn if draw is not None]
    assert abs(len(hits) - 400) < 5 * math.sqrt(4000 * 0.09)
    assert {draw.propensity for draw in hits} == {0.1}


def test_the_draw_does_not_depend_on_the_arm(make_request: MakeRequest):
    """Control and holdout calls are drawn by the same numbers as calls under no rule."""
    request, policy = make_request(), _policy(0.5)
    arms: list[Decision] = [
        UNCHANGED,
        Decision(OPUS, OPUS, 1, "r", "control", propensity=0.9),
        Decision(OPUS, OPUS, 1, "r", "holdout", propensity=0.1),
        Decision(OPUS, OPUS, 1, "r", None, "would_route"),
    ]

    drawn = [[_draw(request, policy, decision, seed=seed) is not None for seed in range(50)] for decision in arms]

    assert drawn[0] == drawn[1] == drawn[2] == drawn[3]
    assert 5 < sum(drawn[0]) < 45


def test_several_candidates_share_the_probability(make_request: MakeRequest):
    """Each of two candidates is drawn, with half the sample as its propensity."""
    policy = _policy(1.0, "5", opus=(HAIKU, OLD_HAIKU))

    drawn = [_draw(make_request(), policy, seed=seed) for seed in range(40)]

    assert {draw.model for draw in drawn if draw} == {HAIKU, OLD_HAIKU}
    assert {draw.propensity for draw in drawn if draw} == {0.5}


@pytest.mark.parametrize(
    "decision",
    [
        Decision(OPUS, HAIKU, 1, "r", "treated", "routed", 1.0),
        Decision(OPUS, OPUS, 1, "r", "treated", "fell_back", 1.0),
        Decision(OPUS, OPUS, 1, "r", "treated", "escalated", 1.0),
    ],
)
def test_only_answers_of_the_requested_model_are_shadowed(make_request: MakeRequest, decision: Decision):
    """A pair needs the strong model's own answer, not one given after or instead of a routed call."""
    assert _draw(make_request(), _policy(), decision) is None


@pytest.mark.parametrize(
    ("body", "fields", "reason"),
    [
        ({"tools": [{"name": "f"}]}, {}, "it declares tools"),
        ({"functions": [{"name": "f"}]}, {}, "it declares tools"),
        ({"background": True}, {}, "it runs in the background"),
        ({"n": 2}, {}, "it asks for several answers"),
        ({"messages": iter([])}, {}, "its messages are not a list"),
        ({"input": "a", "previous_response_id": "r"}, {"api": "responses"}, "previous_response_id"),
        ({"input": "a", "store": True, "conversation": "c"}, {"api": "responses"}, "conversation"),
        ({"container": "c"}, {}, "container"),
    ],
)
def test_calls_that_leave_more_than_an_answer_are_not_shadowed(
    make_request: MakeRequest, body: dict[str, Any], fields: dict[str, Any], reason: str
):
    """Tools, stored conversations, background work and several answers are left alone, and it is said why."""
    request = make_request(body, **fields)

    assert reason in (side_effect(request) or "")
    assert _draw(request, _policy()) is None


def test_streaming_calls_and_stored_single_answers_are_shadowed(make_request: MakeRequest):
    """A stream and a stored answer without a conversation are nothing that a repetition could disturb."""
    assert side_effect(make_request({"stream": True}, stream=True)) is None
    assert side_effect(make_request({"input": "a", "store": True}, api="responses")) is None


def test_a_candidate_that_cannot_serve_the_call_is_not_asked(make_request: MakeRequest):
    """Compatibility holds for shadows as for routed calls."""
    assert _draw(make_request({"temperature": 0.3}), _policy()) is None


def test_without_listed_candidates_the_matching_rules_target_is_asked(make_request: MakeRequest):
    """A rule on trial gathers its own evidence; a call that no rule matches has no candidate then."""
    policy = _policy(1.0, "5", Rule("r", "route", to=OLD_HAIKU), opus=())

    on_trial = _draw(make_request(), policy, Decision(OPUS, OPUS, 1, "r", None, "would_route"))

    assert on_trial is not None
    assert on_trial.model == OLD_HAIKU
    assert _draw(make_request(), policy) is None


def test_the_body_asks_for_one_whole_answer_that_is_not_kept(
    make_request: MakeRequest, make_openai_request: MakeRequest
):
    """The shadow's body has the candidate as its model, no stream, no storing, and leaves the user's body alone."""
    responses = make_request({"input": "a", "stream": True}, provider="openai", api="responses", model="gpt-5.2")
    chat = make_openai_request({"max_tokens": 9, "stream": True, "stream_options": {}, "store": True})
    draw = ShadowDraw("gpt-6-luna", 1.0, Decimal(0))

    assert draw.body(chat) == {
        "model": "gpt-6-luna",
        "max_completion_tokens": 9,
        "messages": chat.body["messages"],
        "store": False,
    }
    assert draw.body(responses)["store"] is False
    assert "stream" not in draw.body(responses)
    assert chat.body["stream"] is True
    assert "store" not in ShadowDraw(HAIKU, 1.0, Decimal(0)).body(make_request())


class Clock:
    now = datetime(2026, 11, 24, 23, 0, tzinfo=UTC).timestamp()

    def __call__(self) -> float:
        return self.now


def test_the_budget_is_kept_by_estimate_and_settled_by_cost(make_request: MakeRequest):
    """What is set aside counts until the real cost is known; the day's budget is never planned past."""
    budget = ShadowBudget(clock=Clock())
    policy = _policy(1.0, "0.02")

    first = _draw(make_request(), policy, budget=budget)
    second = _draw(make_request(), policy, budget=budget)

    assert first is not None
    assert second is not None
    assert _draw(make_request(), policy, budget=budget) is None
    budget.settle(Decimal("0.001"), first)
    budget.settle(Decimal("0.001"), second)
    assert _draw(make_request(), policy, budget=budget) is not None


def test_costs_settle_the_oldest_estimate_when_no_draw_is_named():
    """Set-aside money comes free again as costs come in, in whatever way they are booked."""
    budget = ShadowBudget(clock=Clock())
    limit = Decimal("1.00")
    assert budget.set_aside(Decimal("0.60"), limit)
    assert budget.set_aside(Decimal("0.40"), limit)

    budget.settle(Decimal("0.10"))

    assert not budget.set_aside(Decimal("0.51"), limit)
    assert budget.set_aside(Decimal("0.50"), limit)


def test_an_unknown_cost_books_the_estimate():
    """A shadow call without a price is not free."""
    budget = ShadowBudget(clock=Clock())
    assert budget.set_aside(Decimal("0.60"), Decimal(1))

    budget.settle(None)

    assert not budget.set_aside(Decimal("0.41"), Decimal(1))
    assert budget.set_aside(Decimal("0.40"), Decimal(1))


def test_the_budget_begins_anew_with_each_utc_day():
    """What was spent yesterday does not count today, and yesterday's estimates are gone."""
    clock = Clock()
    budget = ShadowBudget(clock=clock)
    assert budget.set_aside(Decimal(1), Decimal(1))
    assert not budget.set_aside(Decimal(1), Decimal(1))

    clock.now += 2 * 3600

    assert budget.set_aside(Decimal(1), Decimal(1))


def test_a_call_without_a_known_price_is_not_shadowed(make_request: MakeRequest):
    """A budget cannot be kept on unknown prices."""

    def unknown(request: Request, model: str) -> Decimal | None:
        return None

    drawn = draw_shadow(make_request(), UNCHANGED, _policy(), budget=ShadowBudget(), rng=Random(1), estimate=unknown)

    assert drawn is None


def test_the_estimate_waits_for_the_price_list(make_request: MakeRequest, monkeypatch: pytest.MonkeyPatch):
    """Before the price list is loaded nothing is estimated; after, the request's own limit is the output counted."""
    asked: list[int | None] = []

    def cost(provider: str, model: str, usage: Any, **_: Any) -> Cost | None:
        asked.append(usage.output_tokens)
        return Cost(Decimal("0.1"), Decimal("0.2")) if model == HAIKU else None

    monkeypatch.setattr(prices, "cost", cost)
    monkeypatch.setattr(prices, "ready", lambda: False)
    assert estimated_cost(make_request(), HAIKU) is None

    monkeypatch.setattr(prices, "ready", lambda: True)
    assert estimated_cost(make_request({"max_tokens": 77}), HAIKU) == Decimal("0.3")
    assert estimated_cost(make_request({"max_tokens": ...}), "unknown") is None
    assert asked == [77, shadow.ASSUMED_OUTPUT_TOKENS]
