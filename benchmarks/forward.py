"""What forwarding costs the collector: spans a second acknowledged and stored, by what the destination does.

    python benchmarks/forward.py [--seconds 4] [--batches 200] [--rounds 3]

A collector in a process of its own, four clients that send batches of 512 spans as fast as they are acknowledged, and
a destination in a third process that takes, refuses, asks for patience, breaks, is slow, hangs, or is not there. One
run, the same batches, the behaviours in turn; the median of the rounds, and `ratio` against none.
"""

from __future__ import annotations

import argparse
import http.client
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from ingest import SPANS_IN_A_BATCH, make_batches
from tierwise.store import open_store

CLIENTS = 4
BEHAVIOURS = ("none", "takes", "400", "429", "500", "slow", "hangs", "down")


def serve_destination(behaviour: str) -> None:
    """Be a destination until killed; prints the port."""
    status = int(behaviour) if behaviour.isdigit() else 200

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            time.sleep({"slow": 1.0, "hangs": 3600.0}.get(behaviour, 0.0))
            self.send_response(status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(server.server_port, flush=True)
    server.serve_forever()


@contextmanager
def process(*command: str, **environ: str) -> Generator[str]:
    """A process for as long as the block lasts, and the first line it prints."""
    started = subprocess.Popen(
        [sys.executable, *command], env={**os.environ, **environ}, stdout=subprocess.PIPE, text=True
    )
    assert started.stdout is not None
    try:
        yield started.stdout.readline()
    finally:
        started.kill()
        started.wait()
        started.stdout.close()


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def acknowledged(port: int, batches: list[bytes], seconds: float) -> int:
    """Batches that four clients get acknowledged; each batch goes once, because the same bytes are stored once."""
    until = time.monotonic() + seconds
    counts = [0] * CLIENTS

    def run(client: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        mine = iter(batches[client::CLIENTS])
        batch = next(mine, None)
        while batch is not None and time.monotonic() < until:
            connection.request("POST", "/v1/traces", batch, {"content-type": "application/x-protobuf"})
            response = connection.getresponse()
            response.read()
            if response.status == 200:
                counts[client] += 1
                batch = next(mine, None)
            else:
                time.sleep(0.05)
        connection.close()

    threads = [threading.Thread(target=run, args=(client,)) for client in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts)


def measure(behaviour: str, batches: list[bytes], seconds: float) -> tuple[float, float, dict[str, float]]:
    """Spans acknowledged and stored a second, and the forwarding counters at the end."""
    with tempfile.TemporaryDirectory() as folder, process(__file__, "--destination", behaviour) as line:
        port = free_port()
        target = free_port() if behaviour == "down" else int(line)
        forward = "" if behaviour == "none" else f"http://127.0.0.1:{target}"
        command = ("-m", "tierwise.cli", "collect", "--port", str(port), "--grpc-port", "0")
        with process(*command, TIERWISE_DB=f"duckdb:{Path(folder, 'calls.duckdb')}", TIERWISE_FORWARD=forward):
            store = open_store(f"http://127.0.0.1:{port}")
            started = time.monotonic()
            sent = acknowledged(port, batches, seconds)
            acked_s = time.monotonic() - started
            while stored(store) < sent * SPANS_IN_A_BATCH:
                time.sleep(0.05)
            stored_s = time.monotonic() - started
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as response:
                text = response.read().decode()
    counters: dict[str, float] = {}
    for name, value in re.findall(r"^tierwise_forward_(\w+)\{.*\} (\S+)$", text, re.MULTILINE):
        counters[name] = counters.get(name, 0) + float(value)
    spans = sent * SPANS_IN_A_BATCH
    return spans / acked_s, spans / stored_s, counters


def stored(store: Any) -> int:
    """Spans and calls in the store."""
    return store.sql("SELECT (SELECT count(*) FROM llm_calls) + (SELECT count(*) FROM spans) AS n")["n"].to_pylist()[0]


def main() -> None:
    """Print a row for each behaviour."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=4, help="at most, of sending, for each behaviour")
    parser.add_argument("--batches", type=int, default=200, help="at most, for each behaviour")
    parser.add_argument("--rounds", type=int, default=3, help="of all behaviours")
    parser.add_argument("--destination", choices=sorted(set(BEHAVIOURS)), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.destination is not None:
        serve_destination(arguments.destination)
        return
    batches = make_batches(arguments.batches, calls_share=0.25, seed=1)
    rounds = [
        {behaviour: measure(behaviour, batches, arguments.seconds) for behaviour in BEHAVIOURS}
        for _ in range(arguments.rounds)
    ]
    baseline = statistics.median(found["none"][1] for found in rounds)
    print(
        f"{'destination':<12} {'acked/s':>8} {'stored/s':>8} {'ratio':>6} {'taken':>6} {'dropped':>8} {'MB to go':>9}"
    )
    for behaviour in BEHAVIOURS:
        acked = statistics.median(found[behaviour][0] for found in rounds)
        landed = statistics.median(found[behaviour][1] for found in rounds)
        counters = rounds[-1][behaviour][2]
        taken, dropped = counters.get("requests_total", 0), counters.get("dropped_total", 0)
        print(
            f"{behaviour:<12} {acked:8,.0f} {landed:8,.0f} {landed / baseline:6.2f} {taken:6,.0f} {dropped:8,.0f} "
            f"{counters.get('backlog_bytes', 0) / 1e6:9.1f}"
        )


if __name__ == "__main__":
    main()
