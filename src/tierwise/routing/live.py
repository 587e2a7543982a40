"""The policy in force in a running app: read, kept up to date, and asked once a call.

A bad file raises when the router starts and never after: a reload that fails keeps the last good policy. A URL that
does not answer never raises: the app runs without routing until it does. `mode = "off"` in the policy takes effect
within one poll; `TIERWISE_MODE=off` at the start beats everything.
"""

from __future__ import annotations

import logging
import os
import threading
import weakref
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from random import Random

from tierwise.call import Decision, Request
from tierwise.errors import PolicyError
from tierwise.firewall import firewall
from tierwise.routing.breaker import Breaker
from tierwise.routing.decide import conversation_key, decide
from tierwise.routing.policy import Policy, parse
from tierwise.routing.shadow import CostEstimate, ShadowBudget, ShadowDraw, draw_shadow, estimated_cost
from tierwise.routing.source import FileSource, PolicySource, SourceUnavailable, policy_source
from tierwise.settings import Mode, Settings

logger = logging.getLogger("tierwise")

MAX_CONVERSATIONS = 10_000
_SUPPRESS_INSTRUMENTATION = "suppress_instrumentation"
"""OpenTelemetry's context key; the poll is not the user's traffic."""


class Router:
    """Answers, for each call, which model to send.

    Args:
        settings: `policy`, `policy_key`, `mode`, `policy_poll_s` and `token` are read.
        policy: a fixed policy in place of the one at `settings.policy`.
        rng: draws of rules that are not sticky, and of shadow calls.
        breaker: counts the failures of targets.
        budget: of shadow calls.
        estimate: what a shadow call may cost.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        policy: Policy | None = None,
        rng: Random | None = None,
        breaker: Breaker | None = None,
        budget: ShadowBudget | None = None,
        estimate: CostEstimate = estimated_cost,
    ) -> None:
        self._settings = settings
        self._policy = policy
        self._rng = rng or Random(settings.seed)
        self._breaker = breaker or Breaker()
        self._budget = budget or ShadowBudget()
        self._estimate = estimate
        self._source: PolicySource | None = None
        if policy is None and settings.policy is not None and settings.mode != "off":
            self._source = policy_source(settings.policy, token=settings.token, key=settings.policy_key)
        self._conversations = KnownConversations()
        self._unavailable = False
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def policy(self) -> Policy | None:
        """The policy in force; None while there is none."""
        return self._policy

    @property
    def mode(self) -> Mode:
        """What is done with the policy's rules: `off` wherever it is said, else the setting, else the policy's own."""
        policy = self._policy
        if policy is None or policy.mode == "off":
            return "off"
        return self._settings.mode or policy.mode

    def start(self) -> None:
        """Read the policy and go on looking for a newer one in the background.

        Raises:
            PolicyError: the policy file is missing or refused.
        """
        if self._source is None or self._thread is not None:
            return
        if isinstance(self._source, FileSource):
            try:
                self._read()
            except SourceUnavailable as error:
                raise PolicyError(f"{error}; name an existing file in TIERWISE_POLICY, or leave it unset") from error
        self._stopped.clear()
        self._start_polling()
        _running.add(self)

    def stop(self) -> None:
        """Stop looking for a newer policy; the one in force stays."""
        _running.discard(self)
        self._stopped.set()
        thread, self._thread = self._thread, None
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout=1.0)

    def _start_polling(self) -> None:
        self._thread = threading.Thread(target=self._poll, name="tierwise-policy", daemon=True)
        self._thread.start()

    def _poll(self) -> None:
        from opentelemetry import context  # the app pays for it when it instruments, not when it imports a router

        context.attach(context.set_value(_SUPPRESS_INSTRUMENTATION, True))
        if self._policy is None:
            self.refresh()
        while not self._stopped.wait(self._settings.policy_poll_s):
            self.refresh()

    def refresh(self) -> None:
        """Take over a newer policy, if there is one that can be used. Never raises."""
        try:
            self._read()
        except PolicyError as error:
            kept = f"version {self._policy.version} stays in force" if self._policy else "nothing is routed"
            logger.warning("A new policy is refused, and %s: %s", kept, error)
        except SourceUnavailable as error:
            if not self._unavailable:
                logger.warning("%s; tierwise keeps trying", error)
            self._unavailable = True
            return
        if self._unavailable:
            logger.info("The policy can be read again")
        self._unavailable = False

    def _read(self) -> None:
        if self._source is None:
            return
        found = self._source.read_if_changed()
        if found is None:
            return
        policy = parse(found.text, origin=found.origin)
        self._policy = policy
        logger.info("Policy version %d is in force (mode %s, %d rules)", policy.version, self.mode, len(policy.rules))

    def decide(self, request: Request) -> Decision:
        """The model to send `request` to, and why. Never raises outside tests: on an error of ours nothing changes."""
        with firewall("deciding about a call"):
            return self._decide(request)
        return Decision(request.model, request.model, reason="tierwise failed to decide")

    def _decide(self, request: Request) -> Decision:
        policy = self._policy
        if policy is None:
            return Decision(request.model, request.model, reason="no policy")
        decision = decide(
            _by_model(request, policy),
            policy,
            mode=self.mode,
            draw=self._rng.random,
            suspended=self._breaker.suspended(),
            known_conversations=self._conversations.models,
        )
        if decision.arm is not None:
            self._conversations.note(conversation_key(request), decision.sent_model)
        return decision

    def note_answer(self, request: Request, model: str) -> None:
        """Note that `model`, another than the one decided on, answered: the conversation is on it now."""
        self._conversations.note(conversation_key(request), model)

    def shadow(self, request: Request, decision: Decision) -> ShadowDraw | None:
        """The shadow call to make beside a call that was answered, within sample, budget and side effects."""
        policy = self._policy
        if policy is None or self.mode == "off":
            return None
        request = _by_model(request, policy)
        return draw_shadow(request, decision, policy, budget=self._budget, rng=self._rng, estimate=self._estimate)

    def spent(self, cost_usd: Decimal | None, draw: ShadowDraw | None = None) -> None:
        """Book what a shadow call cost in USD; None when that is not known."""
        self._budget.settle(cost_usd, draw)

    def note_success(self, decision: Decision) -> None:
        """Count an answer of the model that `decision` sent a call to."""
        if decision.rule_id is not None:
            self._breaker.note_answer(decision.rule_id)

    def note_failure(self, decision: Decision, error_type: str) -> None:
        """Count a failure of the model that `decision` sent a call to; enough of them suspend its rule for a while."""
        if decision.rule_id is None or decision.arm not in ("canary", "treated"):
            return
        rule = None if self._policy is None else self._policy.rule(decision.rule_id)
        limit = None if rule is None or rule.guard is None else rule.guard.max_failure_rate
        if self._breaker.note_failure(decision.rule_id, limit):
            logger.warning(
                "Rule %s is suspended for a while: its target keeps failing (%s)", decision.rule_id, error_type
            )

    def resume_after_fork(self) -> None:
        """Begin anew in a forked child, where the parent's threads do not exist and its locks may be held."""
        self._breaker, self._budget = Breaker(), ShadowBudget()
        self._conversations = KnownConversations()
        self._stopped = threading.Event()
        self._start_polling()


def _by_model(request: Request, policy: Policy) -> Request:
    """`request` under the name of the model it is for, where the policy knows that of the deployment it asks for."""
    if not policy.deployments:
        return request
    model = policy.deployments.model_of(request.provider, request.model)
    return request if model == request.model else replace(request, model=model)


class KnownConversations:
    """The model each recent conversation is on, for at most `MAX_CONVERSATIONS`; the least recent go first."""

    def __init__(self, limit: int = MAX_CONVERSATIONS) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._models: OrderedDict[str, str] = OrderedDict()

    @property
    def models(self) -> Mapping[str, str]:
        """`conversation_key` → model."""
        return self._models

    def note(self, key: str, model: str) -> None:
        with self._lock:
            self._models[key] = model
            self._models.move_to_end(key)
            if len(self._models) > self._limit:
                self._models.popitem(last=False)


_running: weakref.WeakSet[Router] = weakref.WeakSet()


def _resume_in_child() -> None:
    for router in list(_running):
        router.resume_after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_resume_in_child)
