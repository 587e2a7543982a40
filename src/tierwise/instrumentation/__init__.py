"""Observe every call the openai and anthropic SDKs make, and route it: `instrument()` and `uninstrument()`."""

from __future__ import annotations

import os
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tierwise import evaluations, prices
from tierwise.errors import SettingsError
from tierwise.firewall import firewall
from tierwise.instrumentation import _wrap, dropped, later, metrics, pair_scores, pricing
from tierwise.instrumentation.content_capture import capture_of
from tierwise.instrumentation.export import forget_parent
from tierwise.instrumentation.redaction import Redactor
from tierwise.instrumentation.runtime import Runtime
from tierwise.routing.live import Router
from tierwise.routing.policy import Policy
from tierwise.settings import MODES, Mode, Settings, load

if TYPE_CHECKING:
    from opentelemetry._logs import LoggerProvider
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider

__all__ = ["flush", "instrument", "uninstrument"]


def instrument(
    policy: Policy | str | Path | None = None,
    mode: Mode | None = None,
    *,
    settings: Settings | None = None,
    tracer_provider: TracerProvider | None = None,
    meter_provider: MeterProvider | None = None,
    logger_provider: LoggerProvider | None = None,
    redact: Redactor | None = None,
) -> None:
    """Observe and route every call from now on, also of clients that exist already.

    Calling it again without arguments changes nothing; with arguments it starts over with those.

    Args:
        policy: a policy, or a path or URL of one; by default what the settings name.
        mode: off | shadow | enforce; by default what the settings or the policy say. `off` beats everything.
        settings: by default read from the environment and `tierwise.toml`.
        tracer_provider: where spans go; by default the global one, which is set up at the first call if nobody has.
        meter_provider: where metrics go; by default the global one, if the app has one.
        logger_provider: where events go, for those who asked for them; by default the global one, if the app has one.
        redact: takes each text of captured content and gives back what of it may leave; when it raises, nothing of
            that call's content leaves. It captures nothing by itself.

    Raises:
        SettingsError: a setting holds a value that cannot be used.
        PolicyError: the policy file is missing or refused.
    """
    given = (policy, mode, settings, tracer_provider, meter_provider, logger_provider, redact)
    running = _wrap.active_runtime()
    if running is not None and all(argument is None for argument in given):
        return
    resolved = settings or load()
    if policy is not None and not isinstance(policy, Policy):
        resolved = replace(resolved, policy=str(policy))
    if mode is not None:
        if mode not in MODES:
            raise SettingsError(f"mode is {mode!r}; allowed: {', '.join(MODES)}")
        resolved = replace(resolved, mode=mode)

    content = capture_of(resolved, redact)
    prices.configure(resolved.prices)
    router = _started_router(resolved, policy)
    uninstrument()
    evaluations.configure(resolved)
    _wrap.activate(
        Runtime(
            resolved,
            router,
            tracer_provider=tracer_provider,
            meter_provider=meter_provider,
            logger_provider=logger_provider,
            content=content,
        )
    )
    _begin_anew_in_children()


def _started_router(settings: Settings, policy: Policy | str | Path | None) -> Router | None:
    fixed = policy if isinstance(policy, Policy) else None
    if settings.mode == "off" or (fixed is None and settings.policy is None):
        return None
    router = Router(settings, policy=fixed)
    router.start()
    return router


@contextmanager
def instrumented_as(
    settings: Settings, policy: Policy | str | Path | None, **providers_and_content: Any
) -> Generator[Runtime]:
    """Observe calls in a way of its own inside the block, and as before after it; for tests.

    What was instrumented before keeps its router and its settings, and sees nothing of the calls inside.
    """
    resolved = replace(settings, policy=str(policy)) if isinstance(policy, str | Path) else settings
    outside = _wrap.active_runtime()
    prices.configure(resolved.prices)
    router = _started_router(resolved, policy)
    runtime = Runtime(resolved, router, **providers_and_content)
    _wrap.activate(runtime)
    try:
        yield runtime
    finally:
        if outside is None:
            _wrap.deactivate()
        else:
            _wrap.activate(outside)
        if router is not None:
            router.stop()
        prices.configure(outside.settings.prices if outside else None)


def uninstrument() -> None:
    """Put everything back as it was. Streams that are under way are still recorded."""
    runtime = _wrap.active_runtime()
    if runtime is None:
        return
    _wrap.deactivate()
    with firewall("completing calls"):
        later.complete_waiting()
    if runtime.router is not None:
        runtime.router.stop()
    if runtime.events is not None:
        with firewall("delivering the last events"):
            runtime.events.close()


def flush(timeout_s: float = 10.0) -> bool:
    """Wait until what was observed so far is delivered: shadow calls made, checks run, spans and scores sent.

    For scripts, tests and functions that are frozen between two requests; a process that ends flushes by itself. Shadow
    calls of async clients run on their own loop and are not waited for.

    Returns: False when `timeout_s` went by before all of it was done.
    """
    runtime = _wrap.active_runtime()
    if runtime is None:
        return True
    until_s = time.monotonic() + timeout_s

    def left_s() -> float:
        return max(0.0, until_s - time.monotonic())

    with firewall("flushing"):
        ended = dropped.wait_until_finished(timeout_s)
        made = runtime.shadows.drain(left_s())
        later.complete_waiting()
        priced = pricing.wait_until_settled(left_s())
        scored = pair_scores.drain(left_s()) and evaluations.drain(left_s())
        return runtime.deliver(left_s()) and ended and made and priced and scored
    return False


_children_begin_anew = False


def _begin_anew_in_children() -> None:
    global _children_begin_anew
    if not _children_begin_anew and hasattr(os, "register_at_fork"):
        _children_begin_anew = True
        os.register_at_fork(after_in_child=_begin_in_child)


def _begin_in_child() -> None:
    with firewall("starting in a forked process"):
        forget_parent()
        metrics.forget_parent()
        if (runtime := _wrap.active_runtime()) is not None:
            if runtime.events is not None:
                runtime.events.forget_parent()
            if runtime.has_observed:
                # The thread that was loading the price list stayed with the parent.
                prices.warm_up()
