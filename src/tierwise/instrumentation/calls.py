"""One call, from the SDK's `request` and back: read it, decide about it, let the SDK make it, watch its answer.

The SDK call stands alone in its `try`. What is ours runs before and after it, each step in a `try` of its own, so that
no function of ours that raises is between the user and their answer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from opentelemetry import context as otel_context

from tierwise import evaluations, judges
from tierwise.call import Decision
from tierwise.firewall import firewall, swallow
from tierwise.instrumentation import cascade, speculation
from tierwise.instrumentation.answers import watch
from tierwise.instrumentation.arguments import Arguments
from tierwise.instrumentation.attempts import Ladder
from tierwise.instrumentation.late import LateCall
from tierwise.instrumentation.observation import BeingMade, Observation, error_type
from tierwise.instrumentation.request import Outgoing, at_deployment, is_repeatable, read_outgoing, with_body
from tierwise.instrumentation.runtime import Runtime
from tierwise.instrumentation.sdk import Sdk, Surface
from tierwise.instrumentation.shadow_call import Repeat
from tierwise.instrumentation.streams import hide_usage
from tierwise.routing import compat
from tierwise.routing.deployments import Deployments

_SUPPRESSED_KEYS = (
    "suppress_instrumentation",
    getattr(otel_context, "_SUPPRESS_INSTRUMENTATION_KEY", "suppress_instrumentation"),
)
"""Context keys by which somebody asks instrumentation to keep out: by hand, and as the OpenTelemetry SDK does."""


class Prepared(NamedTuple):
    """An observed call, and what to send."""

    observation: Observation
    arguments: Arguments
    fallback: Arguments | None
    """As the user wrote it, for when the routed model fails; None for a call that was not routed."""
    hides_usage: bool
    is_async: bool
    being_made: BeingMade
    """Entered, and to be left when the SDK has made the call."""


def call(
    runtime: Runtime, sdk: Sdk, wrapped: Callable[..., Any], client: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Make a call through a sync client."""
    prepared = late_call = None
    try:
        prepared = _prepare(runtime, sdk, wrapped, client, Arguments(args, kwargs), is_async=False)
        if prepared is None:
            late_call = _late_call(runtime, sdk, client, Arguments(args, kwargs))
    except Exception as error:
        swallow("reading a request", error)
    if isinstance(prepared, Ladder):
        return (cascade if prepared.patience_s is None else speculation).call(prepared, wrapped)
    arguments = Arguments(args, kwargs) if prepared is None else prepared.arguments
    while True:
        try:
            answer = wrapped(*arguments.args, **arguments.kwargs)
            break
        except BaseException as error:
            if prepared is None:
                raise
            again = prepared.fallback if isinstance(error, Exception) and arguments is not prepared.fallback else None
            try:
                again = _failed(runtime, sdk, prepared, again, error)
            except Exception as own_error:
                swallow("recording a failed call", own_error)
            if again is None:
                raise
            arguments = again
    try:
        if prepared is not None:
            _answered(runtime, prepared, answer)
        elif late_call is not None:
            late_call.answered(answer, is_async=False)
    except Exception as error:
        swallow("reading an answer", error)
        if prepared is not None and prepared.hides_usage:
            hide_usage(answer, is_async=False)
    return answer


async def call_async(
    runtime: Runtime, sdk: Sdk, wrapped: Callable[..., Any], client: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Make a call through an async client."""
    prepared = late_call = None
    try:
        prepared = _prepare(runtime, sdk, wrapped, client, Arguments(args, kwargs), is_async=True)
        if prepared is None:
            late_call = _late_call(runtime, sdk, client, Arguments(args, kwargs))
    except Exception as error:
        swallow("reading a request", error)
    if isinstance(prepared, Ladder):
        return await (cascade if prepared.patience_s is None else speculation).call_async(prepared, wrapped)
    arguments = Arguments(args, kwargs) if prepared is None else prepared.arguments
    while True:
        try:
            answer = await wrapped(*arguments.args, **arguments.kwargs)
            break
        except BaseException as error:
            if prepared is None:
                raise
            again = prepared.fallback if isinstance(error, Exception) and arguments is not prepared.fallback else None
            try:
                again = _failed(runtime, sdk, prepared, again, error)
            except Exception as own_error:
                swallow("recording a failed call", own_error)
            if again is None:
                raise
            arguments = again
    try:
        if prepared is not None:
            _answered(runtime, prepared, answer)
        elif late_call is not None:
            late_call.answered(answer, is_async=True)
    except Exception as error:
        swallow("reading an answer", error)
        if prepared is not None and prepared.hides_usage:
            hide_usage(answer, is_async=True)
    return answer


# --- before -----------------------------------------------------------------------------------------------------------


def _prepare(
    runtime: Runtime, sdk: Sdk, wrapped: Callable[..., Any], client: Any, arguments: Arguments, *, is_async: bool
) -> Prepared | Ladder | None:
    """The call as it will be made; None for one that is not billable, or that somebody asked us to leave alone."""
    original, options = arguments, arguments.options
    surface = sdk.surface(options)
    if surface is None or _is_suppressed():
        return None
    stream = bool(arguments.kwargs.get("stream"))
    outgoing = read_outgoing(sdk, surface, client, options, stream=stream, tenant=runtime.settings.tenant)
    request = outgoing.request
    decision = _decide(runtime, surface, outgoing)
    body, fallback = request.body, None
    if asks := _asks_for_usage(runtime, surface, outgoing):
        body = {**body, "stream_options": {"include_usage": True}}
        arguments = arguments.with_options(with_body(options, body))
    checked = evaluations.has_check(request.use_case_id, request.use_case_name)
    if decision is not None and (escalation := decision.escalation) is not None:
        return Ladder(
            runtime,
            sdk,
            surface,
            outgoing,
            decision,
            escalation,
            original=original,
            arguments=arguments,
            hides_usage=asks,
            checked=checked,
            is_async=is_async,
        )
    if decision is not None and decision.changed:
        fallback = arguments
        name = runtime.deployment(request.provider, decision.sent_model)
        routed = compat.adapt(body, decision.sent_model, provider=request.provider, deployment=name)
        arguments = arguments.with_options(at_deployment(with_body(options, routed), outgoing.endpoint, name))
    judged = judges.has_judge(request.use_case_id, request.use_case_name)
    observation = Observation(
        runtime,
        surface,
        outgoing,
        decision,
        sent_model=request.model if decision is None else decision.sent_model,
        checked=checked,
        repeat=None if decision is None else Repeat(wrapped, options, is_async=is_async),
    )
    observation.keeps_text |= judged
    being_made = observation.being_made()
    being_made.__enter__()
    return Prepared(observation, arguments, fallback, asks, is_async, being_made)


def _late_call(runtime: Runtime, sdk: Sdk, client: Any, arguments: Arguments) -> LateCall | None:
    """A request whose answer may say what something ordered earlier has cost; None for all the rest."""
    reader = sdk.late_reader(arguments.options)
    if reader is None or _is_suppressed():
        return None
    return LateCall(runtime, sdk, client, reader)


def _is_suppressed() -> bool:
    context = otel_context.get_current()
    return bool(context) and any(context.get(key) for key in _SUPPRESSED_KEYS)


def _decide(runtime: Runtime, surface: Surface, outgoing: Outgoing) -> Decision | None:
    router = runtime.router
    if router is None or (policy := router.policy) is None or judges.is_judging():
        return None
    model = outgoing.request.model
    if (reason := _unroutable(surface, outgoing, policy.deployments)) is not None:
        return Decision(model, model, policy.version, decision="refused", reason=reason)
    return router.decide(outgoing.request)


def _unroutable(surface: Surface, outgoing: Outgoing, deployments: Deployments) -> str | None:
    """Why no other model can be asked, whatever the policy says; None when one can."""
    if not surface.routable:
        return "the result means something to this model only"
    if outgoing.endpoint.deployment is not None and outgoing.request.provider not in deployments.names:
        return "the client is bound to one deployment, and the policy's [deployments] names no other"
    if "model" not in outgoing.request.body:
        return "the request names no model"
    if not is_repeatable(outgoing.request.body):
        # A fallback would find the iterator used up.
        return "the request can be sent only once: it holds an iterator"
    return None


def _asks_for_usage(runtime: Runtime, surface: Surface, outgoing: Outgoing) -> bool:
    """Whether to ask for usage on the user's behalf; someone who reads raw events would see the difference."""
    request = outgoing.request
    return (
        request.stream
        and surface.usage_on_request
        and outgoing.mode == "parsed"
        and outgoing.endpoint.reports_stream_usage
        and runtime.settings.inject_usage
        and "model" in request.body
        and "stream_options" not in request.body
    )


# --- after ------------------------------------------------------------------------------------------------------------


def _failed(
    runtime: Runtime, sdk: Sdk, prepared: Prepared, fallback: Arguments | None, error: BaseException
) -> Arguments | None:
    """The SDK raised: what to try instead, or None when the error is the user's to see."""
    observation = prepared.observation
    if fallback is not None and observation.decision is not None:
        # An answer that the SDK cannot read, or not make the caller's own type of, is the target's as well.
        with firewall("recording a fallback"):
            if runtime.router is not None and sdk.is_api_error(error):
                runtime.router.note_failure(observation.decision, error_type(error))
            observation.fell_back(error)
        return fallback
    prepared.being_made.__exit__()
    observation.finish(None, error)
    return None


def _answered(runtime: Runtime, prepared: Prepared, answer: Any) -> None:
    """Have the answer read or watched."""
    prepared.being_made.__exit__()
    if prepared.fallback is not None and runtime.router is not None:
        decision = prepared.observation.decision
        if decision is not None and decision.changed:
            runtime.router.note_success(decision)
    try:
        watch(prepared.observation, answer, hides_usage=prepared.hides_usage, is_async=prepared.is_async)
    except Exception:
        prepared.observation.finish(None)
        raise
