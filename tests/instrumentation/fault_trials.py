"""Runs calls with one function of tierwise raising, and holds what their caller saw against the SDK without us.

Everything is switched on: a policy in force, shadow calls, content, a check, metrics.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass
from random import Random
from typing import Any, Self

from call_surfaces import SURFACES, Clients, Surface, let_tasks_end
from call_ways import Outcome
from fault_injection import Caches, Functions, InjectedFault, Target, tracing
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from trial_provider import MODELS, POLICY, start_provider

import tierwise
from tierwise import evaluations, prices
from tierwise.background import BackgroundWorker, Job
from tierwise.instrumentation import _wrap, dropped, request
from tierwise.routing.live import Router
from tierwise.routing.policy import parse
from tierwise.settings import Settings
from tierwise.tasks.infer import PROCESS_MEMORY
from tierwise.testing import capture_spans


@dataclass(frozen=True, slots=True)
class Case:
    """A surface, and what the policy makes of its model."""

    surface: Surface
    models: str
    """A key of `MODELS`."""

    @property
    def name(self) -> str:
        return f"{self.surface.name}, {self.models}"


PLAIN = frozenset({"chat", "responses", "messages", "chat stream", "messages stream", "chat raw", "messages refused"})
CASES = tuple(
    Case(surface, models)
    for models in MODELS
    for surface in SURFACES
    # What a policy does is done before an answer is read, in whichever way.
    if models == "routed" or surface.name.removeprefix("async ") in PLAIN
)

CARRIERS = frozenset(
    {
        "instrumentation._wrap:_sync_wrapper.request",
        "instrumentation._wrap:_async_wrapper.request",
        "instrumentation._wrap:_replace_native_span",
        "instrumentation.calls:call",
        "instrumentation.calls:call_async",
        "instrumentation.cascade:call",
        "instrumentation.cascade:call_async",
        "instrumentation.cascade:obtain",
        "instrumentation.cascade:obtain_async",
        "instrumentation.speculation:call",
        "instrumentation.speculation:call_async",
        "instrumentation.streams:WatchedIterator.__iter__",
        "instrumentation.streams:WatchedIterator.__next__",
        "instrumentation.streams:WatchedAsyncIterator.__aiter__",
        "instrumentation.streams:WatchedAsyncIterator.__anext__",
        "instrumentation.streams:_without_usage",
        "instrumentation.streams:_without_usage_async",
        "instrumentation.streams:_WatchedBody.__iter__",
        "instrumentation.streams:_WatchedBody.__aiter__",
        "instrumentation.streams:_WatchedBody.close",
        "instrumentation.streams:_WatchedBody.aclose",
        "instrumentation.bodies:read_along.iter_along",
        "instrumentation.bodies:read_along.aiter_along",
        "instrumentation.bodies:_pieces",
        "instrumentation.bodies:_async_pieces",
    }
)
"""Functions that stand in for one of the SDK's or the HTTP client's and carry it: they cannot be skipped, so they hold
nothing of their own but a `try`. All that they call is made to raise."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One run of a case with a function that raises."""

    case: Case
    target: Target
    raised: int
    """How often it did."""
    expected: Outcome
    saw: Outcome

    @property
    def is_identical(self) -> bool:
        return self.saw == self.expected


class Trials:
    """Both SDKs, instrumented, against a provider on loopback."""

    def __init__(self) -> None:
        self._provider = start_provider()
        self._clients = Clients(self._provider)
        self._loop = asyncio.Runner()
        self._policy = parse(POLICY)
        self._settings = Settings(capture_content=True)
        self._bare: dict[Case, Outcome] = {}
        self.functions: Functions

    def __enter__(self) -> Self:
        prices.load()
        self._swallowed = os.environ.get("TIERWISE_FIREWALL")
        os.environ["TIERWISE_FIREWALL"] = "swallow"
        logging.getLogger("tierwise").setLevel(logging.CRITICAL)
        self._bare = {case: self._run(case) for case in CASES}
        self._capturing = capture_spans()
        self._spans = self._capturing.__enter__()
        tierwise.instrument(
            self._policy,
            settings=self._settings,
            tracer_provider=self._spans.tracer_provider,
            meter_provider=MeterProvider([InMemoryMetricReader()], shutdown_on_exit=False),
        )
        runtime = _wrap.active_runtime()
        assert runtime is not None
        self._runtime = runtime
        evaluations.configure(self._settings, logger_provider=LoggerProvider(shutdown_on_exit=False))
        tierwise.check("trials", name="not_empty")(lambda _, answered: bool(answered.text))
        self._threads = threading.excepthook
        self._unraisable = sys.unraisablehook
        threading.excepthook = _unless_injected(self._threads)
        sys.unraisablehook = _unless_injected(self._unraisable)
        for case in CASES:
            self._run(case)
        self.functions, self._caches = Functions(), Caches()
        return self

    def __exit__(self, *_: object) -> None:
        tierwise.uninstrument()
        threading.excepthook, sys.unraisablehook = self._threads, self._unraisable
        evaluations._checks.pop("trials", None)
        self._capturing.__exit__(None, None, None)
        self._clients.close()
        self._loop.run(self._clients.close_async())
        self._loop.close()
        self._provider.stop()
        logging.getLogger("tierwise").setLevel(logging.NOTSET)
        if self._swallowed is None:
            del os.environ["TIERWISE_FIREWALL"]
        else:
            os.environ["TIERWISE_FIREWALL"] = self._swallowed

    # --- running ------------------------------------------------------------------------------------------------------

    def bare(self, case: Case) -> Outcome:
        """What the caller sees without us."""
        return self._bare[case]

    def observed(self, case: Case) -> Outcome:
        """What the caller sees when nothing of ours fails."""
        self._begin_anew()
        with _declared(case):
            return self._run(case)

    def functions_called(self, case: Case) -> list[Target]:
        """Those that the case runs, in the caller's thread and in the background, by name."""
        self._begin_anew()
        with _declared(case), tracing(*map(_runs_on, self._workers), _run_where_drops_are_finished) as found:
            self._run(case)
            self._settle()
        return sorted((one for one in found if one.name not in CARRIERS), key=lambda target: target.name)

    def attempt(self, case: Case, target: Target, error: type[BaseException] = InjectedFault) -> Trial:
        """Run the case with `target` raising."""
        self._begin_anew()
        with _declared(case), self.functions.raising(target, error) as count:
            saw = self._run(case)
            self._settle()
            raised = count()
        self._settle()
        return Trial(case, target, raised, self._bare[case], saw)

    def _run(self, case: Case) -> Outcome:
        self._provider.clear()
        try:
            if case.surface.is_async:
                return self._loop.run(self._run_async(case), context=copy_context())
            # In a context of its own: where leaving the call's span is what raises, the span stays current.
            return copy_context().run(case.surface.run, self._clients, MODELS[case.models])
        except BaseException as error:  # noqa: BLE001 - it is what the caller sees
            return f"{type(error).__module__}.{type(error).__qualname__}: {error}"

    async def _run_async(self, case: Case) -> Outcome:
        try:
            return await case.surface.run(self._clients, MODELS[case.models])
        finally:
            await let_tasks_end()

    @property
    def _workers(self) -> tuple[BackgroundWorker, ...]:
        return self._runtime.shadows._worker, evaluations._worker

    def _begin_anew(self) -> None:
        """Forget what earlier calls taught, so that each runs all it would run first."""
        self._caches.forget()
        request._endpoints.clear()
        PROCESS_MEMORY._ballots.clear()
        PROCESS_MEMORY._verdicts.clear()
        self._runtime._meters_looked_up_until_ns = 0
        self._runtime.router = Router(self._settings, policy=self._policy, rng=Random(7))
        self._spans.clear()

    def _settle(self, timeout_s: float = 1.0) -> None:
        """Wait for shadow calls and checks, looking on from outside: what would wait for them may be what raises."""
        until_s = time.monotonic() + timeout_s
        for worker in self._workers:
            while time.monotonic() < until_s and (thread := worker._thread) is not None and thread.is_alive():
                if not worker._queued and worker._running is None:
                    break
                time.sleep(0.0005)


def _unless_injected(hook: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A hook for errors that nobody is there to catch, which leaves out those made on purpose."""

    def look(arguments: Any) -> None:
        if not issubclass(arguments.exc_type, InjectedFault):
            hook(arguments)

    return look


@contextmanager
def _declared(case: Case) -> Generator[None]:
    """Where calls are shadowed they also have a use case, which is checked."""
    if case.models != "shadowed":
        yield
        return
    with tierwise.use_case("trials", tenant="t"):
        yield


def _runs_on(worker: BackgroundWorker) -> Callable[[Callable[[], None]], object]:
    def run(function: Callable[[], None]) -> None:
        worker.submit(Job("tracing", function))
        worker.drain(1.0)

    return run


def _run_where_drops_are_finished(function: Callable[[], None]) -> None:
    dropped.expect_drops()
    dropped.finish_later(function)
    dropped.wait_until_finished(1.0)
