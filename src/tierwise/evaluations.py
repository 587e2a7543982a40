"""Scores for answers: checks that run in the background, and feedback from whoever used an answer.

    @tierwise.check("invoice-extraction")
    def totals_add_up(request: dict, answer: Answer) -> bool | float | None: ...

    tierwise.feedback(response, score=1.0, label="accepted")

Each score leaves as a `gen_ai.evaluation.result` event that belongs to the span of the call it is about. Nothing here
raises in the user's process, and a check never runs on the thread that made the call.
"""

from __future__ import annotations

import atexit
import inspect
import logging
import math
import os
import threading
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from tierwise import settings
from tierwise.background import BackgroundWorker, Job
from tierwise.call import Evaluation
from tierwise.checks import Answer, context_of, run
from tierwise.checks.registered import register_function
from tierwise.evaluation_export import EvaluationExport, warm_up
from tierwise.firewall import firewall

if TYPE_CHECKING:
    from opentelemetry._logs import LoggerProvider
    from opentelemetry.trace import SpanContext

logger = logging.getLogger("tierwise")

MAX_QUEUED_ANSWERS = 1_000
_LAST_CHECKS_S = 5.0
_STRUCTURAL_CHECK_S = 1.0
SLOW_CHECK_S = 5.0
"""A check that takes longer is named once in the log: later answers wait for it, and are dropped when too many do."""


CheckFunction = Callable[[dict[str, Any], Answer], "bool | float | None"]
"""Request body and answer → True or 1.0 for good, False or 0.0 for bad, None to abstain."""

_F = TypeVar("_F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class _Check:
    name: str
    function: CheckFunction


_checks: dict[str, tuple[_Check, ...]] = {}
"""By id or name of the use case."""
_worker = BackgroundWorker("tierwise-checks", max_queued=MAX_QUEUED_ANSWERS)
_lock = threading.Lock()
_export: EvaluationExport | None = None
_structural: tuple[str, ...] = ()
"""Checks of every answer that need no function of the user's."""
_said: set[str] = set()
_closes_at_exit = False
_warmed_up = False


def configure(with_settings: settings.Settings | None = None, *, logger_provider: LoggerProvider | None = None) -> None:
    """Say where evaluations go: to the collector of these settings, or through a given LoggerProvider.

    Without it, the settings are read from the environment when the first evaluation leaves.
    """
    global _export, _structural
    in_force = with_settings or settings.load()
    with _lock:
        previous = _export
        _export = EvaluationExport(in_force, logger_provider=logger_provider)
        _structural = in_force.structural_checks
    if previous is not None:
        previous.close(timeout_s=1.0)


@contextmanager
def leaving_through(logger_provider: LoggerProvider, structural: tuple[str, ...] = ()) -> Generator[None]:
    """Have evaluations leave through this provider inside the block, and answers scored by these checks, for tests."""
    global _export, _structural
    with _lock:
        outside, outside_structural = _export, _structural
        _export, _structural = EvaluationExport(settings.Settings(), logger_provider=logger_provider), structural
    try:
        yield
    finally:
        drain(_LAST_CHECKS_S)
        with _lock:
            _export, _structural = outside, outside_structural


def _exporting() -> EvaluationExport:
    global _export
    _close_at_exit()
    with _lock:
        if _export is None:
            _export = EvaluationExport(settings.load())
        return _export


def _close_at_exit() -> None:
    global _closes_at_exit
    if not _closes_at_exit:
        _closes_at_exit = True
        atexit.register(close)


def close(timeout_s: float = 2.0) -> None:
    """Run what is scheduled and deliver what was scored, within `timeout_s`; called when the process ends."""
    _worker.drain(timeout_s / 2)
    if _export is not None:
        _export.close(timeout_s / 2)


def _begin_in_child() -> None:
    global _lock, _export
    _lock = threading.Lock()
    _export = _export.renewed() if _export is not None else None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_in_child)


# --- checks -----------------------------------------------------------------------------------------------------------


def check(use_case: str, *, name: str | None = None, blocking: bool = False) -> Callable[[_F], _F]:
    """Register a check of every answer of a use case; a decorator that gives the function back as it is.

    Args:
        use_case: its name or id.
        name: what the scores are called, by default the function's name. Scores of one name are compared.
        blocking: rules that check for `contradiction` ask the function, too, before an answer is handed out, and wait
            for it no longer than their time limit.

    The function gets the request body and the `Answer` and gives True, False, a score in [0, 1], or None to abstain.
    """

    def register(function: _F) -> _F:
        if not callable(function) or inspect.iscoroutinefunction(function):
            _say_once(f"check {use_case}", "A check of use case %r is not a plain function and is ignored", use_case)
            return function
        label = name or getattr(function, "__name__", type(function).__name__)
        others = tuple(other for other in _checks.get(use_case, ()) if other.name != label)
        _checks[use_case] = (*others, _Check(label, function))
        if blocking:
            register_function(use_case, label, function)
        _warm_up()
        return function

    return register


def _warm_up() -> None:
    """Have the exporter imported in the background by the time the first answer is there."""
    global _warmed_up
    if not _warmed_up:
        _warmed_up = True
        _worker.submit(Job("importing the exporter of evaluations", warm_up))


def _checks_of(use_case_id: str, use_case_name: str | None) -> tuple[_Check, ...]:
    by_id = _checks.get(use_case_id, ())
    if use_case_name is None or use_case_name == use_case_id:
        return by_id
    return by_id + _checks.get(use_case_name, ())


def has_check(use_case_id: str, use_case_name: str | None) -> bool:
    """Whether an answer of this use case would be checked."""
    return bool(_structural) or (bool(_checks) and bool(_checks_of(use_case_id, use_case_name)))


def structural_checks() -> tuple[str, ...]:
    """Names of the checks that every answer is scored by."""
    return _structural


def schedule(
    request_body: Mapping[str, Any],
    answer: Answer,
    *,
    span_context: SpanContext,
    use_case_id: str,
    use_case_name: str | None,
    response_id: str | None,
) -> None:
    """Run the use case's checks, and the structural ones that are switched on, on an answer, in the background.

    Args:
        request_body: handed to the checks as it is; a snapshot, when the caller's lists may change later.
    """
    checks, structural = _checks_of(use_case_id, use_case_name), _structural
    if not checks and not structural:
        return

    def run_checks() -> None:
        if structural:
            context = context_of(use_case_id=use_case_id, use_case_name=use_case_name)
            for verdict in run(structural, request_body, answer, timeout_s=_STRUCTURAL_CHECK_S, context=context):
                if verdict.passed is not None:
                    score, label = _score(verdict.passed)
                    emit(
                        _evaluation(
                            verdict.check,
                            "structural",
                            score,
                            label,
                            span_context,
                            explanation=verdict.reason or None,
                            response_id=response_id,
                        )
                    )
        for one in checks:
            evaluation = _evaluate(one, dict(request_body), answer, span_context, response_id)
            if evaluation is not None:
                emit(evaluation)

    with firewall("scheduling a check"):
        _close_at_exit()
        name = f"check {checks[0].name if checks else structural[0]} of use case {use_case_name or use_case_id}"
        if not _worker.submit(Job(name, run_checks)):
            busy = _worker.running()
            _say_once(
                "queue full",
                "Answers wait for checks faster than checks run; some are not checked (running: %s)",
                f"{busy[0]}, for {busy[1]:.0f} s" if busy else "none",
            )


def dropped_answers() -> int:
    """Answers that were not checked because too many were waiting."""
    return _worker.dropped


def _evaluate(
    one: _Check, request_body: dict[str, Any], answer: Answer, span_context: SpanContext, response_id: str | None
) -> Evaluation | None:
    began_s = time.monotonic()
    try:
        value = one.function(request_body, answer)
    except Exception as error:
        _say_once(f"raised {one.name}", "Check %r raised %s; its answers have no score", one.name, type(error).__name__)
        logger.debug("Check %r raised", one.name, exc_info=True)
        return None
    took_s = time.monotonic() - began_s
    if took_s > SLOW_CHECK_S:
        _say_once(f"slow {one.name}", "Check %r took %.1f s; other answers wait for it", one.name, took_s)
    score, label = _score(value)
    if value is not None and score is None:
        kind = type(value).__name__
        _say_once(
            f"score {one.name}", "Check %r gave a %s; a bool, a number from 0 to 1 or None is needed", one.name, kind
        )
        return None
    return _evaluation(one.name, "check", score, label, span_context, response_id=response_id)


def _score(value: Any) -> tuple[float | None, str | None]:
    """A check's or a person's verdict as score and label; no score for what is not one."""
    if type(value).__module__ == "numpy" and callable(getattr(value, "item", None)):
        value = value.item()
    if value is None:
        return None, "abstained"
    if isinstance(value, bool):
        return (1.0, "pass") if value else (0.0, "fail")
    if isinstance(value, int | float) and math.isfinite(value) and 0 <= value <= 1:
        return float(value), None
    return None, None


# --- feedback ---------------------------------------------------------------------------------------------------------


def feedback(
    target: Any = None,
    *,
    score: float | None = None,
    label: str | None = None,
    comment: str | None = None,
    name: str = "feedback",
) -> None:
    """Say how good an answer was: a thumb, a rating, an accepted suggestion.

    Args:
        target: the answer meant: a span or its SpanContext, an SDK response (known by its `id`), a response id, or
            None for the span that is current.
        score: in [0, 1], 1 is good. Something else is logged and ignored.
        label: such as "accepted".
        comment: in the person's own words; leaves the process, like everything given here.
        name: what was judged, when there is more than one thing.
    """
    with firewall("recording feedback"):
        value, _ = _score(score)
        if score is not None and value is None:
            _say_once("feedback score", "feedback(score=%r) is ignored: a score from 0 to 1 is needed", score)
            return
        if score is None and label is None and comment is None:
            _say_once("feedback empty", "feedback() is ignored: give a score, a label or a comment")
            return
        found = _target(target)
        if found is None:
            _say_once(
                "feedback target",
                "feedback(%s) is ignored: a span, an SDK response or a response id is needed, or a current span",
                type(target).__name__,
            )
            return
        span_context, response_id = found
        emit(_evaluation(name, "feedback", value, label, span_context, explanation=comment, response_id=response_id))


def _target(target: Any) -> tuple[SpanContext, str | None] | None:
    """The span and the response id that `target` stands for; None when it stands for neither."""
    from opentelemetry import trace

    if isinstance(target, trace.Span):
        target = target.get_span_context()
    if isinstance(target, trace.SpanContext):
        return (target, None) if target.is_valid else None
    current = trace.get_current_span().get_span_context()
    if target is None:
        return (current, None) if current.is_valid else None
    response_id = target if isinstance(target, str) else getattr(target, "id", None)
    return (current, response_id) if isinstance(response_id, str) and response_id else None


# --- out --------------------------------------------------------------------------------------------------------------


def _evaluation(
    name: str,
    source: Literal["structural", "check", "feedback"],
    score: float | None,
    label: str | None,
    span_context: SpanContext,
    *,
    response_id: str | None,
    explanation: str | None = None,
) -> Evaluation:
    known = span_context.is_valid
    return Evaluation(
        trace_id=f"{span_context.trace_id:032x}" if known else "",
        span_id=f"{span_context.span_id:016x}" if known else "",
        name=name,
        source=source,
        score=score,
        time_ns=time.time_ns(),
        label=label,
        explanation=explanation,
        response_id=response_id,
    )


def emit(evaluation: Evaluation) -> None:
    """Send one evaluation on its way; an empty `trace_id` means the call is known by its response id alone."""
    with firewall("sending an evaluation"):
        _exporting().emit(evaluation)


def drain(timeout_s: float) -> bool:
    """Wait until every scheduled check has run and its scores are delivered; False when `timeout_s` went by before."""
    until_s = time.monotonic() + timeout_s
    if not _worker.drain(timeout_s):
        return False
    delivered: list[bool] = []

    def flush() -> None:
        export = _export
        delivered.append(export is None or export.flush())

    # The exporter's flush takes no limit, so it runs behind the checks and is waited for from here.
    _worker.submit(Job("delivering evaluations", flush))
    return _worker.drain(max(0.0, until_s - time.monotonic())) and delivered == [True]


def _say_once(what: str, message: str, *details: object) -> None:
    """One WARNING for each `what`; a loop of a thousand calls is no reason for a thousand lines."""
    if what not in _said:
        _said.add(what)
        logger.warning(message, *details)
