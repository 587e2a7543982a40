"""One call, from the SDK's `request` and back: read it, decide about it, let the SDK make it, watch its answer.

The SDK call stands alone in its `try`. What is ours runs before and after it, each step in a `try` of its own, so that
no function of ours that raises is between the user and their answer.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Literal, NamedTuple

from opentelemetry import context as otel_context

from tierwise import evaluations
from tierwise.call import Decision
from tierwise.firewall import firewall, swallow
from tierwise.instrumentation.bodies import DocumentReader, EventReader, read_along, read_document, watch_body
from tierwise.instrumentation.late import LateCall
from tierwise.instrumentation.observation import BeingMade, Observation, error_type
from tierwise.instrumentation.request import Outgoing, is_repeatable, read_outgoing, with_body
from tierwise.instrumentation.runtime import Runtime
from tierwise.instrumentation.sdk import Sdk, Surface, as_object
from tierwise.instrumentation.shadow_call import Repeat
from tierwise.instrumentation.streams import StreamWatch, hide_usage, watch_stream
from tierwise.routing import compat

_SUPPRESSED_KEYS = (
    "suppress_instrumentation",
    getattr(otel_context, "_SUPPRESS_INSTRUMENTATION_KEY", "suppress_instrumentation"),
)
"""Context keys by which somebody asks instrumentation to keep out: by hand, and as the OpenTelemetry SDK does."""


class Attempt(NamedTuple):
    """Arguments of the SDK's `request`."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]

    @property
    def options(self) -> Any:
        if "options" in self.kwargs:
            return self.kwargs["options"]
        return self.args[1] if len(self.args) > 1 else None

    def with_options(self, options: Any) -> Attempt:
        if "options" in self.kwargs:
            return Attempt(self.args, {**self.kwargs, "options": options})
        return Attempt((self.args[0], options, *self.args[2:]), self.kwargs)


class Prepared(NamedTuple):
    """An observed call, and what to send."""

    observation: Observation
    attempt: Attempt
    fallback: Attempt | None
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
        prepared = _prepare(runtime, sdk, wrapped, client, Attempt(args, kwargs), is_async=False)
        if prepared is None:
            late_call = _late_call(runtime, sdk, client, Attempt(args, kwargs))
    except Exception as error:
        swallow("reading a request", error)
    attempt = Attempt(args, kwargs) if prepared is None else prepared.attempt
    while True:
        try:
            answer = wrapped(*attempt.args, **attempt.kwargs)
            break
        except BaseException as error:
            if prepared is None:
                raise
            again = prepared.fallback if isinstance(error, Exception) and attempt is not prepared.fallback else None
            try:
                again = _failed(runtime, sdk, prepared, again, error)
            except Exception as own_error:
                swallow("recording a failed call", own_error)
            if again is None:
                raise
            attempt = again
    try:
        if prepared is not None:
            _answered(prepared, answer)
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
        prepared = _prepare(runtime, sdk, wrapped, client, Attempt(args, kwargs), is_async=True)
        if prepared is None:
            late_call = _late_call(runtime, sdk, client, Attempt(args, kwargs))
    except Exception as error:
        swallow("reading a request", error)
    attempt = Attempt(args, kwargs) if prepared is None else prepared.attempt
    while True:
        try:
            answer = await wrapped(*attempt.args, **attempt.kwargs)
            break
        except BaseException as error:
            if prepared is None:
                raise
            again = prepared.fallback if isinstance(error, Exception) and attempt is not prepared.fallback else None
            try:
                again = _failed(runtime, sdk, prepared, again, error)
            except Exception as own_error:
                swallow("recording a failed call", own_error)
            if again is None:
                raise
            attempt = again
    try:
        if prepared is not None:
            _answered(prepared, answer)
        elif late_call is not None:
            late_call.answered(answer, is_async=True)
    except Exception as error:
        swallow("reading an answer", error)
        if prepared is not None and prepared.hides_usage:
            hide_usage(answer, is_async=True)
    return answer


# --- before -----------------------------------------------------------------------------------------------------------


def _prepare(
    runtime: Runtime, sdk: Sdk, wrapped: Callable[..., Any], client: Any, attempt: Attempt, *, is_async: bool
) -> Prepared | None:
    """The call as it will be made; None for one that is not billable, or that somebody asked us to leave alone."""
    options = attempt.options
    surface = sdk.surface(options)
    if surface is None or _is_suppressed():
        return None
    stream = bool(attempt.kwargs.get("stream"))
    outgoing = read_outgoing(sdk, surface, client, options, stream=stream, tenant=runtime.settings.tenant)
    request = outgoing.request
    decision = _decide(runtime, surface, outgoing)
    body, fallback = request.body, None
    if asks := _asks_for_usage(runtime, surface, outgoing):
        body = {**body, "stream_options": {"include_usage": True}}
        attempt = attempt.with_options(with_body(options, body))
    if decision is not None and decision.changed:
        fallback = attempt
        routed = compat.adapt(body, decision.sent_model, provider=request.provider)
        attempt = attempt.with_options(with_body(options, routed))
    checked = evaluations.has_check(request.use_case_id, request.use_case_name)
    observation = Observation(
        runtime,
        surface,
        outgoing,
        decision,
        sent_model=request.model if decision is None else decision.sent_model,
        checked=checked,
        repeat=None if decision is None else Repeat(wrapped, options, is_async=is_async),
    )
    being_made = observation.being_made()
    being_made.__enter__()
    return Prepared(observation, attempt, fallback, asks, is_async, being_made)


def _late_call(runtime: Runtime, sdk: Sdk, client: Any, attempt: Attempt) -> LateCall | None:
    """A request whose answer may say what something ordered earlier has cost; None for all the rest."""
    reader = sdk.late_reader(attempt.options)
    if reader is None or _is_suppressed():
        return None
    return LateCall(runtime, sdk, client, reader)


def _is_suppressed() -> bool:
    context = otel_context.get_current()
    return bool(context) and any(context.get(key) for key in _SUPPRESSED_KEYS)


def _decide(runtime: Runtime, surface: Surface, outgoing: Outgoing) -> Decision | None:
    router = runtime.router
    if router is None or (policy := router.policy) is None:
        return None
    model = outgoing.request.model
    if (reason := _unroutable(surface, outgoing)) is not None:
        return Decision(model, model, policy.version, decision="refused", reason=reason)
    return router.decide(outgoing.request)


def _unroutable(surface: Surface, outgoing: Outgoing) -> str | None:
    """Why no other model can be asked, whatever the policy says; None when one can."""
    if not surface.routable:
        return "the result means something to this model only"
    if outgoing.endpoint.deployment is not None:
        return "the client is bound to one deployment"
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
    runtime: Runtime, sdk: Sdk, prepared: Prepared, fallback: Attempt | None, error: BaseException
) -> Attempt | None:
    """The SDK raised: what to try instead, or None when the error is the user's to see."""
    observation = prepared.observation
    if fallback is not None and observation.decision is not None and _is_api_error(sdk, error):
        with firewall("recording a fallback"):
            if runtime.router is not None:
                runtime.router.note_failure(observation.decision, error_type(error))
            observation.fell_back(error)
        return fallback
    prepared.being_made.__exit__()
    observation.finish(None, error)
    return None


def _is_api_error(sdk: Sdk, error: BaseException) -> bool:
    kind = getattr(sys.modules.get(sdk.name), "APIError", None)
    return isinstance(kind, type) and isinstance(error, kind)


def _answered(prepared: Prepared, answer: Any) -> None:
    """Have the answer read or watched."""
    prepared.being_made.__exit__()
    try:
        _watch(prepared, answer)
    except Exception:
        prepared.observation.finish(None)
        raise


@lru_cache(maxsize=256)
def _answer_kind(kind: type) -> Literal["parsed", "wrapper", "response"]:
    """What the SDK answered with: an object or a stream of its own, a wrapper of the HTTP response, or that itself."""
    if hasattr(kind, "http_request"):
        return "wrapper"
    return "response" if hasattr(kind, "iter_bytes") else "parsed"


def _watch(prepared: Prepared, answer: Any) -> None:
    observation, is_async = prepared.observation, prepared.is_async
    surface, outgoing = observation.surface, observation.outgoing
    kind = _answer_kind(type(answer))
    response = None
    if kind != "parsed":
        # Bare bytes, such as speech, come in a wrapper of their own.
        response = answer.http_response if kind == "wrapper" else getattr(answer, "response", answer)
    if outgoing.request.stream and surface.accumulator is not None:
        watch = StreamWatch(observation, surface.accumulator(observation.keeps_text), hides_usage=prepared.hides_usage)
        if response is None:
            watch_stream(answer, watch, is_async=is_async)
            read_along(answer.response, EventReader(watch), is_async=is_async)
        else:
            watch_body(response, EventReader(watch), is_async=is_async)
    elif response is None:
        document = as_object(json.dumps(answer)) if isinstance(answer, dict) else answer
        observation.finish(surface.read(document, observation.keeps_text))
    elif response.is_closed:
        observation.finish(read_document(observation, response.content))
    else:
        watch_body(response, DocumentReader(observation), is_async=is_async)
