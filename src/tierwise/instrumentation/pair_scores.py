"""Scores a pair where both answers are at hand: by the checks that need no reference, and by the user's judges.

In the background, and without a word of either answer leaving the process.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from tierwise import checks, evaluations, judges
from tierwise.background import BackgroundWorker, Job
from tierwise.call import Evaluation
from tierwise.firewall import firewall
from tierwise.judges import JudgedAnswer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.trace import SpanContext

    from tierwise.call import Request
    from tierwise.instrumentation.sdk import Reply

MAX_WAITING = 200
_NOT_STRUCTURAL = frozenset({"agreement", "contradiction"})
"""Checks that need further answers, or functions of the user's."""

_worker = BackgroundWorker("tierwise-pair-scores", max_queued=MAX_WAITING)


def judged_answer(reply: Reply, span_context: SpanContext) -> JudgedAnswer:
    """An answer, with its text, and the call it is of."""
    answer = evaluations.Answer(
        text=reply.text,
        tool_calls=reply.tool_calls,
        finish_reason=reply.finish_reasons[0] if reply.finish_reasons else None,
        refused=reply.refused,
        model=reply.model,
    )
    return JudgedAnswer(answer, span_context, reply.id)


def score_pair(request: Request, body: Mapping[str, Any], strong: JudgedAnswer | None, weak: JudgedAnswer) -> None:
    """Schedule what scores the two answers to a request.

    The checks look at the weak answer alone: they say when a cascade would have escalated it, and see too little of an
    answer to compare two.

    Args:
        body: the request body; a snapshot.
        strong: the user's answer, where its text was kept because somebody checks or judges the use case. None: there
            is nothing to compare with.
    """
    with firewall("scheduling the checks of a pair"):
        _worker.submit(Job("the checks of a pair", lambda: _check(request, body, weak)))
    if strong is not None:
        judges.schedule(body, strong, weak, use_case_id=request.use_case_id, use_case_name=request.use_case_name)


def _check(request: Request, body: Mapping[str, Any], judged: JudgedAnswer) -> None:
    context = checks.context_of(
        use_case_id=request.use_case_id, use_case_name=request.use_case_name, task_type=request.task_type
    )
    left_out = _NOT_STRUCTURAL.union(evaluations.structural_checks())
    names = [name for name in checks.KNOWN if name not in left_out]
    for verdict in checks.run(names, body, judged.answer, context=context):
        if verdict.passed is not None:
            evaluations.emit(
                Evaluation(
                    trace_id=f"{judged.span_context.trace_id:032x}",
                    span_id=f"{judged.span_context.span_id:016x}",
                    name=verdict.check,
                    source="structural",
                    score=float(verdict.passed),
                    time_ns=time.time_ns(),
                    label="pass" if verdict.passed else "fail",
                    explanation=verdict.reason or None,
                    response_id=judged.response_id,
                )
            )


def drain(timeout_s: float) -> bool:
    """Wait until every scheduled pair has been scored; False when `timeout_s` went by before."""
    until_s = time.monotonic() + timeout_s
    return _worker.drain(timeout_s) and judges.drain(max(0.0, until_s - time.monotonic()))
