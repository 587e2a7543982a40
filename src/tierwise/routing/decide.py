"""What a policy does with one call: a pure function of the request, the policy and one random number.

The arm is a hash of what stays the same over the calls that belong together (the conversation, the use case) and of the
rule's id. Share and version are not in the hash: raising a share moves calls from control to the target and none back,
and the holdout stays the same calls at every share.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Literal

from tierwise.call import Decision, Escalation, Request
from tierwise.routing import compat
from tierwise.routing.contents import first_user_text
from tierwise.routing.escalation import why_skipped
from tierwise.routing.policy import Policy
from tierwise.routing.rule import Rule
from tierwise.routing.rules import rule_kind
from tierwise.settings import Mode

Arm = Literal["control", "canary", "treated", "holdout"]


def decide(
    request: Request,
    policy: Policy,
    *,
    draw: Callable[[], float],
    mode: Mode | None = None,
    suspended: Collection[str] = (),
    known_conversations: Mapping[str, str] | None = None,
) -> Decision:
    """The model to send `request` to, and why.

    Args:
        draw: a number in [0, 1) a call, for rules that are not sticky.
        mode: stands in for the policy's own.
        suspended: ids of rules whose target is failing; their calls stay where they are.
        known_conversations: `conversation_key` → the model that conversation is on, as far as this process knows. It
            lets a conversation carry on with state that only its own model can read.

    Returns:
        A decision. `arm` and `propensity` are set only when the call was eligible and the rule is in force, so that the
        calls of every arm are alike but for the draw.
    """
    mode = mode or policy.mode
    if mode == "off":
        return Decision(request.model, request.model, policy.version, reason="off")
    rule = policy.first_match(request)
    if rule is None:
        return Decision(request.model, request.model, policy.version, reason="no rule matches")

    kind = rule_kind(rule.kind)
    target = kind.target(rule, request)
    skipped = why_skipped(rule, request)
    if target is None:
        return _stay(request, policy, rule, skipped or "the rule keeps this call on its model")
    if target == request.model:
        return _stay(request, policy, rule, f"the call asks for {target} already")
    if rule.id in suspended:
        return _stay(request, policy, rule, f"the rule is suspended: {target} keeps failing", refused=True)

    key = sticky_key(rule, request)
    position = draw() if key is None else hash_position(key, rule.id)
    arm, propensity = assign(position, share=rule.share, holdout=rule.holdout)
    is_treated = arm in ("canary", "treated")

    def refusal(model: str) -> str | None:
        return compat.check(
            request,
            model,
            trusted=rule.allow_unknown_target,
            snapshot_named=request.model in rule.when.request_model,
            same_conversation=lambda: (
                (known_conversations or {}).get(conversation_key(request)) == (model if is_treated else request.model)
            ),
            deployments=policy.deployments,
        )

    # Whether the call may go to the target is asked for every arm, control and holdout too: otherwise the treated calls
    # would be those that are easy to move, and their quality and cost would not compare.
    why_not = refusal(target)
    escalation = kind.escalation(rule, request)
    if escalation is not None:
        if (unfit := _cannot_be_checked(request)) is not None:
            return _stay(request, policy, rule, f"not sent to {target}: {unfit}", refused=True)
        target, escalation, why_not = _ladder(target, escalation, why_not, refusal)
    if why_not is not None and (escalation is None or not escalation.models):
        return _stay(request, policy, rule, f"not sent to {target}: {why_not}", refused=True)
    sends = target if is_treated else request.model
    if mode == "shadow":
        if sends == request.model:
            return _stay(request, policy, rule, f"in shadow mode; {_WHY[arm]}")
        return Decision(
            requested_model=request.model,
            sent_model=request.model,
            policy_version=policy.version,
            rule_id=rule.id,
            decision="would_route",
            reason=f"in shadow mode; in force it would go to {target}",
        )
    reason = _WHY[arm] if sends == request.model else f"sent to {target} by rule {rule.id}"
    return Decision(
        requested_model=request.model,
        sent_model=sends,
        policy_version=policy.version,
        rule_id=rule.id,
        arm=arm,
        decision="unchanged" if sends == request.model else "routed",
        propensity=propensity,
        reason="; ".join(filter(None, (reason, skipped, why_not))),
        escalation=escalation if is_treated else None,
    )


def _ladder(
    target: str, escalation: Escalation, why_not: str | None, refusal: Callable[[str], str | None]
) -> tuple[str, Escalation, str | None]:
    """First model, what follows it, and why others were skipped, where `target` or those in between cannot serve it.

    An escalation without models: nothing but the requested model can.
    """
    *between, requested = escalation.models
    skipped = [] if why_not is None else [f"not sent to {target}: {why_not}"]
    able = [target] if why_not is None else []
    for model in between:
        if (reason := refusal(model)) is None:
            able.append(model)
        else:
            skipped.append(f"not sent to {model}: {reason}")
    if not able:
        return target, replace(escalation, models=()), why_not
    return able[0], replace(escalation, models=(*able[1:], requested)), "; ".join(skipped) or None


def _cannot_be_checked(request: Request) -> str | None:
    """Why an answer cannot be looked at before it is handed out, in words; None when it can."""
    if request.body.get("background") is True:
        return "it runs in the background, and its answer comes later"
    if request.body.get("n") not in (None, 1):
        return "it asks for several answers, and checks look at one"
    if request.stream and request.provider == "aws.bedrock":
        return "its stream is not one of server-sent events"
    return None


_WHY: Mapping[Arm, str] = {
    "holdout": "kept on its model to measure by",
    "control": "outside the rule's share",
    "canary": "inside the rule's share",
    "treated": "inside the rule's share",
}


def _stay(request: Request, policy: Policy, rule: Rule, reason: str, *, refused: bool = False) -> Decision:
    return Decision(
        requested_model=request.model,
        sent_model=request.model,
        policy_version=policy.version,
        rule_id=rule.id,
        decision="refused" if refused else "unchanged",
        reason=reason,
    )


def assign(position: float, *, share: float, holdout: float) -> tuple[Arm, float]:
    """The arm at `position` in [0, 1), and that arm's probability.

    Holdout lies first, then what is sent to the target, then control; so the holdout depends on nothing but its own
    size, and a larger share takes in the smaller one.
    """
    treated = share * (1 - holdout)
    if position < holdout:
        return "holdout", holdout
    if share >= 1:
        return "treated", 1 - holdout
    if position < holdout + treated:
        return "canary", treated
    return "control", 1 - holdout - treated


def hash_position(key: str, rule_id: str) -> float:
    """Where `key` falls in [0, 1) for a rule: uniform over keys, the same in every process and for every share."""
    digest = hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8, person=_person(rule_id)).digest()
    return (int.from_bytes(digest) >> 11) * 2.0**-53


@lru_cache(maxsize=1024)
def _person(rule_id: str) -> bytes:
    return hashlib.blake2b(rule_id.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def sticky_key(rule: Rule, request: Request) -> str | None:
    """What keeps one arm under `rule`; None when each call is drawn by itself."""
    if rule.sticky == "none":
        return None
    if rule.sticky == "use_case":
        return f"use_case\x00{request.use_case_id}"
    return conversation_key(request)


def conversation_key(request: Request) -> str:
    """What is the same on every turn of a conversation, hashed: its id, else its use case and first user message."""
    if request.conversation_id is not None:
        text = f"id\x00{request.conversation_id}"
    else:
        text = f"text\x00{request.use_case_id}\x00{first_user_text(request)}"
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
