"""Laws of assignment: who a rule sends to its target, over many keys."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierwise.call import Decision, Request
from tierwise.routing.decide import assign, decide, hash_position
from tierwise.routing.live import Router
from tierwise.routing.policy import Policy, Rule
from tierwise.settings import Settings

MakeRequest = Callable[..., Request]

KEYS = 100_000
HAIKU = "claude-haiku-5-5"


@pytest.fixture(scope="module")
def positions() -> list[float]:
    """Where 100,000 conversations fall for one rule."""
    return [hash_position(f"conversation {number}", "rule") for number in range(KEYS)]


@pytest.mark.parametrize("holdout", [0.0, 0.03, 0.2])
@pytest.mark.parametrize("share", [0.01, 0.1, 0.25, 0.5, 0.9, 1.0])
def test_the_share_is_kept_within_a_point(positions: list[float], share: float, holdout: float):
    """Of 100,000 conversations each arm holds its share, to less than one in a hundred."""
    arms = [assign(position, share=share, holdout=holdout)[0] for position in positions]

    sent = sum(arm in ("canary", "treated") for arm in arms) / KEYS
    held_back = arms.count("holdout") / KEYS
    assert abs(sent - share * (1 - holdout)) < 0.01
    assert abs(held_back - holdout) < 0.01


def test_nobody_flaps_when_the_share_grows(positions: list[float]):
    """Whoever is sent at a share is sent at every larger one, and whoever is held back is at each."""
    sent_before: set[int] = set()
    held_back = {
        place for place, position in enumerate(positions) if assign(position, share=0.01, holdout=0.05)[0] == "holdout"
    }
    for share in (0.01, 0.05, 0.1, 0.25, 0.5, 1.0):
        arms = [assign(position, share=share, holdout=0.05)[0] for position in positions]
        sent = {place for place, arm in enumerate(arms) if arm in ("canary", "treated")}
        assert sent >= sent_before
        assert {place for place, arm in enumerate(arms) if arm == "holdout"} == held_back
        sent_before = sent


@given(st.text(), st.text(min_size=1), st.floats(0, 1, exclude_min=True), st.floats(0, 0.5))
def test_a_key_always_falls_in_the_same_place(key: str, rule_id: str, share: float, holdout: float):
    """The arm depends on nothing but the key and the rule, and its propensity is a probability."""
    first = assign(hash_position(key, rule_id), share=share, holdout=holdout)

    assert first == assign(hash_position(key, rule_id), share=share, holdout=holdout)
    assert 0 < first[1] <= 1


@given(st.dictionaries(st.text(max_size=8), st.text(max_size=8), max_size=4))
def test_a_policy_that_routes_nothing_decides_nothing(body: dict[str, str]):
    """No policy, no rules, a disabled rule and mode off leave a call on its model, in no arm and without a target, and
    do not touch its body."""
    request = Request("openai", "chat", "chat_completions", "gpt-4o", {**body})
    rule = Rule("r", "route", to="gpt-4o-mini")
    policies = (
        None,
        Policy(1, "enforce"),
        Policy(1, "off", (rule,)),
        Policy(1, "enforce", (Rule("r", "route", to="gpt-4o-mini", enabled=False),)),
    )

    for policy in policies:
        decision = Router(Settings(), policy=policy).decide(request)
        assert (decision.sent_model, decision.changed, decision.decision) == ("gpt-4o", False, "unchanged")
        assert (decision.arm, decision.propensity, decision.rule_id) == (None, None, None)
    assert request.body == body


def test_every_turn_of_a_conversation_is_sent_alike(make_request: MakeRequest):
    """Over a thousand conversations of five turns each, no turn differs from the first."""
    policy = Policy(1, "enforce", (Rule("r", "route", to=HAIKU, share=0.3, holdout=0.1),))

    def turn(conversation: int, number: int) -> Decision:
        messages = [{"role": "user", "content": f"Question {conversation}"}]
        messages += [{"role": role, "content": f"{number}"} for _ in range(number) for role in ("assistant", "user")]
        return decide(make_request({"messages": messages}), policy, draw=lambda: 0.5)

    for conversation in range(1000):
        assert len({turn(conversation, number).arm for number in range(5)}) == 1
