"""What happens to a call once its answer is on its way to the user: checks, and a shadow call if one is drawn.

Both run in the background, on snapshots: the user may go on changing the lists they passed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tierwise import evaluations
from tierwise.firewall import firewall
from tierwise.instrumentation.pair_scores import judged_answer, score_pair
from tierwise.instrumentation.request import is_repeatable
from tierwise.instrumentation.sdk import Reply

if TYPE_CHECKING:
    from tierwise.instrumentation.observation import Observation
    from tierwise.instrumentation.runtime import Runtime


def follow_up(runtime: Runtime, observation: Observation, reply: Reply) -> None:
    """Schedule what the finished call asks for; costs next to nothing when that is nothing."""
    if observation.attempt is not None and observation.attempt.rejected_by is not None:
        # Nobody gets to see this answer.
        return
    request = observation.outgoing.request
    if observation.checked:
        with firewall("scheduling a check"):
            evaluations.schedule(
                snapshot(request.body),
                evaluations.Answer(
                    text=reply.text,
                    tool_calls=reply.tool_calls,
                    finish_reason=reply.finish_reasons[0] if reply.finish_reasons else None,
                    refused=reply.refused,
                    model=reply.model,
                ),
                span_context=observation.span.get_span_context(),
                use_case_id=request.use_case_id,
                use_case_name=request.use_case_name,
                response_id=reply.id,
            )
    if observation.shadow_of is not None:
        with firewall("scoring a pair"):
            weak = judged_answer(reply, observation.span.get_span_context())
            score_pair(request, snapshot(request.body), observation.shadow_of.answer, weak)
        return
    if runtime.router is None or observation.repeat is None or observation.decision is None:
        return
    with firewall("drawing a shadow call"):
        draw = runtime.router.shadow(request, observation.decision)
        if draw is not None and is_repeatable(request.body):
            strong = judged_answer(reply, observation.span.get_span_context()) if observation.keeps_text else None
            runtime.shadows.submit(runtime, observation, draw, strong)


def snapshot(value: Any) -> Any:
    """A copy of JSON-like data in which only the containers are new."""
    if isinstance(value, dict):
        return {key: snapshot(member) for key, member in value.items()}
    if isinstance(value, list | tuple):
        return [snapshot(member) for member in value]
    return value
