from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierwise.call import Decision, Escalation, Request
from tierwise.routing.decide import assign, conversation_key, decide, hash_position
from tierwise.routing.policy import Policy
from tierwise.routing.rule import Rule, When

MakeRequest = Callable[..., Request]

OPUS, HAIKU = "claude-opus-5-5", "claude-haiku-5-5"


def no_draw() -> float:
    raise AssertionError("a sticky rule must not draw")


def _rule(**fields: Any) -> Rule:
    known: dict[str, Any] = {"id": "r", "kind": "route", "to": HAIKU}
    return Rule(**(known | fields))


def _policy(*rules: Rule, mode: Any = "enforce") -> Policy:
    return Policy(version=4, mode=mode, rules=rules)


def _conversation(make_request: MakeRequest, number: int) -> Request:
    return make_request(conversation_id=f"conversation {number}")


def test_a_matching_call_is_sent_to_the_target(make_request: MakeRequest):
    """At full share without holdout every eligible call is treated, and the decision says all about it."""
    decision = decide(make_request(), _policy(_rule()), draw=no_draw)

    assert decision == Decision(
        requested_model=OPUS,
        sent_model=HAIKU,
        policy_version=4,
        rule_id="r",
        arm="treated",
        decision="routed",
        propensity=1.0,
        reason=f"sent to {HAIKU} by rule r",
    )


@given(st.sampled_from([OPUS, "gpt-4.1", "x"]), st.sampled_from(["shadow", "enforce", "off"]), st.text(max_size=20))
def test_a_policy_without_rules_changes_nothing(make_request: MakeRequest, model: str, mode: Any, text: str):
    """Whatever the request and the mode, it goes out as it came."""
    request = make_request({"messages": [{"role": "user", "content": text}]}, model=model)

    decision = decide(request, _policy(mode=mode), draw=no_draw)

    assert not decision.changed
    assert (decision.decision, decision.arm, decision.rule_id) == ("unchanged", None, None)


def test_mode_off_evaluates_no_rule(make_request: MakeRequest):
    """Off means off, in the policy or in its place."""
    expected = Decision(OPUS, OPUS, 4, reason="off")

    assert decide(make_request(), _policy(_rule(), mode="off"), draw=no_draw) == expected
    assert decide(make_request(), _policy(_rule()), mode="off", draw=no_draw) == expected


def test_shadow_mode_says_what_it_would_do_and_does_nothing(make_request: MakeRequest):
    """The call is not sent elsewhere and is in no arm, since no arm was applied to it."""
    decision = decide(make_request(), _policy(_rule(), mode="shadow"), draw=no_draw)
    held = decide(make_request(), _policy(_rule(sticky="none", holdout=0.5), mode="shadow"), draw=lambda: 0.0)

    assert (decision.decision, decision.sent_model, decision.rule_id) == ("would_route", OPUS, "r")
    assert (decision.arm, decision.propensity) == (None, None)
    assert (held.decision, held.arm) == ("unchanged", None)
    assert held.reason == "in shadow mode; kept on its model to measure by"


def test_the_first_enabled_match_decides(make_request: MakeRequest):
    """A pin above a route keeps its calls; disabled, it lets them through."""
    pin = Rule("keep", "pin", When(task_type=("extraction",)))

    kept = decide(make_request(), _policy(pin, _rule()), draw=no_draw)
    sent = decide(make_request(), _policy(Rule("keep", "pin", pin.when, enabled=False), _rule()), draw=no_draw)

    assert (kept.rule_id, kept.sent_model, kept.decision, kept.arm) == ("keep", OPUS, "unchanged", None)
    assert (sent.rule_id, sent.sent_model) == ("r", HAIKU)


def test_a_call_for_the_target_is_left_alone(make_request: MakeRequest):
    """A call that asks for the target anyway is not part of the experiment."""
    decision = decide(make_request(model=HAIKU), _policy(_rule(holdout=0.5)), draw=no_draw)

    assert (decision.decision, decision.arm, decision.sent_model) == ("unchanged", None, HAIKU)


def test_a_suspended_rule_moves_nothing(make_request: MakeRequest):
    """While the target keeps failing its calls stay, in no arm, and the reason is said."""
    decision = decide(make_request(), _policy(_rule()), draw=no_draw, suspended={"r"})

    assert (decision.decision, decision.arm, decision.sent_model) == ("refused", None, OPUS)
    assert "suspended" in decision.reason


@pytest.mark.parametrize("position", [0.01, 0.2, 0.9])
def test_an_incompatible_call_is_in_no_arm_wherever_it_was_drawn(make_request: MakeRequest, position: float):
    """Eligibility is settled for holdout and control as for treated calls, so that the arms stay comparable."""
    rule = _rule(sticky="none", share=0.3, holdout=0.05)

    decision = decide(make_request({"temperature": 0.1}), _policy(rule), draw=lambda: position)

    assert decision == Decision(
        OPUS, OPUS, 4, "r", None, "refused", None, f"not sent to {HAIKU}: {HAIKU} does not take temperature"
    )


def test_a_rule_may_trust_a_target_nobody_knows(make_request: MakeRequest):
    """allow_unknown_target lets an own deployment be a target; without it the call stays."""
    rule = _rule(to="our-small")
    trusting = _rule(to="our-small", allow_unknown_target=True)

    assert decide(make_request(), _policy(rule), draw=no_draw).decision == "refused"
    assert decide(make_request(), _policy(trusting), draw=no_draw).sent_model == "our-small"


def test_a_snapshot_is_moved_only_by_a_rule_that_names_it(make_request: MakeRequest):
    """A rule about a use case leaves a pinned version alone; one that names it does not."""
    request = make_request(model="claude-opus-4-5-20251101")

    assert decide(request, _policy(_rule()), draw=no_draw).decision == "refused"
    naming = _rule(when=When(request_model=("claude-opus-4-5-20251101",)))
    assert decide(request, _policy(naming), draw=no_draw).decision == "routed"


shares = st.floats(0.0, 1.0, exclude_min=True)
holdouts = st.floats(0.0, 0.5)
positions = st.floats(0.0, 1.0, exclude_max=True)


@given(positions, shares, shares, holdouts)
def test_raising_a_share_never_moves_anyone_out(position: float, one: float, other: float, holdout: float):
    """Whoever is sent to the target at a share is sent there at any larger one."""
    small, large = sorted((one, other))

    at_small, _ = assign(position, share=small, holdout=holdout)
    at_large, _ = assign(position, share=large, holdout=holdout)

    if at_small in ("canary", "treated"):
        assert at_large in ("canary", "treated")
    assert (at_small == "holdout") == (at_large == "holdout")


@given(positions, shares, holdouts)
def test_the_holdout_is_never_treated_and_propensities_add_up(position: float, share: float, holdout: float):
    """Below the holdout nobody is sent anywhere, and the three arms' probabilities are a distribution."""
    arm, propensity = assign(position, share=share, holdout=holdout)

    assert (arm == "holdout") == (position < holdout)
    assert 0.0 <= propensity <= 1.0
    treated = share * (1 - holdout)
    expected = {"holdout": holdout, "canary": treated, "treated": treated, "control": 1 - holdout - treated}
    assert propensity == pytest.approx(expected[arm], abs=1e-12)
    assert (arm == "treated") <= (share == 1)


@given(st.integers(0, 10**6), shares, shares, holdouts)
def test_a_call_keeps_its_model_when_the_share_grows(
    make_request: MakeRequest, number: int, one: float, other: float, holdout: float
):
    """The law holds through decide(), whatever the version: a conversation never flaps."""
    small, large = sorted((one, other))
    request = _conversation(make_request, number)

    before = decide(request, Policy(1, "enforce", (_rule(share=small, holdout=holdout),)), draw=no_draw)
    after = decide(request, Policy(2, "enforce", (_rule(share=large, holdout=holdout),)), draw=no_draw)

    assert before.sent_model == OPUS or after.sent_model == HAIKU
    assert (before.arm == "holdout") == (after.arm == "holdout")


def test_frequencies_match_share_and_holdout(make_request: MakeRequest):
    """Over many conversations each arm is as frequent as its propensity says, within five standard deviations."""
    rule = _rule(share=0.25, holdout=0.04)
    policy = _policy(rule)
    count = 6_000

    decisions = [decide(_conversation(make_request, number), policy, draw=no_draw) for number in range(count)]

    for arm, probability in (("holdout", 0.04), ("canary", 0.25 * 0.96), ("control", 0.75 * 0.96)):
        seen = [decision for decision in decisions if decision.arm == arm]
        spread = 5 * math.sqrt(count * probability * (1 - probability))
        assert abs(len(seen) - count * probability) < spread
        assert [decision.propensity for decision in seen] == pytest.approx([probability] * len(seen))


def test_two_rules_draw_independently():
    """Being treated by one rule says nothing about the other: the rule's id is in the hash."""
    keys = [f"key {number}" for number in range(4_000)]
    both = sum(hash_position(key, "a") < 0.5 and hash_position(key, "b") < 0.5 for key in keys)

    assert abs(both - 1000) < 5 * math.sqrt(4000 * 0.25 * 0.75)


def test_positions_are_the_same_in_every_process():
    """The hash does not depend on the interpreter's seed; these values are fixed."""
    assert hash_position("conversation 1", "r") == 0.17642686783024686
    assert 0.0 <= hash_position("\ud800", "\ud800") < 1.0


def test_every_turn_of_a_conversation_stays_on_one_model(make_request: MakeRequest):
    """Without an id, the first user message and the use case stand for the conversation."""
    policy = _policy(_rule(share=0.5))
    sent: set[str] = set()
    for number in range(40):
        history = [{"role": "user", "content": f"Question {number}"}]
        models: set[str] = set()
        for turn in range(3):
            models.add(decide(make_request({"messages": list(history)}), policy, draw=no_draw).sent_model)
            history += [{"role": "assistant", "content": f"Answer {turn}"}, {"role": "user", "content": f"More {turn}"}]
        assert len(models) == 1
        sent |= models
    assert sent == {OPUS, HAIKU}


def test_a_whole_use_case_moves_or_stays(make_request: MakeRequest):
    """sticky = use_case gives every call of a use case the same arm."""
    policy = _policy(_rule(share=0.5, sticky="use_case"))

    by_use_case = {
        use_case: {
            decide(make_request(conversation_id=str(number), use_case_id=use_case), policy, draw=no_draw).sent_model
            for number in range(5)
        }
        for use_case in (f"uc_{number}" for number in range(20))
    }

    assert all(len(models) == 1 for models in by_use_case.values())
    assert set().union(*by_use_case.values()) == {OPUS, HAIKU}


def test_without_stickiness_each_call_is_drawn(make_request: MakeRequest):
    """sticky = none asks the given draw, and only it."""
    policy = _policy(_rule(share=0.5, sticky="none"))
    request = make_request(conversation_id="always the same")

    assert decide(request, policy, draw=lambda: 0.49).arm == "canary"
    assert decide(request, policy, draw=lambda: 0.51).arm == "control"


def test_deciding_never_consumes_a_generator(make_request: MakeRequest):
    """One-shot messages and content stay unread, and the call stays where it is."""
    messages = ({"role": "user", "content": str(number)} for number in range(3))
    parts = iter([{"type": "text", "text": "a"}])

    lazy = decide(make_request({"messages": messages}), _policy(_rule()), draw=no_draw)
    inner = decide(make_request({"messages": [{"role": "user", "content": parts}]}), _policy(_rule()), draw=no_draw)

    assert (lazy.decision, inner.decision) == ("refused", "refused")
    assert len(list(messages)) == 3
    assert len(list(parts)) == 1


def test_state_of_the_conversations_own_model_lets_it_carry_on(make_request: MakeRequest):
    """A conversation that began on the target keeps it when its thinking blocks come back; another does not."""
    history = [
        {"role": "user", "content": "One?"},
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "", "signature": "x"}]},
        {"role": "user", "content": "Two?"},
    ]
    request = make_request({"messages": history})
    key = conversation_key(request)

    began_here = decide(request, _policy(_rule()), draw=no_draw, known_conversations={key: HAIKU})
    began_there = decide(request, _policy(_rule()), draw=no_draw, known_conversations={key: OPUS})
    unknown = decide(request, _policy(_rule()), draw=no_draw)

    assert (began_here.sent_model, began_here.arm) == (HAIKU, "treated")
    assert (began_there.sent_model, began_there.decision, began_there.arm) == (OPUS, "refused", None)
    assert unknown == began_there


def test_a_conversation_is_known_by_its_id_before_its_text(make_request: MakeRequest):
    """Two histories under one id are one conversation; one text under two use cases is two."""
    one = make_request({"messages": [{"role": "user", "content": "a"}]}, conversation_id="c")
    other = make_request({"messages": [{"role": "user", "content": "b"}]}, conversation_id="c")

    assert conversation_key(one) == conversation_key(other)
    assert conversation_key(make_request(use_case_id="uc_1")) != conversation_key(make_request(use_case_id="uc_2"))


# --- rules of several models ------------------------------------------------------------------------------------------

SONNET = "claude-sonnet-5-5"


def _cascade(**escalate: Any) -> Rule:
    return _rule(kind="cascade", options={"escalate": escalate} if escalate else {})


def test_a_cascade_says_what_may_follow(make_request: MakeRequest):
    """A treated call of a cascade is sent to the first model, with the others and the checks to follow."""
    decision = decide(make_request(), _policy(_cascade(to=(SONNET,), on=("schema",))), draw=no_draw)

    assert (decision.sent_model, decision.decision, decision.arm) == (HAIKU, "routed", "treated")
    assert decision.escalation == Escalation((SONNET, OPUS), ("schema",))


def test_a_kept_call_of_a_cascade_is_an_ordinary_one(make_request: MakeRequest):
    """Holdout and control go to the requested model alone."""
    rule = dataclasses.replace(_cascade(), holdout=0.5, share=0.5)
    decisions = [decide(_conversation(make_request, number), _policy(rule), draw=no_draw) for number in range(200)]

    assert {decision.arm for decision in decisions} == {"holdout", "canary", "control"}
    assert all((decision.escalation is not None) == (decision.arm == "canary") for decision in decisions)


def test_a_tier_that_cannot_serve_the_call_is_left_out(make_request: MakeRequest):
    """The next model that can is asked, and the reason names those that cannot; without any the call stays."""
    unknown = dataclasses.replace(_cascade(to=(SONNET,)), to="claude-of-tomorrow")

    skipping = decide(make_request(), _policy(unknown), draw=no_draw)
    refused = decide(make_request(), _policy(dataclasses.replace(unknown, options={})), draw=no_draw)

    assert (skipping.sent_model, skipping.escalation) == (
        SONNET,
        Escalation((OPUS,), ("schema", "refusal", "truncation")),
    )
    assert "not sent to claude-of-tomorrow: " in skipping.reason
    assert (refused.sent_model, refused.decision, refused.arm, refused.escalation) == (OPUS, "refused", None, None)


def test_a_complex_call_goes_straight_up_in_every_arm(make_request: MakeRequest):
    """What is known before the call puts it in no arm: the arms hold the calls that the first model is asked."""
    policy = _policy(dataclasses.replace(_cascade(on=("schema", "complexity")), holdout=0.5))
    requests = [make_request(conversation_id=f"c {number}", complexity="high") for number in range(20)]

    decisions = [decide(request, policy, draw=no_draw) for request in requests]

    assert {(decision.sent_model, decision.arm, decision.reason) for decision in decisions} == {
        (OPUS, None, "its complexity is high")
    }


@pytest.mark.parametrize("kind", ["cascade", "speculative"])
@pytest.mark.parametrize(
    ("body", "fields"), [({"background": True}, {}), ({"n": 3}, {}), ({}, {"stream": True, "provider": "aws.bedrock"})]
)
def test_answers_that_cannot_be_looked_at_are_not_cascaded(
    make_request: MakeRequest, kind: str, body: dict[str, Any], fields: dict[str, Any]
):
    """What comes later, several times, or in a form of its own stays with the model that was asked for."""
    decision = decide(make_request(body, **fields), _policy(_rule(kind=kind, allow_unknown_target=True)), draw=no_draw)

    assert (decision.sent_model, decision.decision, decision.escalation) == (OPUS, "refused", None)


def test_in_shadow_mode_a_cascade_is_on_paper(make_request: MakeRequest):
    """Nothing is sent elsewhere, and nothing may follow."""
    decision = decide(make_request(), _policy(_cascade(), mode="shadow"), draw=no_draw)

    assert (decision.sent_model, decision.decision, decision.escalation) == (OPUS, "would_route", None)
