"""The instrumentations tierwise is measured against and must live with: pinned, one virtual environment each.

`overhead.py` and `neighbours.py` share this table. The driver calls `environment()`, which makes a peer's venv once and
returns its interpreter; the script then runs itself with that, and calls `Peer.switch_on` there. Nothing here imports
a peer at module level.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
DEFAULT_VENVS = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tierwise" / "peers"
NATIVE_SCOPE = "com.anthropic.sdk.python"

SDKS = ("openai==3.54.0", "anthropic==2.12.0", "httpx2==2.16.2", "pydantic==2.14.3")
COMMON = ("opentelemetry-sdk==1.45.2", "opentelemetry-exporter-otlp-proto-http==1.45.2", "wrapt==2.5.2")
DISTRO = "opentelemetry-distro==0.66b2"
"""Brings the command `opentelemetry-instrument`, under which every instrumentation that is installed is switched on."""


def _nothing() -> None:
    """There is nothing to switch."""


# --- switching them on, as their documentation says ------------------------------------------------------------------


def _official() -> Callable[[], None]:
    from opentelemetry.instrumentation.genai.anthropic import AnthropicInstrumentor
    from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor

    return _instrumentors(OpenAIInstrumentor(), AnthropicInstrumentor())


def _openllmetry() -> Callable[[], None]:
    from opentelemetry.instrumentation.anthropic import AnthropicInstrumentor
    from opentelemetry.instrumentation.openai import OpenAIInstrumentor

    return _instrumentors(OpenAIInstrumentor(), AnthropicInstrumentor())


def _openinference() -> Callable[[], None]:
    from openinference.instrumentation.anthropic import AnthropicInstrumentor
    from openinference.instrumentation.openai import OpenAIInstrumentor

    return _instrumentors(OpenAIInstrumentor(), AnthropicInstrumentor())


def _instrumentors(*instrumentors: Any) -> Callable[[], None]:
    for instrumentor in instrumentors:
        instrumentor.instrument()

    def switch_off() -> None:
        for instrumentor in instrumentors:
            instrumentor.uninstrument()

    return switch_off


def _openlit() -> Callable[[], None]:
    import openlit

    # It would fetch its price list from the network, and trace the HTTP clients underneath as well.
    with tempfile.NamedTemporaryFile("w", suffix=".json") as prices:
        prices.write("{}")
        prices.flush()
        others = ["httpx", "requests", "urllib", "urllib3", "aiohttp-client"]
        openlit.init(pricing_json=prices.name, disabled_instrumentors=others)
    from openlit.instrumentation.anthropic import AnthropicInstrumentor
    from openlit.instrumentation.openai import OpenAIInstrumentor

    def switch_off() -> None:
        for instrumentor in (OpenAIInstrumentor(), AnthropicInstrumentor()):
            instrumentor.uninstrument()

    return switch_off


def _logfire() -> Callable[[], None]:
    import logfire

    logfire.configure(send_to_logfire=False, console=False)
    # By default it asks every other instrumentation to keep out of the calls it sees first.
    shared = {"suppress_other_instrumentation": False}
    patched = [logfire.instrument_openai(**shared), logfire.instrument_anthropic(**shared)]

    def switch_off() -> None:
        for undo in patched:
            with undo:
                pass

    return switch_off


def _langfuse() -> Callable[[], None]:
    from langfuse import Langfuse
    from opentelemetry import trace

    Langfuse(
        public_key="none",
        secret_key="none",
        base_url="http://127.0.0.1:9",
        tracer_provider=trace.get_tracer_provider(),
        span_exporter=dropping_exporter(),
    )
    import langfuse.openai  # noqa: F401 - patches openai

    return _nothing


def dropping_exporter() -> Any:
    """A span exporter that keeps nothing."""
    from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

    class Dropping(SpanExporter):
        def export(self, spans: Any) -> SpanExportResult:
            return SpanExportResult.SUCCESS

    return Dropping()


datadog_spans: list[str] = []
"""Names of the spans that ddtrace finished, which are not OpenTelemetry's."""


def _ddtrace() -> Callable[[], None]:
    os.environ.setdefault("DD_TRACE_AGENT_URL", "http://127.0.0.1:9")
    os.environ.setdefault("DD_INSTRUMENTATION_TELEMETRY_ENABLED", "false")
    os.environ.setdefault("DD_REMOTE_CONFIGURATION_ENABLED", "false")
    import ddtrace
    from ddtrace.contrib.internal.anthropic.patch import unpatch as unpatch_anthropic
    from ddtrace.contrib.internal.openai.patch import unpatch as unpatch_openai
    from ddtrace.trace import TraceFilter, tracer

    class Drop(TraceFilter):
        def process_trace(self, trace: list[Any]) -> None:
            datadog_spans.extend(span.name for span in trace)

    tracer.configure(trace_processors=[Drop()])
    ddtrace.patch(openai=True, anthropic=True)

    def switch_off() -> None:
        unpatch_openai()
        unpatch_anthropic()

    return switch_off


# --- the table --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Peer:
    """One instrumentation, or a way of running without one."""

    name: str
    packages: tuple[str, ...]
    """Requirements beside the SDKs."""
    switch_on: Callable[[], Callable[[], None]]
    """Instruments this process; returns what undoes it. Runs in the peer's own venv."""
    venv: str = ""
    """Name of the venv, when it is shared; by default the peer's own."""
    sdks: tuple[str, ...] = (*SDKS, *COMMON)
    opentelemetry: bool = True
    """Whether its spans are OpenTelemetry's, and compete for the same bar."""
    providers: tuple[str, ...] = ("openai", "anthropic")
    """SDKs that it traces."""


PEERS = {
    peer.name: peer
    for peer in (
        Peer(
            "official",
            (
                "opentelemetry-instrumentation-genai-openai==1.3b0",
                "opentelemetry-instrumentation-genai-anthropic==1.3b0",
                "opentelemetry-util-genai==1.3b0",
                DISTRO,
            ),
            _official,
        ),
        Peer(
            "openllmetry",
            ("opentelemetry-instrumentation-openai==0.62.4", "opentelemetry-instrumentation-anthropic==0.62.4", DISTRO),
            _openllmetry,
        ),
        Peer(
            "openinference",
            ("openinference-instrumentation-openai==0.1.66", "openinference-instrumentation-anthropic==3.1.0", DISTRO),
            _openinference,
        ),
        # Holds both SDKs below the majors that everybody else runs on, and OpenTelemetry one patch behind.
        Peer("openlit", ("openlit==1.45.0",), _openlit, sdks=("openai==2.54.0", "anthropic==0.125.0", "httpx==0.28.1")),
        Peer("logfire", ("logfire==5.2.0",), _logfire),
        Peer("langfuse", ("langfuse==5.0.4",), _langfuse, providers=("openai",)),
        Peer("ddtrace", ("ddtrace==4.16.0",), _ddtrace, opentelemetry=False),
        # anthropic from 2.0 on traces itself; there is nothing to install or to switch.
        Peer("native", (), lambda: _nothing, venv="tierwise", providers=("anthropic",)),
    )
}
"""Every peer by name, at the newest versions of November 2026 that install beside each other."""

ALONE = Peer("tierwise", (), lambda: _nothing, venv="tierwise")
"""The venv with the SDKs and tierwise, and nobody else."""


def environment(peer: Peer, venvs: Path) -> Path:
    """The interpreter of a venv with this checkout of tierwise, the SDKs and the peer in it; made when it is missing.

    Raises:
        CalledProcessError: a package could not be installed.
    """
    folder = venvs / (peer.venv or peer.name)
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    wanted = "\n".join((str(ROOT), sys.version, *peer.sdks, *peer.packages))
    complete = folder / "complete.txt"
    if complete.exists() and complete.read_text() == wanted:
        return python
    print(f"installing {peer.name} into {folder}", file=sys.stderr)
    shutil.rmtree(folder, ignore_errors=True)
    requirements = ["--editable", str(ROOT), *peer.sdks, *peer.packages]
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    if uv := shutil.which("uv"):
        installer: list[str | Path] = [uv, "pip", "install", "--quiet", "--python", python]
    else:
        installer = [sys.executable, "-m", "pip", "--quiet", "--python", python, "install"]
    subprocess.run([*installer, *requirements], check=True)
    complete.write_text(wanted)
    return python
