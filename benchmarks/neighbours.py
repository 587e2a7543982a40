"""Living with other instrumentations: nothing of theirs breaks, and one call stays one row in our store.

    python benchmarks/neighbours.py
    python benchmarks/neighbours.py --only official,ddtrace --venvs /var/cache/peers --verbose

Each peer runs beside tierwise in a process of its own, switched on before and after us, and both sides are switched
off again in either order. Calls go over a real socket to a `LoopbackProvider`: chat completions, Responses and
messages; sync and async; plain, streamed, raw, left early and refused; inside a span of the application and outside
any. Nine more go through what an application keeps: clients from before anybody instrumented, cached
`with_raw_response` and `with_streaming_response`. All spans of the process go to a collector, and the rows of
`llm_calls` that count as spend are compared with the calls that were made. anthropic's own tracing is on, as it is by
default.

Columns: calls made; the peer's spans on them without us and with us (anthropic's own span is replaced by ours, so there
it is 0); calls whose answer differs from the one without us; rows of spend; calls that are not exactly one row; calls
whose tokens or cost differ from those without a peer; spans, theirs + ours, of the nine calls while both sides are on,
while one is, and when neither is, with how many raise because a peer left broken wrappers behind; lines logged as
warnings or worse beyond those without us.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from neighbours_app import HELD_CALLS, OUR_SCOPE, RESULT, Done, Job, spans_of_peer
from peers import ALONE, DEFAULT_VENVS, DISTRO, PEERS, Peer, environment


@dataclass(frozen=True, slots=True)
class Site:
    """What the jobs share."""

    collector: Any
    openai_url: str
    anthropic_url: str
    venvs: Path

    def run(self, job: Job) -> Done:
        """Do `job` in the peer's own environment."""
        peer = ALONE if job.peer == ALONE.name else PEERS[job.peer]
        python = environment(peer, self.venvs)
        given = {**asdict(job), "collector": self.collector.url}
        given |= {"openai_url": self.openai_url, "anthropic_url": self.anthropic_url}
        command: list[str | Path] = [python, Path(__file__).with_name("neighbours_app.py"), json.dumps(given)]
        if job.order == "by command":
            command = [python.with_name("opentelemetry-instrument"), *command]
        variables = {
            "OTEL_SERVICE_NAME": job.name,
            "OTEL_EXPORTER_OTLP_ENDPOINT": self.collector.url,
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_METRICS_EXPORTER": "none",
            "OTEL_LOGS_EXPORTER": "none",
        }
        finished = subprocess.run(
            command, env={**os.environ, **variables}, capture_output=True, text=True, check=False, timeout=300
        )
        results = [line for line in finished.stdout.splitlines() if line.startswith(RESULT)]
        if finished.returncode or len(results) != 1:
            raise SystemExit(f"{job.name} failed:\n{finished.stdout}\n{finished.stderr}")
        return Done(**json.loads(results[0].removeprefix(RESULT)))

    def rows(self, job: Job, done: Done) -> list[dict[str, Any]]:
        """The calls of a job that count as spend, made while every side was on."""
        if not self.collector.flush():
            raise SystemExit("the collector does not land what it got")
        # Names are ours, so they hold no quote.
        statement = f"""
            SELECT instrumentation, response_id, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens,
                   cache_write_1h_tokens, reasoning_tokens, cost_usd, request_model, api, stream
            FROM llm_calls WHERE service_name = '{job.name}' AND shadow_of_span_id IS NULL
              AND epoch_ns(start_time) <= {done.until_ns}
        """
        return self.collector.store.sql(statement).to_pylist()


Figures = tuple[Any, ...]


def figures_by_call(done: Done, rows: list[dict[str, Any]]) -> dict[str, Figures]:
    """Tokens and cost of each call that was read to its end."""
    by_id = {row["response_id"]: row for row in rows}
    return {
        call: tuple(value for name, value in by_id[answered].items() if name.endswith("_tokens") or name == "cost_usd")
        for call, answered in done.response_ids.items()
        if "left early" not in call and answered in by_id
    }


@dataclass(frozen=True, slots=True)
class Verdict:
    """One line of the table."""

    job: Job
    cells: tuple[str, ...]
    faults: list[str]


def judge(
    site: Site, job: Job, alone: tuple[Job, Done] | None, expected: dict[str, Figures], *, of_ours: bool = True
) -> Verdict:
    """Run a job and compare it with the peer's without us and with our figures without a peer."""
    done = site.run(job)
    rows = site.rows(job, done)
    faults: list[str] = []
    rows_of = Counter(row["response_id"] for row in rows)
    ours = {row["response_id"] for row in rows if row["instrumentation"] == OUR_SCOPE}
    not_one = [
        call
        for call, answered in done.response_ids.items()
        if rows_of[answered] != 1 or (of_ours and answered not in ours)
    ]
    faults += [f"{rows_of[done.response_ids[call]]} rows: {call}" for call in not_one]
    calls = len(done.answers) + HELD_CALLS
    if len(rows) != calls:
        faults.append(f"{len(rows)} rows for {calls} calls")
    figures = figures_by_call(done, rows)
    wrong = [call for call, value in figures.items() if value != expected.get(call)]
    faults += [f"tokens or cost of {call}: {figures[call]}, not {expected.get(call)}" for call in wrong]

    theirs, different, lines = "", [], 0
    if alone is not None:
        before = alone[1]
        wanted = 0 if job.peer == "native" else before.theirs(alone[0])
        theirs = f"{before.theirs(alone[0])} → {done.theirs(job)}"
        if done.theirs(job) != wanted:
            faults.append(f"their spans: {theirs}")
        different = [call for call, answer in done.answers.items() if answer != before.answers[call]]
        faults += [f"another answer to {call}: {done.answers[call]}" for call in different]
        new = Counter(done.logged) - Counter(before.logged)
        lines = new.total()
        faults += [f"logged {count}x: {line}" for line, count in new.items()]
        if job.leaves:
            faults += switching_faults(job, done, before, alone[0])
    held = "-"
    if job.leaves:
        held = "  ".join(
            f"{spans_of_peer(job, spans)}+{spans.get(OUR_SCOPE, 0)}{f' ({refused} raise)' if refused else ''}"
            for spans, refused in zip(done.held, done.held_refused, strict=True)
        )
    cells = (
        str(calls),
        theirs or "-",
        str(len(different)) if alone else "-",
        str(len(rows)),
        str(len(not_one)),
        str(len(wrong)),
        held,
        str(lines) if alone else "-",
    )
    return Verdict(job, cells, faults)


def switching_faults(job: Job, done: Done, before: Done, alone: Job) -> list[str]:
    """What is wrong with the spans of the calls through objects made earlier, as the sides leave one by one."""
    with_them, after_them = (spans_of_peer(alone, spans) for spans in before.held)
    beside_us = 0 if job.peer == "native" else with_them
    ours = [HELD_CALLS - refused for refused in done.held_refused]
    steps = {
        "ours": [(beside_us, ours[0]), (with_them, 0), (after_them, 0)],
        "theirs": [(beside_us, ours[0]), (0 if job.peer == "native" else after_them, ours[1]), (after_them, 0)],
    }[job.leaves]
    found = [(spans_of_peer(job, spans), spans.get(OUR_SCOPE, 0)) for spans in done.held]
    faults = [] if found == steps else [f"spans (theirs, ours) as sides leave: {found}, not {steps}"]
    if set(done.held_answers) - set(before.held_answers):
        faults.append("another answer through objects made earlier")
    return faults


HEADER = (
    "",
    "calls",
    "their spans",
    "answers differ",
    "rows",
    "not one row",
    "wrong figures",
    "held: both, one, none on",
    "log lines",
)
WIDTHS = (48, 6, 13, 15, 6, 12, 14, 36, 10)


def line(*cells: str) -> str:
    return f"{cells[0]:{WIDTHS[0]}}" + "".join(
        f"{cell:>{width}}" for cell, width in zip(cells[1:], WIDTHS[1:], strict=True)
    )


def judge_sampled(site: Site, job: Job, before: Done) -> Verdict:
    """Run a job whose sampler drops spans of ours: nobody notices, and the store has what the sampler let through."""
    done = site.run(job)
    rows = site.rows(job, done)
    calls = len(done.answers) + HELD_CALLS
    wanted = 0 if job.sampler == "none" else calls
    different = [call for call, answer in done.answers.items() if answer != before.answers[call]]
    new = Counter(done.logged) - Counter(before.logged)
    faults = [f"another answer to {call}: {done.answers[call]}" for call in different]
    faults += [f"logged {count}x: {text}" for text, count in new.items()]
    if len(rows) != wanted:
        faults.append(f"{len(rows)} rows, not {wanted}")
    cells = (str(calls), str(done.theirs(job)), str(len(different)), str(len(rows)), "-", "-", "-", str(new.total()))
    return Verdict(job, cells, faults)


def verdicts_of(site: Site, peer: Peer, expected: dict[str, Figures]) -> list[Verdict]:
    """The lines of one peer."""
    alone = Job(peer.name, "alone", "theirs")
    before = alone, site.run(alone)
    found = [
        judge(site, Job(peer.name, "theirs first", "ours"), before, expected),
        judge(site, Job(peer.name, "ours first", "theirs"), before, expected),
        judge(site, Job(peer.name, "theirs first", "theirs"), before, expected),
        judge(site, Job(peer.name, "ours first", "ours"), before, expected),
    ]
    if DISTRO in peer.packages:
        found.append(judge(site, Job(peer.name, "by command"), before, expected))
    if peer.name == "official":
        found += [
            judge_sampled(site, Job(peer.name, "theirs first", sampler=sampler), before[1])
            for sampler in ("none", "not ours")
        ]
    return found


def main() -> int:
    """Print the table; exit with 1 when a line has a fault."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help="peers to run, by comma")
    parser.add_argument("--venvs", type=Path, default=DEFAULT_VENVS, help="where the peers' environments are kept")
    parser.add_argument("--verbose", action="store_true", help="say what each fault is")
    arguments = parser.parse_args()
    from tierwise.ingest.serve import running_collector
    from tierwise.testing import Answer, LoopbackProvider, ProviderUsage

    usage = ProviderUsage(1200, 64, cache_read=900, cache_write_5m=150, cache_write_1h=50, reasoning=10)
    peers = list(PEERS.values()) if arguments.only is None else [PEERS[name] for name in arguments.only.split(",")]
    failed: list[Verdict] = []
    with (
        tempfile.TemporaryDirectory() as folder,
        running_collector(Path(folder) / "calls.duckdb") as collector,
        LoopbackProvider(models=["gpt-4o", "claude-opus-4-7"]) as provider,
    ):
        provider.answer(lambda _: Answer("Paris is the capital of France, and has been for a long time.", usage=usage))
        site = Site(collector, provider.openai_base_url, provider.anthropic_base_url, arguments.venvs)
        print(line(*HEADER))
        reference = Job(ALONE.name, "ours first")
        done = site.run(reference)
        expected = figures_by_call(done, site.rows(reference, done))
        results = [[judge(site, Job(ALONE.name, "ours first", "ours"), None, expected)]]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for verdicts in chain(results, pool.map(lambda peer: verdicts_of(site, peer, expected), peers)):
                for verdict in verdicts:
                    print(line(verdict.job.name, *verdict.cells), "  FAULT" if verdict.faults else "", flush=True)
                    failed += [verdict] if verdict.faults else []
                    for fault in verdict.faults if arguments.verbose else ():
                        print(f"    {fault[:400]}")
    print(f"\nlines with a fault: {len(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
