"""What inferring task, use case and complexity of a request costs, beside a fixed loop and a dictionary look-up.

    python benchmarks/tasks/latency.py --data DIR

`--data` as for `evaluate.py`; its prompts are new to every cache unless a row says otherwise. `x loop` is the time as a
multiple of a loop of ten thousand additions, which machines differ in about as much. Memory and start are those of
importing `tierwise.tasks` in a process of its own.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from labelled import chat, read

from tierwise.tasks import TaskMemory, infer
from tierwise.tasks.prompt import read_prompt

_REPEATS = 7
_IMPORT = """
import resource, time
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
began = time.perf_counter()
import tierwise.tasks
tierwise.tasks.infer({"messages": [{"role": "user", "content": "Translate: good morning"}]})
print(time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def microseconds(call: Callable[[Any], object], requests: Sequence[Any]) -> float:
    """Median over the requests of the fastest of some repeats, which leaves other load on the machine out."""
    fastest = [float("inf")] * len(requests)
    for repeat in range(_REPEATS):
        for index, request in enumerate(requests):
            fresh = request(repeat) if callable(request) else request
            start = time.perf_counter_ns()
            call(fresh)
            fastest[index] = min(fastest[index], time.perf_counter_ns() - start)
    return statistics.median(fastest) / 1_000


def reference_us() -> float:
    """Microseconds of ten thousand additions, at their fastest."""

    def loop() -> int:
        total = 0
        for number in range(10_000):
            total += number
        return total

    fastest = float("inf")
    for _ in range(50):
        start = time.perf_counter_ns()
        loop()
        fastest = min(fastest, (time.perf_counter_ns() - start) / 1_000)
    return fastest


def print_latency(folder: Path) -> None:
    rows = read(folder / "p3.parquet", ("user",))
    texts = [row["user"] for row in rows if 700 <= len(row["user"]) <= 900][:200]
    systems = [row["system"] for row in read(folder / "natural-instructions.parquet", ("system",))]
    system = next(text for text in systems if 500 <= len(text) <= 700)

    def ask(request: Mapping[str, Any]) -> object:
        return infer(request, operation="chat", memory=memory)

    # A counter keeps every request from the caches.
    def new(text: str, instructions: str = "") -> Callable[[int], dict[str, Any]]:
        return lambda repeat: chat(f"{repeat} {text}", instructions and f"{instructions} {text[:20]} {repeat}")

    memory: TaskMemory | None = None
    loop = reference_us()
    print(f"microseconds for task, use case and complexity together; x loop of {loop:.0f} µs")

    def show(what: str, call: Callable[[Any], object], requests: Sequence[Any]) -> None:
        took = microseconds(call, requests)
        print(f"  {what:34}{took:8.1f}{took / loop:10.3f}")

    show("new text, 50 tokens", ask, [new(text[:200]) for text in texts])
    show("new text, 200 tokens", ask, [new(text) for text in texts])
    show("new text, 2,000 tokens", ask, [new(text * 10) for text in texts])
    show("new text, 5 MB", ask, [new(text * 6_250) for text in texts[:5]])
    show("new instructions and new text", ask, [new(text, system) for text in texts])
    memory = TaskMemory()
    for text in texts:
        ask(chat(text, system))
    known = [lambda repeat, text=text: chat(f"{repeat} {text}", system) for text in texts]
    show("known use case, new text", ask, known)
    show("known use case, same text", ask, [chat(text, system) for text in texts])
    show("reading the request alone", read_prompt, known)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of labelled prompts, one parquet a source")
    print_latency(parser.parse_args().data)
    seconds, kib = subprocess.run(
        [sys.executable, "-c", _IMPORT], check=True, capture_output=True, text=True
    ).stdout.split()
    print(f"importing it and the first call: {float(seconds) * 1000:.1f} ms, {int(kib) / 1024:.1f} MB")


if __name__ == "__main__":
    main()
