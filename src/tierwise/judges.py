"""Judges of pairs: which of two answers to the same request is better, asked blind and in both orders.

    @tierwise.judge("support-replies")
    def better_reply(request: dict, a: Answer, b: Answer) -> Literal["a", "b", "tie"] | None: ...

A judge sees pairs of answers where they are made, in the user's process, so that no text has to leave it. It never
learns which model wrote which, and a verdict that changes with the order is a tie. The scores of both answers leave as
`gen_ai.evaluation.result` events with the source `judge`. Calls to a model that a judge makes are calls of the user's:
they count under the use case "judge of NAME", and are neither routed nor shadowed.
"""

from __future__ import annotations

import inspect
import logging
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar, get_args

from tierwise import evaluations
from tierwise.background import BackgroundWorker, Job
from tierwise.call import Evaluation
from tierwise.context import use_case as declared_use_case
from tierwise.evaluations import Answer
from tierwise.firewall import firewall

if TYPE_CHECKING:
    from opentelemetry.trace import SpanContext

logger = logging.getLogger("tierwise")

MAX_WAITING = 200
"""Pairs that may wait for judges; those that find the queue full are dropped and counted."""
SLOW_JUDGE_S = 30.0
"""A judge that takes longer for a pair is named once in the log."""
JUDGE_OF = "judge of "
"""Before the use case's name: the use case that a judge's own calls count under."""

Verdict = Literal["a", "b", "tie"]
JudgeFunction = Callable[[dict[str, Any], Answer, Answer], "Verdict | None"]
"""Request body, one answer, the other → which is better, or None to abstain."""
Outcome = Literal["win", "tie", "loss"]

_F = TypeVar("_F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class _Judge:
    name: str
    function: JudgeFunction


class JudgedAnswer(NamedTuple):
    """One of the two answers of a pair, and the call it is of."""

    answer: Answer
    span_context: SpanContext
    response_id: str | None


_judges: dict[str, tuple[_Judge, ...]] = {}
"""By id or name of the use case."""
_worker = BackgroundWorker("tierwise-judges", max_queued=MAX_WAITING)
_is_judging: ContextVar[bool] = ContextVar("tierwise_judging", default=False)
_said: set[str] = set()


def judge(use_case: str, *, name: str | None = None) -> Callable[[_F], _F]:
    """Register a judge of a use case's pairs; a decorator that gives the function back as it is.

    Args:
        use_case: its name or id.
        name: what the scores are called, by default the function's name. Scores of one name are compared.

    The function gets the request body and two answers, without the names of their models, and says "a", "b" or "tie",
    or None to abstain. It is called twice a pair, the answers exchanged, on a thread of tierwise's.
    """

    def register(function: _F) -> _F:
        if not callable(function) or inspect.iscoroutinefunction(function):
            _say_once(f"judge {use_case}", "A judge of use case %r is not a plain function and is ignored", use_case)
            return function
        label = name or getattr(function, "__name__", type(function).__name__)
        others = tuple(other for other in _judges.get(use_case, ()) if other.name != label)
        _judges[use_case] = (*others, _Judge(label, function))
        return function

    return register


def _judges_of(use_case_id: str, use_case_name: str | None) -> tuple[_Judge, ...]:
    by_id = _judges.get(use_case_id, ())
    if use_case_name is None or use_case_name == use_case_id:
        return by_id
    return by_id + _judges.get(use_case_name, ())


def has_judge(use_case_id: str, use_case_name: str | None) -> bool:
    """Whether pairs of this use case would be judged."""
    return bool(_judges) and bool(_judges_of(use_case_id, use_case_name))


def is_judging() -> bool:
    """Whether this code runs in a judge, so that its calls are left to the model they ask for."""
    return _is_judging.get()


def schedule(
    request_body: Mapping[str, Any],
    strong: JudgedAnswer,
    weak: JudgedAnswer,
    *,
    use_case_id: str,
    use_case_name: str | None,
) -> None:
    """Have the use case's judges compare a pair, in the background.

    Args:
        request_body: handed to the judges as it is; a snapshot, when the caller's lists may change later.
    """
    judges = _judges_of(use_case_id, use_case_name)
    if not judges:
        return

    def run_judges() -> None:
        for one in judges:
            with _judging(use_case_name or use_case_id):
                outcomes = _compare(one, request_body, strong.answer, weak.answer)
            if outcomes is not None:
                for evaluation in _evaluations(one.name, outcomes, strong, weak):
                    evaluations.emit(evaluation)

    with firewall("scheduling a judge"):
        if not _worker.submit(Job(f"judge {judges[0].name} of use case {use_case_name or use_case_id}", run_judges)):
            _say_once("queue full", "Pairs wait for judges faster than judges decide; some are not judged")


@contextmanager
def _judging(use_case: str) -> Generator[None]:
    """Mark the calls that are made inside as a judge's own."""
    token = _is_judging.set(True)
    try:
        with declared_use_case(f"{JUDGE_OF}{use_case}", task="judge"):
            yield
    finally:
        _is_judging.reset(token)


def _compare(
    one: _Judge, request_body: Mapping[str, Any], strong: Answer, weak: Answer
) -> tuple[Outcome, Outcome] | None:
    """What came of the weak answer shown first and shown second; None when the judge failed or abstained."""
    blind = tuple(replace(answer, model=None, raw=None) for answer in (strong, weak))
    request = {key: value for key, value in request_body.items() if key != "model"}
    began_s = time.monotonic()
    outcomes: list[Outcome] = []
    for a, b, weak_is in ((blind[1], blind[0], "a"), (blind[0], blind[1], "b")):
        try:
            verdict = one.function(dict(request), a, b)
        except Exception as error:
            _say_once(
                f"raised {one.name}", "Judge %r raised %s; its pairs have no score", one.name, type(error).__name__
            )
            logger.debug("Judge %r raised", one.name, exc_info=True)
            return None
        if verdict is None:
            return None
        if verdict not in get_args(Verdict):
            _say_once(f"verdict {one.name}", 'Judge %r said %r; "a", "b", "tie" or None is needed', one.name, verdict)
            return None
        outcomes.append("tie" if verdict == "tie" else "win" if verdict == weak_is else "loss")
    took_s = time.monotonic() - began_s
    if took_s > SLOW_JUDGE_S:
        _say_once(f"slow {one.name}", "Judge %r took %.0f s for a pair; other pairs wait for it", one.name, took_s)
    return outcomes[0], outcomes[1]


def _evaluations(
    name: str, weak_outcomes: tuple[Outcome, Outcome], strong: JudgedAnswer, weak: JudgedAnswer
) -> tuple[Evaluation, Evaluation]:
    """The scores of both answers. A tie, and a verdict that changed with the order, scores both 1, as two answers that
    a person calls good; the label keeps what was said when the answer was shown first and when second."""
    opposite: dict[Outcome, Outcome] = {"win": "loss", "tie": "tie", "loss": "win"}
    first, second = weak_outcomes
    agreed: Outcome = first if first == second else "tie"
    time_ns = time.time_ns()

    def evaluation(judged: JudgedAnswer, score: float, label: str) -> Evaluation:
        return Evaluation(
            trace_id=f"{judged.span_context.trace_id:032x}",
            span_id=f"{judged.span_context.span_id:016x}",
            name=name,
            source="judge",
            score=score,
            time_ns=time_ns,
            label=label,
            response_id=judged.response_id,
        )

    return (
        # The weak answer was shown second where the strong one was shown first.
        evaluation(strong, float(agreed != "win"), f"{opposite[second]}/{opposite[first]}"),
        evaluation(weak, float(agreed != "loss"), f"{first}/{second}"),
    )


def drain(timeout_s: float) -> bool:
    """Wait until every scheduled pair has been judged; False when `timeout_s` went by before."""
    return _worker.drain(timeout_s)


def dropped_pairs() -> int:
    """Pairs that were not judged because too many were waiting."""
    return _worker.dropped


def _say_once(what: str, message: str, *details: object) -> None:
    """One WARNING for each `what`."""
    if what not in _said:
        _said.add(what)
        logger.warning(message, *details)
