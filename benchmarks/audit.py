"""How long `tierwise audit` takes on logged calls: from a file to the report, and whether the report is the store's.

Makes a log of requests to OpenAI and Anthropic with their answers, a line each, runs the command on it as a process of
its own with a terminal for its progress bar, and holds the report's sums against SQL on what it kept. Prompts come from
Parquet files with columns `system` and `user`, each asked several times, or from a seeded generator.

    python benchmarks/audit.py
    python benchmarks/audit.py --data path/to/parquet --calls 100000
    python benchmarks/audit.py --profile        # in this process, with the functions that take longest
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import pty
import random
import resource
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import duckdb

_OPENAI = ("gpt-5.4", "gpt-5.4-mini", "gpt-4o")
_ANTHROPIC = ("claude-sonnet-4-5", "claude-haiku-4-5")
_FIRST_S = 1_790_000_000
_TEXT = (
    "please read the report invoice order refund customer total amount date name city summarise translate classify "
    "answer question list steps explain because price delivery contract email reply thanks number table code"
)
_WORDS = _TEXT.split()

Prompt = tuple[str, str]
"""Instructions, which may be empty, and what the user says."""


def prompts_of(folder: Path) -> list[Prompt]:
    """Every prompt in the Parquet files of a folder that have columns `system` and `user`."""
    from pyarrow import parquet

    found: list[Prompt] = []
    for path in sorted(folder.glob("*.parquet")):
        if {"system", "user"} <= set(parquet.read_schema(path).names):
            table = parquet.read_table(path, columns=["system", "user"])
            found += [(system or "", user) for system, user in zip(*map(list, table.to_pydict().values()), strict=True)]
    if not found:
        raise SystemExit(f"{folder}: no Parquet file with columns `system` and `user`")
    return found


def made_up(rng: random.Random) -> list[Prompt]:
    """Prompts of 20 to 400 words for assistants of 40 teams."""
    systems = [f"You are the assistant of team {team}. {' '.join(rng.choices(_WORDS, k=40))}." for team in range(40)]
    return [(rng.choice(systems), " ".join(rng.choices(_WORDS, k=rng.randint(20, 400)))) for _ in range(2_000)]


def write_log(path: Path, prompts: list[Prompt], calls: int, rng: random.Random) -> None:
    """A log of `calls` lines, three of four to OpenAI."""
    answers = [" ".join(rng.choices(_WORDS, k=rng.randint(5, 120))) for _ in range(500)]
    with path.open("w", encoding="utf-8") as out:
        for number in range(calls):
            line = _line(number, *rng.choice(prompts), rng.choice(answers), rng)
            out.write(json.dumps(line, ensure_ascii=False) + "\n")


def _line(number: int, system: str, prompt: str, answer: str, rng: random.Random) -> dict[str, Any]:
    at_s = _FIRST_S + number * 20 + rng.randrange(20)
    read, written = (len(system) + len(prompt)) // 4, len(answer) // 4
    line: dict[str, Any] = {"timestamp": at_s, "latency_ms": rng.randrange(300, 9000)}
    if number % 4:
        model = rng.choice(_OPENAI)
        messages = [{"role": "user", "content": prompt}]
        if system:
            messages.insert(0, {"role": "system", "content": system})
        line["request"] = {"model": model, "messages": messages}
        line["response"] = {
            "id": f"chatcmpl-{number:09d}",
            "object": "chat.completion",
            "created": at_s,
            "model": model,
            "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": answer}}],
            "usage": {
                "prompt_tokens": read,
                "completion_tokens": written,
                "total_tokens": read + written,
                "prompt_tokens_details": {"cached_tokens": read // 3},
            },
        }
    else:
        model = rng.choice(_ANTHROPIC)
        messages = [{"role": "user", "content": prompt}]
        line["request"] = {"model": model, "max_tokens": 1024, "system": system or "Be brief.", "messages": messages}
        line["response"] = {
            "id": f"msg_{number:09d}",
            "type": "message",
            "role": "assistant",
            "model": model,
            "stop_reason": "end_turn",
            "content": [{"type": "text", "text": answer}],
            "usage": {"input_tokens": read, "output_tokens": written, "cache_read_input_tokens": read // 2},
        }
    return line


def run_command(log: Path, kept: Path) -> tuple[dict[str, Any], float, float, int, int]:
    """The report as JSON, seconds, CPU seconds, peak memory in bytes, and how often the bar was drawn."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    ours, theirs = pty.openpty()
    drawn = bytearray()
    reader = threading.Thread(target=_read_all, args=(ours, drawn))
    reader.start()
    command = [sys.executable, "-m", "tierwise.cli", "audit", str(log), "--keep", str(kept), "--json"]
    started = time.perf_counter()
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=theirs, env={**os.environ, "TERM": "xterm"}, check=True
    )
    seconds = time.perf_counter() - started
    os.close(theirs)
    reader.join()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return json.loads(done.stdout), seconds, cpu_s, after.ru_maxrss * 1024, drawn.count(b"Importing")


def _read_all(terminal: int, into: bytearray) -> None:
    while True:
        try:
            content = os.read(terminal, 65_536)
        except OSError:
            return
        if not content:
            return
        into += content


def profile(log: Path) -> None:
    """Run the command in this process and print the functions that take longest."""
    import cProfile
    import pstats

    from tierwise.cli import main as command

    profiler = cProfile.Profile()
    sys.stdout.flush()
    profiler.runcall(command, ["audit", str(log)])
    pstats.Stats(profiler).sort_stats("tottime").print_stats(35)


def main() -> None:
    """Make the log, run the command, print what it took and whether its sums are the store's."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=100_000)
    parser.add_argument("--data", type=Path, help="folder of Parquet files with columns system and user")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--profile", action="store_true")
    given = parser.parse_args()
    rng = random.Random(given.seed)
    prompts = made_up(rng) if given.data is None else prompts_of(given.data)
    with tempfile.TemporaryDirectory(prefix="tierwise-benchmark-") as folder:
        log, kept = Path(folder) / "calls.jsonl", Path(folder) / "calls.duckdb"
        write_log(log, prompts, given.calls, rng)
        if given.profile:
            profile(log)
            return
        report, seconds, cpu_s, memory, drawn = run_command(log, kept)
        with duckdb.connect(str(kept), read_only=True) as store:
            calls, spend = store.execute("SELECT count(*), sum(cost_usd) FROM llm_calls").fetchall()[0]
        size = log.stat().st_size
    print(
        f"{os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}, Python {platform.python_version()}, "
        f"DuckDB {duckdb.__version__}"
    )
    print(f"{given.calls:,} calls, {len(prompts):,} prompts, {size / 1e6:,.0f} MB")
    print(f"file to report      {seconds:8.1f} s   ({given.calls / seconds:,.0f} calls a second)")
    print(f"CPU                 {cpu_s:8.1f} s")
    print(f"peak memory         {memory / 1e6:8.0f} MB")
    print(f"bar drawn           {drawn:8,} times")
    totals = report["totals"]
    print(f"calls               {totals['calls']:8,}   store: {calls:,}")
    print(f"spend               {totals['spend_usd']}   store: {spend}")
    if totals["calls"] != calls or totals["spend_usd"] != str(spend):
        raise SystemExit("the report's sums are not the store's")


if __name__ == "__main__":
    main()
