"""Shadow calls: a call of the user's, made once more with a cheaper model, in the background.

They never delay the user's call, never raise, and are dropped and counted rather than queued without end.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from tierwise.background import BackgroundWorker, Job
from tierwise.firewall import firewall
from tierwise.instrumentation.follow_up import snapshot
from tierwise.instrumentation.observation import Observation, ShadowOf
from tierwise.instrumentation.request import RAW_RESPONSE_HEADER, at_deployment, with_body
from tierwise.instrumentation.sdk import as_object

if TYPE_CHECKING:
    from tierwise.instrumentation.runtime import Runtime
    from tierwise.judges import JudgedAnswer
    from tierwise.routing.shadow import ShadowDraw

MAX_WAITING = 64
"""Shadow calls of sync clients that may wait for the one worker thread."""
MAX_RUNNING = 16
"""Shadow calls of async clients that may run at a time."""


class Repeat(NamedTuple):
    """How to make a call once more."""

    request: Callable[..., Any]
    """The SDK's own `request`, bound to the user's client."""
    options: Any
    """As the user's call had them."""
    is_async: bool


class ShadowCall(NamedTuple):
    """One shadow call to make."""

    runtime: Runtime
    shadowed: Observation
    draw: ShadowDraw
    repeat: Repeat
    body: Mapping[str, Any]
    answer: JudgedAnswer | None
    """The user's, where its text was kept."""

    def begin(self) -> Observation:
        """Start the shadow call's own span."""
        outgoing = self.shadowed.outgoing
        request = replace(outgoing.request, body=self.body, stream=False)
        observation = Observation(
            self.runtime,
            self.shadowed.surface,
            outgoing._replace(request=request),
            None,
            sent_model=self.draw.model,
            checked=self.shadowed.checked,
            shadow_of=ShadowOf(self.shadowed.span.get_span_context(), self.draw, self.answer),
        )
        # Whoever else wants it: the checks that score a pair do.
        observation.keeps_text = True
        return observation

    def options(self) -> Any:
        """The request options: one try, and nothing that made the user's answer special."""
        options = with_body(self.repeat.options, self.body)
        if self.draw.deployment is not None:
            options = at_deployment(options, self.shadowed.outgoing.endpoint, self.draw.deployment)
        options.max_retries = 0
        options.idempotency_key = None
        fields = type(options).model_fields
        if "post_parser" in fields:
            options.post_parser = fields["post_parser"].default
        if isinstance(options.headers, Mapping):
            options.headers = {name: value for name, value in options.headers.items() if name != RAW_RESPONSE_HEADER}
        return options


class ShadowRunner:
    """Makes shadow calls: those of sync clients on one thread, those of async clients on the loop they came from."""

    def __init__(self) -> None:
        self._worker = BackgroundWorker("tierwise-shadow-calls", max_queued=MAX_WAITING)
        self._tasks: set[asyncio.Task[None]] = set()
        self.dropped_calls = 0
        """Shadow calls that were drawn but not made, because too many were under way."""

    def submit(self, runtime: Runtime, shadowed: Observation, draw: ShadowDraw, answer: JudgedAnswer | None) -> None:
        """Have the shadow call made soon, or drop it.

        Args:
            answer: the user's, where its text was kept; the shadow's is compared with it.
        """
        repeat = shadowed.repeat
        if repeat is None:
            return
        # The user may change the lists they passed as soon as they have their answer.
        shadow_call = ShadowCall(
            runtime, shadowed, draw, repeat, snapshot(draw.body(shadowed.outgoing.request)), answer
        )
        if repeat.is_async:
            is_under_way = self._start_task(shadow_call)
        else:
            is_under_way = self._worker.submit(Job("a shadow call", lambda: _make(shadow_call)))
        if not is_under_way:
            self.dropped_calls += 1
            if runtime.router is not None:
                runtime.router.spent(Decimal(0), draw)

    def _start_task(self, shadow_call: ShadowCall) -> bool:
        if len(self._tasks) >= MAX_RUNNING:
            return False
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            # Another async framework's loop, or no loop left to make a call on.
            return False
        task = loop.create_task(_make_async(shadow_call), name="tierwise-shadow-call")
        # The loop itself holds its tasks weakly.
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return True

    def drain(self, timeout_s: float) -> bool:
        """Wait for the shadow calls of sync clients; False when `timeout_s` went by before all were made."""
        return self._worker.drain(timeout_s)


def _make(shadow_call: ShadowCall) -> None:
    with firewall("making a shadow call"):
        observation, options = shadow_call.begin(), shadow_call.options()
        try:
            with observation.being_made():
                answer = shadow_call.repeat.request(object, options)
        except Exception as error:  # noqa: BLE001 - the candidate's failure is a finding, and nobody's to handle
            observation.finish(None, error)
        else:
            _read(observation, answer)


async def _make_async(shadow_call: ShadowCall) -> None:
    with firewall("making a shadow call"):
        observation, options = shadow_call.begin(), shadow_call.options()
        try:
            with observation.being_made():
                answer = await shadow_call.repeat.request(object, options)
        except Exception as error:  # noqa: BLE001 - as above
            observation.finish(None, error)
        except BaseException as error:
            observation.finish(None, error)
            raise
        else:
            _read(observation, answer)


def _read(observation: Observation, answer: object) -> None:
    """Finish with an answer that was asked for as plain data."""
    observation.finish(observation.surface.read(as_object(json.dumps(answer)), observation.keeps_text))
