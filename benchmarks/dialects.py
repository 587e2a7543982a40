"""Real spans of other instrumentations, read by the collector: one row a call, with our tokens, cost and task.

    python benchmarks/dialects.py --venvs /var/cache/peers
    python benchmarks/dialects.py --only openlit,vercel
    python benchmarks/dialects.py --record tests/ingest/dialects/recorded

Each package runs in an environment of its own, made when it is missing, against one `LoopbackProvider`: chat
completions, Responses, embeddings and messages; plain, streamed, with a tool, with a cache, with reasoning and refused.
Its spans go to a real collector. tierwise's own instrumentation makes the same calls first, and its rows are what the
others are compared with.

Columns: calls made; calls that are one row; of those that were answered, calls whose tokens (input, output, cache read
and written, reasoning) are equal, and whose cost is; calls whose task and complexity were inferred, and those equal to
what was inferred in the app. Below it each difference with its reason; one without a reason is a fault.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from dialect_calls import CALLS, DialectCall
from dialects_app import RESULT
from peers import ALONE, DEFAULT_VENVS, PEERS, environment

DIALECTS = ("official", "native", "openllmetry", "openinference", "openlit", "langfuse", "logfire", "vercel")
NODE_PACKAGES = (
    "ai@6.0.326",
    "@ai-sdk/openai@3.0.141",
    "@ai-sdk/anthropic@3.0.140",
    "@opentelemetry/api@1.9.1",
    "@opentelemetry/exporter-trace-otlp-proto@0.223.1",
    "@opentelemetry/resources@2.12.1",
    "@opentelemetry/sdk-trace-node@2.12.0",
)
TOKENS = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens")
TASK = {"task_type": "task type", "complexity": "complexity", "use_case_id": "use case"}
RECORDED = (
    "chat",
    "chat tool",
    "chat cached stream",
    "chat reasoning",
    "chat refused",
    "responses",
    "embeddings",
    "messages cached",
    "messages cached stream",
    "messages barely cached",
    "messages refused",
)
"""Calls whose spans become fixtures."""
DROPPED_KEYS = (
    "embedding.embeddings.0.embedding.vector",
    "ai.embedding",
    "ai.embeddings",
    "logfire.json_schema",
    "code.",
)
"""Attributes that no dialect reads and that fill a fixture."""

_NO_LIFETIMES = "its spans do not say how long what was written to the cache lasts; the five-minute price is taken"
DIFFERENCES: Mapping[tuple[str, str, str], str] = {
    ("*", "embeddings", "use case"): "without instructions the app tells a use case by the place in its code",
    ("openlit", "*", "task"): "it sends content in log events, not on spans",
    (
        "openlit",
        "chat reasoning",
        "reasoning_tokens",
    ): "its chat spans leave them out; they are billed as output anyway",
    ("openlit", "messages cached", "cost"): _NO_LIFETIMES,
    ("openlit", "messages cached stream", "cost"): _NO_LIFETIMES,
}
"""(dialect or *, call or *, what differs) → why that cannot be otherwise."""


def reason_of(dialect: str, call: str, what: str) -> str | None:
    """Why a difference is there; None for one that nobody has explained."""
    keys = ((dialect, call, what), (dialect, "*", what), ("*", call, what))
    return next((DIFFERENCES[key] for key in keys if key in DIFFERENCES), None)


# --- the way of the spans ---------------------------------------------------------------------------------------------


class Recorder:
    """Stands before a collector: passes requests on, and keeps them."""

    def __init__(self, collector_url: str) -> None:
        self.bodies: list[bytes] = []
        recorder = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self._body()
                recorder.bodies.append(body)
                kind = self.headers["content-type"]
                request = urllib.request.Request(collector_url + self.path, body, {"content-type": kind})
                if encoding := self.headers["content-encoding"]:
                    request.add_header("content-encoding", encoding)
                with urllib.request.urlopen(request) as answer:
                    content = answer.read()
                self.send_response(200)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def _body(self) -> bytes:
                if "content-length" in self.headers:
                    return self.rfile.read(int(self.headers["content-length"]))
                chunks: list[bytes] = []
                while size := int(self.rfile.readline(), 16):
                    chunks.append(self.rfile.read(size))
                    self.rfile.readline()
                self.rfile.readline()
                return b"".join(chunks)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def spans(self, traces: Mapping[str, str]) -> dict[str, Any]:
        """The spans kept of these traces as one OTLP/JSON request, without the application's own."""
        from google.protobuf.json_format import MessageToDict
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

        scopes: dict[str, list[dict[str, Any]]] = {}
        wanted = set(traces.values())
        for body in self.bodies:
            request = ExportTraceServiceRequest()
            request.ParseFromString(body)
            for spans in (scope for resource in request.resource_spans for scope in resource.scope_spans):
                for span in spans.spans:
                    if span.trace_id.hex() not in wanted or spans.scope.name == "app":
                        continue
                    written: dict[str, Any] = MessageToDict(span, use_integers_for_enums=True)
                    # OTLP's JSON has hex ids where protobuf's has base64.
                    ids = {"traceId": span.trace_id, "spanId": span.span_id, "parentSpanId": span.parent_span_id}
                    written |= {name: value.hex() for name, value in ids.items() if value}
                    written.pop("events", None)
                    kept = (item for item in written.get("attributes", ()) if not item["key"].startswith(DROPPED_KEYS))
                    written["attributes"] = list(kept)
                    scopes.setdefault(spans.scope.name, []).append(written)
        return {
            "resourceSpans": [
                {
                    "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "recorded"}}]},
                    "scopeSpans": [{"scope": {"name": name}, "spans": spans} for name, spans in scopes.items()],
                }
            ]
        }


# --- running ----------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Site:
    """What the runs share."""

    collector: Any
    provider: Any
    venvs: Path
    recorder: Recorder

    def run(self, dialect: str) -> dict[str, str]:
        """Make the calls under one instrumentation; the trace of each."""
        job: dict[str, Any] = {
            "peer": dialect,
            "service": dialect,
            "endpoint": self.recorder.url,
            "openai_url": self.provider.openai_base_url,
            "anthropic_url": self.provider.anthropic_base_url,
        }
        command: list[str | Path]
        if dialect == "vercel":
            folder = node_environment(self.venvs)
            command = ["node", folder / "dialects_app.mjs", json.dumps({**job, "calls": [*map(node_call, CALLS)]})]
        else:
            peer = ALONE if dialect == ALONE.name else PEERS[dialect]
            command = [environment(peer, self.venvs), Path(__file__).with_name("dialects_app.py"), json.dumps(job)]
        finished = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
        results = [line for line in finished.stdout.splitlines() if line.startswith(RESULT)]
        if finished.returncode or len(results) != 1:
            raise SystemExit(f"{dialect} failed:\n{finished.stdout}\n{finished.stderr}")
        return json.loads(results[0].removeprefix(RESULT))

    def rows(self, traces: Mapping[str, str]) -> dict[str, list[dict[str, Any]]]:
        """The rows of each call."""
        if not self.collector.flush():
            raise SystemExit("the collector does not land what it got")
        names = {trace_id: name for name, trace_id in traces.items()}
        # Trace ids are hex, so they hold no quote.
        wanted = ", ".join(f"'{trace_id}'" for trace_id in names)
        columns = ", ".join(("trace_id", *TOKENS, *TASK, "cost_usd", "error_type", "instrumentation", "task_source"))
        statement = f"SELECT {columns} FROM llm_calls WHERE trace_id IN ({wanted})"
        found: dict[str, list[dict[str, Any]]] = {name: [] for name in traces}
        for row in self.collector.store.sql(statement).to_pylist():
            found[names[row["trace_id"]]].append(row)
        return found


def node_environment(venvs: Path) -> Path:
    """A folder with the AI SDK, made when it is missing, and the application in it."""
    folder = venvs / "vercel"
    complete = folder / "complete.txt"
    if not complete.exists() or complete.read_text() != "\n".join(NODE_PACKAGES):
        folder.mkdir(parents=True, exist_ok=True)
        print(f"installing vercel into {folder}", file=sys.stderr)
        (folder / "package.json").write_text("{}")
        subprocess.run(["npm", "install", "--silent", "--no-audit", *NODE_PACKAGES], cwd=folder, check=True)
        complete.write_text("\n".join(NODE_PACKAGES))
    shutil.copy(Path(__file__).with_name("dialects_app.mjs"), folder)
    return folder


def node_call(call: DialectCall) -> dict[str, Any]:
    """A call in the words of the AI SDK."""
    asked = call.arguments
    turns = asked.get("messages", asked.get("input"))
    tools = [tool.get("function", tool) for tool in asked.get("tools", ())]
    system = asked.get("system") or asked.get("instructions")
    if system is None and not isinstance(turns, str):
        system = turns[0]["content"]
    return {
        "name": call.name,
        "api": call.path.removesuffix(".create").removesuffix(".completions"),
        "model": asked["model"],
        "system": system,
        "text": turns if isinstance(turns, str) else turns[-1]["content"],
        "stream": bool(asked.get("stream")),
        "limit": asked.get("max_tokens"),
        "fails": call.fails,
        "tools": [
            {
                **{key: tool[key] for key in ("name", "description")},
                "schema": tool.get("parameters") or tool["input_schema"],
            }
            for tool in tools
        ],
    }


# --- judging ----------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Verdict:
    """One line of the table."""

    dialect: str
    calls: int = 0
    one_row: int = 0
    answered: int = 0
    same_tokens: int = 0
    same_cost: int = 0
    inferred: int = 0
    same_task: int = 0
    notes: list[str] = field(default_factory=list[str])
    faults: int = 0

    def differs(self, call: str, what: str, said: object) -> None:
        """Note a difference with its reason."""
        reason = reason_of(self.dialect, call, what)
        self.faults += reason is None
        self.notes.append(f"{self.dialect}, {call}: {what} {said}: {reason or 'UNEXPLAINED'}")

    @property
    def cells(self) -> tuple[object, ...]:
        same = (f"{count}/{self.answered}" for count in (self.same_tokens, self.same_cost))
        tasks = (f"{count}/{self.calls}" for count in (self.inferred, self.same_task))
        return self.dialect, self.calls, self.one_row, *same, *tasks, self.faults or ""


def judge(dialect: str, rows: Mapping[str, list[dict[str, Any]]], ours: Mapping[str, dict[str, Any]]) -> Verdict:
    """Compare the rows of each call with ours."""
    verdict = Verdict(dialect, calls=len(rows))
    fails = {call.name for call in CALLS if call.fails}
    for name, found in rows.items():
        if len(found) != 1:
            verdict.differs(name, "rows", len(found))
            continue
        verdict.one_row += 1
        row, wanted = found[0], ours[name]
        if name in fails:
            if row["error_type"] is None:
                verdict.differs(name, "error", "is missing")
        else:
            verdict.answered += 1
            unequal = {key: (row[key], wanted[key]) for key in TOKENS if (row[key] or 0) != (wanted[key] or 0)}
            verdict.same_tokens += not unequal
            for key, (said, right) in unequal.items():
                verdict.differs(name, key, f"{said}, not {right}")
            verdict.same_cost += row["cost_usd"] == wanted["cost_usd"]
            if row["cost_usd"] != wanted["cost_usd"] and not unequal:
                verdict.differs(name, "cost", f"{row['cost_usd']}, not {wanted['cost_usd']}")
        if row["task_source"] is None:
            verdict.differs(name, "task", "is not known")
            continue
        verdict.inferred += 1
        verdict.same_task += all(row[key] == wanted[key] for key in TASK)
        for key, what in TASK.items():
            if row[key] != wanted[key]:
                verdict.differs(name, what, f"{row[key]}, not {wanted[key]}")
    return verdict


HEADER = ("", "calls", "one row", "tokens equal", "cost equal", "task inferred", "as in the app", "faults")
WIDTHS = (15, 6, 8, 13, 11, 14, 14, 7)


def line(cells: tuple[object, ...]) -> str:
    first, *rest = (f"{cell!s:>{width}}" for cell, width in zip(cells, WIDTHS, strict=True))
    return first.strip().ljust(WIDTHS[0]) + "".join(rest)


def package_of(dialect: str) -> str:
    """The packages that made the spans, with their versions."""
    if dialect == "vercel":
        return ", ".join(name.replace("@", "==", 1) if name[0] != "@" else name for name in NODE_PACKAGES[:3])
    return ", ".join(PEERS[dialect].packages or [package for package in PEERS[dialect].sdks if "anthropic" in package])


def record(site: Site, dialect: str, traces: Mapping[str, str], folder: Path) -> None:
    """Write the spans of RECORDED as a fixture."""
    wanted = {name: trace_id for name, trace_id in traces.items() if name in RECORDED}
    fixture = {
        "made by": package_of(dialect),
        "about": "Spans recorded by benchmarks/dialects.py --record against tierwise.testing.LoopbackProvider. "
        "Prompts and answers are this project's own.",
        "calls": wanted,
        "request": site.recorder.spans(wanted),
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{dialect}.json").write_text(json.dumps(fixture, indent=1) + "\n")


def main() -> int:
    """Print the table; exit with 1 when a difference has no reason."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(DIALECTS), help="dialects to run, by comma")
    parser.add_argument("--venvs", type=Path, default=DEFAULT_VENVS, help="where the packages' environments are kept")
    parser.add_argument(
        "--record", type=Path, help="write the spans of some calls into this folder, one file a dialect"
    )
    arguments = parser.parse_args()
    from tierwise.ingest.serve import running_collector
    from tierwise.testing import Answer, LoopbackProvider, ProviderRequest, ProviderUsage, ToolCall

    def answer(request: ProviderRequest) -> Answer:
        asked = json.dumps(request.body)
        call = max((call for call in CALLS if f"{call.name}: On" in asked), key=lambda call: len(call.name))
        tools = [ToolCall("weather", {"city": "Ghent"})] if call.calls_tool else ()
        text = "Ghent closes the Graslei to cars from May on, by 31 votes to 20."
        return Answer(text, usage=ProviderUsage(**call.usage), tool_calls=tools)

    os.environ.pop("OTEL_EXPORTER_OTLP_ENDPOINT", None)
    existing = {call.arguments["model"] for call in CALLS if not call.fails}
    notes: list[str] = []
    faults = 0
    with (
        tempfile.TemporaryDirectory() as folder,
        running_collector(Path(folder) / "calls.duckdb") as collector,
        LoopbackProvider(models=[*existing]) as provider,
    ):
        provider.answer(answer)
        site = Site(collector, provider, arguments.venvs, Recorder(collector.url))
        rows = site.rows(site.run(ALONE.name))
        ours = {name: found[0] for name, found in rows.items()}
        print(line(HEADER))
        print(line(judge(ALONE.name, rows, ours).cells))
        for dialect in arguments.only.split(","):
            traces = site.run(dialect)
            verdict = judge(dialect, site.rows(traces), ours)
            print(line(verdict.cells), flush=True)
            notes += verdict.notes
            faults += verdict.faults
            if arguments.record:
                record(site, dialect, traces, arguments.record)
    print("", *notes, sep="\n")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
