"""Phoenix and MLflow for `apm.py`: each from PyPI in a virtual environment of its own, started, sent to, read back."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.error import URLError
from urllib.request import Request, urlopen

START_S = 300.0
READ_BACK_S = 60.0


@dataclass(frozen=True, slots=True)
class Shown:
    """What a backend shows of one call's cost, in USD; None where it shows none."""

    total_usd: float | None
    input_usd: float | None = None
    output_usd: float | None = None


class Backend(Protocol):
    """A running one."""

    profile: str
    """tierwise's export profile for it."""
    package: str
    """With its version, as pip takes it."""

    def destination(self, run: str) -> tuple[str, dict[str, str], dict[str, str]]:
        """Where the spans of a run go: address, headers, and what the resource must say."""
        ...

    def costs(self, run: str, span_ids: Mapping[str, str]) -> dict[str, Shown]:
        """What it shows for these calls (span id → trace id), by span id; those it does not hold are left out."""
        ...


def get(url: str) -> Any:
    with urlopen(url, timeout=30) as response:
        return json.load(response)


def post(url: str, body: Mapping[str, Any]) -> Any:
    request = Request(url, json.dumps(body).encode(), {"content-type": "application/json"})
    with urlopen(request, timeout=30) as response:
        return json.load(response)


class Phoenix:
    """Arize Phoenix, read by its GraphQL API."""

    profile = "phoenix"
    package = "arize-phoenix==20.26.1"
    _QUERY = """{ projects { edges { node { name spans(first: 500) { edges { node { spanId costSummary {
        prompt { cost } completion { cost } total { cost } } } } } } } } }"""

    def __init__(self, url: str) -> None:
        self._url = url

    def destination(self, run: str) -> tuple[str, dict[str, str], dict[str, str]]:
        return f"{self._url}/v1/traces", {}, {"openinference.project.name": run}

    def costs(self, run: str, span_ids: Mapping[str, str]) -> dict[str, Shown]:
        shown: dict[str, Shown] = {}
        for project in post(f"{self._url}/graphql", {"query": self._QUERY})["data"]["projects"]["edges"]:
            if project["node"]["name"] != run:
                continue
            for edge in project["node"]["spans"]["edges"]:
                summary = edge["node"]["costSummary"] or {}
                parts = {part: (summary.get(part) or {}).get("cost") for part in ("total", "prompt", "completion")}
                shown[edge["node"]["spanId"]] = Shown(parts["total"], parts["prompt"], parts["completion"])
        return {span_id: cost for span_id, cost in shown.items() if span_id in span_ids}


class MLflow:
    """MLflow's tracking server, read by its REST API."""

    profile = "mlflow"
    package = "mlflow==3.17.2"

    def __init__(self, url: str) -> None:
        self._url = url
        self._experiments: dict[str, str] = {}

    def destination(self, run: str) -> tuple[str, dict[str, str], dict[str, str]]:
        if run not in self._experiments:
            created = post(f"{self._url}/api/2.0/mlflow/experiments/create", {"name": run})
            self._experiments[run] = created["experiment_id"]
        return f"{self._url}/v1/traces", {"x-mlflow-experiment-id": self._experiments[run]}, {}

    def costs(self, run: str, span_ids: Mapping[str, str]) -> dict[str, Shown]:
        shown: dict[str, Shown] = {}
        for span_id, trace_id in span_ids.items():
            try:
                found = get(f"{self._url}/api/3.0/mlflow/traces/get?trace_id=tr-{trace_id}")
            except URLError:
                continue
            # The trace's cost, which the list of traces shows; each of these traces is a single call.
            cost = json.loads(found["trace"]["trace_info"]["trace_metadata"].get("mlflow.trace.cost", "{}"))
            shown[span_id] = Shown(cost.get("total_cost"), cost.get("input_cost"), cost.get("output_cost"))
        return shown


# --- running them -----------------------------------------------------------------------------------------------------


@contextmanager
def phoenix(venvs: Path, folder: Path) -> Iterator[Phoenix]:
    """A running Phoenix; its data goes to `folder`."""
    bin_folder = _environment(Phoenix.package, venvs / "phoenix")
    port, grpc_port = _free_ports(2)
    environ = {
        "PHOENIX_TELEMETRY_ENABLED": "false",
        "PHOENIX_WORKING_DIR": str(folder),
        "PHOENIX_HOST": "127.0.0.1",
        "PHOENIX_PORT": str(port),
        "PHOENIX_GRPC_PORT": str(grpc_port),
    }
    url = f"http://127.0.0.1:{port}"
    with _running([str(bin_folder / "phoenix"), "serve"], environ, folder, f"{url}/healthz"):
        yield Phoenix(url)


@contextmanager
def mlflow(venvs: Path, folder: Path) -> Iterator[MLflow]:
    """A running MLflow server; its data goes to `folder`."""
    bin_folder = _environment(MLflow.package, venvs / "mlflow")
    (port,) = _free_ports(1)
    command = [str(bin_folder / "mlflow"), "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}", "--artifacts-destination", str(folder)]
    url = f"http://127.0.0.1:{port}"
    with _running(command, {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}, folder, f"{url}/health"):
        yield MLflow(url)


def _environment(package: str, folder: Path) -> Path:
    """The folder of a venv's commands; the venv is made when it does not hold this package."""
    bin_folder = folder / ("Scripts" if os.name == "nt" else "bin")
    complete = folder / "complete.txt"
    if complete.exists() and complete.read_text() == package:
        return bin_folder
    print(f"installing {package} into {folder}", file=sys.stderr)
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    if uv := shutil.which("uv"):
        installer: list[str | Path] = [uv, "pip", "install", "--quiet", "--python", bin_folder / "python"]
    else:
        installer = [sys.executable, "-m", "pip", "--quiet", "--python", bin_folder / "python", "install"]
    subprocess.run([*installer, package], check=True)
    complete.write_text(package)
    return bin_folder


@contextmanager
def _running(command: list[str], environ: Mapping[str, str], folder: Path, health_url: str) -> Iterator[None]:
    """A server process in a group of its own, so that its workers end with it."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "TIERWISE_"))}
    path = os.pathsep.join([str(Path(command[0]).parent), inherited.get("PATH", "")])
    log = folder / "server.log"
    with (
        log.open("wb") as output,
        subprocess.Popen(
            command,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**inherited, "PATH": path, **environ},
            start_new_session=True,
        ) as process,
    ):
        try:
            until_s = time.monotonic() + START_S
            while not _is_up(health_url):
                if process.poll() is not None or time.monotonic() > until_s:
                    raise RuntimeError(f"{command[0]} did not start:\n{log.read_text(errors='replace')[-2000:]}")
                time.sleep(0.5)
            yield
        finally:
            os.killpg(process.pid, 15)
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, 9)


def _is_up(url: str) -> bool:
    try:
        with urlopen(url, timeout=5) as response:
            return bool(response.status == 200)
    except OSError:
        return False


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for held in sockets:
        held.bind(("127.0.0.1", 0))
    ports = [held.getsockname()[1] for held in sockets]
    for held in sockets:
        held.close()
    return ports


def read_back(backend: Backend, run: str, span_ids: Mapping[str, str]) -> dict[str, Shown]:
    """What the backend shows, once it has all of the calls and has settled on their costs.

    Phoenix computes costs some time after it took a span in, so an answer counts when two in a row are the same.
    """
    until_s = time.monotonic() + READ_BACK_S
    last: dict[str, Shown] = {}
    while time.monotonic() < until_s:
        shown = backend.costs(run, span_ids)
        if shown.keys() == span_ids.keys() and shown == last and any(cost.total_usd for cost in shown.values()):
            return shown
        last = shown
        time.sleep(3.0)
    return last
