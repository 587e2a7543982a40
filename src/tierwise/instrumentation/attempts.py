"""The attempts at one call: the models a cascade or a speculative rule puts it to, and what becomes of each answer.

Every attempt is a call with a span, usage and cost of its own. The caller gets the answer of one of them; the others
are recorded with the reason why not.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any, Final

from tierwise import checks
from tierwise.call import Attempt, Decision, Escalation
from tierwise.checks.answer import REFUSED_REASONS
from tierwise.firewall import firewall
from tierwise.instrumentation.answers import body_to_come, watch, whole_reply
from tierwise.instrumentation.arguments import Arguments
from tierwise.instrumentation.observation import Observation, call_id, error_type
from tierwise.instrumentation.request import Outgoing, at_deployment, with_body
from tierwise.instrumentation.runtime import Runtime
from tierwise.instrumentation.sdk import Reply, Sdk, Surface
from tierwise.instrumentation.streams import hide_usage
from tierwise.routing import compat

NOTHING: Final[Any] = object()
"""In place of an answer, when an attempt has none for the caller."""

_FOUND = {True: "passed", False: "failed", None: "undecided"}


class Ladder:
    """One call under a rule of several models, and how far up it has come."""

    def __init__(
        self,
        runtime: Runtime,
        sdk: Sdk,
        surface: Surface,
        outgoing: Outgoing,
        decision: Decision,
        escalation: Escalation,
        *,
        original: Arguments,
        arguments: Arguments,
        hides_usage: bool,
        checked: bool,
        is_async: bool,
    ) -> None:
        """
        Args:
            original: as the user wrote them.
            arguments: the same, asking for a stream's usage where that is done; what the requested model is sent.
            checked: whether the user checks answers of this use case.
        """
        self.runtime, self.sdk, self.surface, self.outgoing = runtime, sdk, surface, outgoing
        self.decision, self.escalation = decision, escalation
        self.original, self.arguments = original, arguments
        self.hides_usage, self.checked, self.is_async = hides_usage, checked, is_async
        self.models = (decision.sent_model, *escalation.models)
        self.patience_s = escalation.patience_s
        self.place = 0
        """Of the next attempt's model among `models`."""
        self.rejection: tuple[str, str] | None = None
        """By what the latest attempt was rejected, and that in words."""
        self.called_s = time.perf_counter()
        self._first: Observation | None = None
        self._number = 0

    def next(self) -> Rung:
        """Begin the next attempt, with the next model."""
        place = min(self.place, len(self.models) - 1)
        self.place = place + 1
        return Rung(self, place, self._observe(self.models[place], self._decision(place)))

    def give_up(self) -> None:
        """Let the requested model be the next."""
        self.place = len(self.models) - 1

    def sample(self, rung: Rung) -> Rung:
        """Begin one more attempt with a model that has answered, to compare the answers."""
        return Rung(
            self, rung.place, self._observe(self.models[rung.place], self._decision(rung.place)), sample_of=rung
        )

    def _observe(self, model: str, decision: Decision) -> Observation:
        first = self._first
        observation = Observation(
            self.runtime,
            self.surface,
            self.outgoing,
            decision,
            sent_model=model,
            checked=self.checked,
            first_attempt=None if first is None else first.span.get_span_context(),
        )
        if first is None:
            self._first = first = observation
        self._number += 1
        observation.called_s = self.called_s
        observation.attempt = Attempt(
            of=call_id(first.span.get_span_context()),
            number=self._number,
            started_after_s=round(observation.started_s - self.called_s, 6),
        )
        return observation

    def _decision(self, place: int) -> Decision:
        if place == 0 or self.rejection is None:
            return replace(self.decision, escalation=None)
        by, reason = self.rejection
        return replace(
            self.decision,
            sent_model=self.models[place],
            # What failed to answer counts against the rule; an answer that did not pass is what the rule is made for.
            decision="fell_back" if by == "error" else "escalated",
            reason=reason,
            escalation=None,
        )

    def arguments_for(self, place: int) -> Arguments:
        """What the SDK is called with for the model at `place`."""
        if place == len(self.models) - 1:
            return self.arguments
        request, options = self.outgoing.request, self.arguments.options
        name = self.runtime.deployment(request.provider, self.models[place])
        body = options.json_data if self.hides_usage else request.body
        adapted = compat.adapt(body, self.models[place], provider=request.provider, deployment=name)
        changed = at_deployment(with_body(options, adapted), self.outgoing.endpoint, name)
        # Another model is waiting to be asked, which is better than asking this one again.
        changed.max_retries = 0
        # The key would tie this answer to the next model's.
        changed.idempotency_key = None
        if self.parses:
            changed.post_parser = type(options).model_fields["post_parser"].default
        return self.arguments.with_options(changed)

    @property
    def parses(self) -> bool:
        """Whether the SDK makes something else of the answer, such as a model of the user's, before it hands it out.

        That is done once the answer is accepted: where it fails, the answer that it failed on would be lost to us.
        """
        options = self.arguments.options
        is_parsed = self.outgoing.mode == "parsed" and not self.outgoing.request.stream
        return is_parsed and callable(getattr(options, "post_parser", None))


class Rung:
    """One attempt."""

    def __init__(self, ladder: Ladder, place: int, observation: Observation, *, sample_of: Rung | None = None) -> None:
        self.ladder = ladder
        self.place = place
        self.is_last = place == len(ladder.models) - 1
        """The requested model: what it says is the caller's, an error too."""
        self.observation = observation
        self.is_overtaken = False
        """Another attempt's answer went to the caller, or is about to."""
        self.is_beside = False
        """Another attempt is under way, so that an error of this one may not be the last word."""
        self._sample_of = sample_of
        self._samples: list[checks.Answer] = []
        self._samples_wanted = 0
        if place == 0 and sample_of is None and "agreement" in ladder.escalation.checks:
            self._samples_wanted = ladder.escalation.samples - 1
        if not self.is_last:
            # The checks read it.
            observation.keeps_text = True
        self._being_made = observation.being_made()
        self._reply: Reply | None = None
        self._answer: Any = NOTHING

    @property
    def arguments(self) -> Arguments:
        return self.ladder.arguments_for(self.place)

    def enter(self) -> Arguments:
        """Make the attempt's span the current one; what to call the SDK with."""
        self._being_made.__enter__()
        return self.arguments

    def leave(self, answer: Any) -> Any:
        """The SDK has answered: the HTTP response that is still to be read before the checks; None without any."""
        self._being_made.__exit__()
        return None if self.is_last else body_to_come(self.observation, answer)

    def failed(self, error: BaseException) -> None:
        """The SDK raised, or the answer broke off while it was read."""
        self._being_made.__exit__()
        if self.is_overtaken:
            self.overtaken()
        elif not self.is_beside:
            self.erred(error, is_callers=self.is_last or not isinstance(error, Exception))

    def erred(self, error: BaseException, *, is_callers: bool) -> None:
        """Record the error that an attempt ended with, and whether the caller gets to see it."""
        if is_callers:
            self.observation.finish(None, error)
            return
        model = self.ladder.models[self.place]
        if not self.is_last and self.ladder.sdk.is_api_error(error) and self.ladder.runtime.router is not None:
            self.ladder.runtime.router.note_failure(self.ladder.decision, error_type(error))
        self._reject("error", f"{model} failed with {error_type(error)}", None, error)

    def stopped(self, error: BaseException) -> None:
        """Record that the caller left, with this attempt's answer still to come."""
        self.observation.finish(None, error)

    # --- judging ------------------------------------------------------------------------------------------------------

    def read(self, answer: Any) -> None:
        """Take in an answer that has arrived whole."""
        self._reply = whole_reply(self.observation, answer)
        self._answer = answer
        if self._reply.complete and self.ladder.runtime.router is not None:
            self.ladder.runtime.router.note_success(self.ladder.decision)

    @property
    def asks_user(self) -> bool:
        """Whether code of the user's takes part in judging the answer: functions, or a class with validators."""
        names = self.ladder.escalation.checks
        return "contradiction" in names or ("schema" in names and isinstance(self._context().schema, type))

    def judge(self) -> bool:
        """Whether the answer will do, by all but its agreement with others; one that will not is recorded as such."""
        reply = self._reply
        model = self.ladder.models[self.place]
        if reply is None or not reply.complete:
            self._reject("incomplete", f"the answer of {model} broke off", reply)
            return False
        if reply.error_type is not None:
            self._reject("error", f"{model} reported {reply.error_type}", reply)
            return False
        if self._sample_of is not None:
            self._sample_of._samples.append(as_answer(reply))
            self._reject("sample", f"made to compare another answer of {model} with", reply)
            return False
        names = tuple(name for name in self.ladder.escalation.checks if name != "agreement")
        return self._passes(names, reply)

    def next_sample(self) -> Rung | None:
        """Begin a further answer of the same model, where they are compared; None when there are enough."""
        if self._samples_wanted == 0:
            return None
        self._samples_wanted -= 1
        return self.ladder.sample(self)

    def settled(self) -> Any:
        """The answer as the caller gets it, after all that is to be said about it; `NOTHING` when it will not do."""
        reply = self._reply
        if reply is None or (self._samples and not self._passes(("agreement",), reply)) or not self._parse(reply):
            return NOTHING
        if self.ladder.hides_usage:
            hide_usage(self._answer, is_async=self.ladder.is_async)
        return self._answer

    def _passes(self, names: tuple[str, ...], reply: Reply) -> bool:
        """Whether the answer passes these checks; their findings are noted."""
        ladder, observation = self.ladder, self.observation
        verdicts = checks.run(
            names,
            ladder.outgoing.request.body,
            as_answer(reply),
            timeout_s=ladder.escalation.check_timeout_s,
            context=self._context(),
        )
        attempt = observation.attempt
        assert attempt is not None
        found = [*attempt.checks, *((verdict.check, _FOUND[verdict.passed]) for verdict in verdicts)]
        took_s = attempt.checks_s + sum(verdict.elapsed_s for verdict in verdicts)
        observation.attempt = replace(attempt, checks=tuple(sorted(found)), checks_s=round(took_s, 6))
        failed = next((verdict for verdict in verdicts if verdict.passed is False), None)
        if failed is None:
            return True
        model = ladder.models[self.place]
        self._reject(failed.check, f"{model} did not pass {failed.check}: {failed.reason or 'no reason given'}", reply)
        return False

    def _context(self) -> checks.CheckContext:
        request = self.ladder.outgoing.request
        return checks.context_of(
            use_case_id=request.use_case_id,
            use_case_name=request.use_case_name,
            task_type=request.task_type,
            samples=tuple(self._samples),
        )

    def _parse(self, reply: Reply) -> bool:
        """Have the SDK make of the answer what the caller asked for; whether it could."""
        if self.ladder.parses:
            try:
                self._answer = self.ladder.arguments.options.post_parser(self._answer)
            except Exception as error:  # noqa: BLE001 - the caller would get it; the next model may do better
                model = self.ladder.models[self.place]
                self._reject("schema", f"the SDK could not parse what {model} wrote: {error_type(error)}", reply)
                return False
        return True

    # --- what becomes of it -------------------------------------------------------------------------------------------

    def hand_out(self, answer: Any) -> None:
        """Record that the caller gets this answer."""
        self._being_made.__exit__()
        ladder, observation = self.ladder, self.observation
        if self.place > 0 and ladder.runtime.router is not None:
            with firewall("noting who answered a conversation"):
                ladder.runtime.router.note_answer(ladder.outgoing.request, ladder.models[self.place])
        if self.is_last:
            watch(observation, answer, hides_usage=ladder.hides_usage, is_async=ladder.is_async)
            return
        if ladder.outgoing.request.stream:
            assert observation.attempt is not None
            observation.attempt = replace(observation.attempt, buffered=True)
            observation.first_chunk_s = time.perf_counter() - ladder.called_s
        observation.finish(self._reply)

    def overtaken(self, answer: Any = NOTHING) -> None:
        """Record that another answer was there first; what this one costs counts, as far as it is known."""
        reply = self._reply
        if reply is None and answer is not NOTHING and not self.ladder.outgoing.request.stream:
            reply = whole_reply(self.observation, answer)
        model = self.ladder.models[self.place]
        self._reject("late", f"another answer was there before that of {model}", reply or Reply(complete=False))

    def discard(self, answer: Any) -> Any:
        """Record an answer that nobody waits for any more; the HTTP response to close, None without an open one."""
        self.overtaken(answer)
        return None if answer is NOTHING else body_to_come(self.observation, answer)

    def abandon(self) -> None:
        """End what an error of ours left open, and let the requested model be the next."""
        self.ladder.give_up()
        self._reject("error", "tierwise failed to look at the answer", self._reply)

    def _reject(self, by: str, reason: str, reply: Reply | None, error: BaseException | None = None) -> None:
        # Left already, but where an error of ours came between.
        self._being_made.__exit__()
        observation = self.observation
        if observation.is_finished:
            return
        assert observation.attempt is not None
        if self._sample_of is None and by != "late":
            self.ladder.rejection = (by, reason)
        observation.attempt = replace(observation.attempt, rejected_by=by, reason=reason)
        if observation.decision is not None:
            observation.decision = replace(observation.decision, decision="rejected")
        observation.finish(reply, error)


def as_answer(reply: Reply) -> checks.Answer:
    """A reply as the checks see it."""
    reason = reply.finish_reasons[0] if reply.finish_reasons else None
    return checks.Answer(
        text=reply.text,
        tool_calls=tuple(checks.ToolCall(call.name, call.arguments, call.id) for call in reply.tool_calls),
        finish_reason=reason,
        refused=reply.refused or reason in REFUSED_REASONS,
        model=reply.model,
    )
