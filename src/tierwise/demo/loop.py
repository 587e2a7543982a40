"""The whole loop, end to end: observe, recommend, simulate, apply, enforce, verify.

The application runs in a process of its own (`demo.worker`); this one runs the collector and plays the provider and the
person who approves.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import IO, Any, Final, cast

from tierwise.demo.story import CANDIDATES, Part, Replay
from tierwise.demo.summary import Summary, summarise
from tierwise.errors import StoreError
from tierwise.ingest.serve import Collector, running_collector
from tierwise.recommend import actions
from tierwise.recommend.recommendation import Recommendation, to_rule
from tierwise.recommend.verify import verify
from tierwise.routing.policy import Policy, ShadowPlan, dump
from tierwise.savings.simulate import Simulation, simulate
from tierwise.store import PolicyRecord, Store, open_store
from tierwise.store.sidecar import collector_of
from tierwise.testing import LoopbackProvider

WHO: Final = "demo"
POLL_S: Final = 0.2
"""How often the application looks for a new policy; short, since the demo squeezes days into a minute."""
LANDING_TIMEOUT_S: Final = 60.0

Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Options:
    """How to run the demo."""

    db_path: Path
    """The DuckDB file to make."""
    replace: bool = False
    """Whether a file that is there already may be thrown away."""
    port: int = 0
    """The collector's; 0 lets the system choose."""
    scale: float = 1.0
    """Share of the bundled prompts to send."""
    shadow_sample: float = 0.6
    """Share of the calls put to a cheaper model as well, before any rule."""
    share: float | None = None
    holdout: float = 0.2
    """Larger than one would keep in production: the demo has minutes, not weeks, to measure with."""
    seed: int = 0


@contextmanager
def demonstrated(options: Options, report: Report) -> Generator[tuple[Summary, Collector]]:
    """Run the loop; the collector stays up for as long as the block lasts.

    Raises:
        StoreError: the evidence certified nothing, or the application failed.
    """
    began = time.perf_counter()
    _make_room(options)
    with LoopbackProvider() as provider, running_collector(options.db_path, port=options.port) as collector:
        provider.answer(Replay())
        store = open_store(collector.url)
        try:
            summary = _loop(options, report, provider, collector, store, began)
            yield summary, collector
        finally:
            store.close()


def _loop(
    options: Options,
    report: Report,
    provider: LoopbackProvider,
    collector: Collector,
    store: Store,
    began: float,
) -> Summary:
    store.put_policy(dump(observing_policy(options)), who=WHO, why="watch first, and put some calls to cheaper models")
    with _application(options, provider, collector) as application:
        report(
            "observe: the application runs as it always did; some calls are put to a cheaper model in the background"
        )
        failed = application.serve("observe", options.scale, report)
        _landed(collector)

        report("recommend: pairs of answers to the same prompt are weighed")
        recommendations = actions.refresh(store, now=datetime.now(UTC), seed=options.seed)
        certified = [item for item in recommendations if item.evidence_state == "certified"]
        if not certified:
            raise StoreError(
                "the evidence certified nothing, so there is nothing to apply; run the demo on all prompts (--scale 1)"
            )
        simulation = _simulated(store, certified, options)
        report(f"simulate: {simulation.saving_share.describe()} of the spend saved if these rules had been in force")

        policy = _applied(store, certified, options)
        report(f"apply: policy version {policy.version}, {len(certified)} rules, {options.holdout:.0%} kept back")
        # The running application picks the policy up by itself.
        time.sleep(5 * POLL_S)
        report("enforce: new prompts reach the same application")
        failed += application.serve("enforce", options.scale, report)
        _landed(collector)

    report("verify: what the rules saved, by what the calls kept back cost")
    return summarise(
        store,
        recommendations=actions.refresh(store, now=datetime.now(UTC), seed=options.seed),
        simulation=simulation,
        verifications=verify(store, now=datetime.now(UTC), seed=options.seed),
        policy=policy,
        failed_calls=failed,
        db_path=options.db_path,
        seconds=time.perf_counter() - began,
    )


def observing_policy(options: Options) -> Policy:
    """No rules: only put a share of the calls to a cheaper model, to learn from."""
    return Policy(
        mode="shadow",
        shadow=ShadowPlan(sample=options.shadow_sample, daily_budget_usd=Decimal(10), candidates={**CANDIDATES}),
    )


def _simulated(store: Store, certified: list[Recommendation], options: Options) -> Simulation:
    now = datetime.now(UTC)
    rules = tuple(to_rule(item, share=options.share, holdout=options.holdout) for item in certified)
    return simulate(
        Policy(mode="enforce", rules=rules),
        store.query("savings_calls", until=now),
        store.query("pairs", until=now),
        as_of=now,
        seed=options.seed,
        shadows=store.query("shadows", until=now),
    )


def _applied(store: Store, certified: list[Recommendation], options: Options) -> PolicyRecord:
    return actions.apply(
        store,
        [item.id for item in certified],
        share=options.share,
        holdout=options.holdout,
        who=WHO,
        why="certified on this traffic",
    )


def _landed(collector: Collector) -> None:
    if not collector.flush(LANDING_TIMEOUT_S):
        raise StoreError(f"the collector did not land what it took within {LANDING_TIMEOUT_S:g} s")


def _make_room(options: Options) -> None:
    """See to it that the store begins empty, without taking anybody's data or a running demo's file."""
    path = options.db_path
    running_at = collector_of(path)
    if running_at is not None:
        raise StoreError(f"{path} is in use by the collector at {running_at}; stop that demo, or choose another --db")
    if path.exists() and not options.replace:
        raise StoreError(f"{path} exists; the demo begins with an empty store, so choose another --db or remove it")
    path.parent.mkdir(parents=True, exist_ok=True)
    for leftover in (path, Path(f"{path}.wal")):
        leftover.unlink(missing_ok=True)
    shutil.rmtree(f"{path}.ingest", ignore_errors=True)


# --- the application's process ----------------------------------------------------------------------------------------


class Application:
    """The process that runs `demo.worker`."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def serve(self, part: Part, scale: float, report: Report) -> int:
        """Have it serve one part of its traffic; how many of its requests failed.

        Raises:
            StoreError: it ended, or could not deliver what it measured.
        """
        cast("IO[str]", self._process.stdin).write(json.dumps({"part": part, "scale": scale}) + "\n")
        cast("IO[str]", self._process.stdin).flush()
        next_report = 0.25
        for message in self.messages():
            if "finished" in message:
                if not message["flushed"]:
                    raise StoreError("the demo's application could not deliver its spans to the collector in time")
                report(f"  {message['served']:,} calls in {message['seconds']:.0f} s, {message['failed']} failed")
                return int(message["failed"])
            if message["done"] >= next_report * message["total"]:
                report(f"  {message['done']:,} of {message['total']:,} calls")
                next_report += 0.25
        raise StoreError("the demo's application ended before it had served its calls; its output above says why")

    def messages(self) -> Generator[Mapping[str, Any]]:
        """What it says, until it ends."""
        for line in cast("IO[str]", self._process.stdout):
            yield json.loads(line)


@contextmanager
def _application(options: Options, provider: LoopbackProvider, collector: Collector) -> Generator[Application]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tierwise.demo.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=_environment(options, provider, collector),
    )
    try:
        application = Application(process)
        if next(application.messages(), None) is None:
            raise StoreError("the demo's application did not start; its output above says why")
        yield application
    finally:
        cast("IO[str]", process.stdin).close()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        cast("IO[str]", process.stdout).close()


def _environment(options: Options, provider: LoopbackProvider, collector: Collector) -> dict[str, str]:
    """The user's environment without their keys, endpoints and OpenTelemetry set-up, which are none of the demo's."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("ANTHROPIC_", "AZURE_OPENAI_", "OPENAI_", "OTEL_", "TIERWISE_"))
    }
    return kept | {
        "OPENAI_BASE_URL": provider.openai_base_url,
        "OPENAI_API_KEY": "none-needed",
        "ANTHROPIC_BASE_URL": provider.anthropic_base_url,
        "ANTHROPIC_API_KEY": "none-needed",
        "OTEL_SERVICE_NAME": "tierwise-demo",
        "TIERWISE_ENDPOINT": collector.url,
        "TIERWISE_POLICY": f"{collector.url}/v1/policy",
        "TIERWISE_POLICY_POLL_S": str(POLL_S),
        "TIERWISE_SEED": str(options.seed),
        "NO_PROXY": "127.0.0.1",
    }
