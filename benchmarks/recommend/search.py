"""How long finding recommendations takes on a large store, and how much memory.

    python benchmarks/recommend/search.py                          # 10 million calls, about 3 min with making the store
    python benchmarks/recommend/search.py --calls 1_000_000 --store /data/calls.duckdb
    python benchmarks/recommend/search.py --profile                # where the time goes

The store is a real one, filled by SQL: use cases whose traffic falls off like a power, log-normal tokens, conversations
of one to eight calls, four dear models of one provider with more than 20 cheaper ones each. A tenth of the use cases
has shadow calls with scores on both sides. Rows lie in the order of time, as a collector writes them. The search runs
in a process of its own: time is the wall's, memory that process's peak resident set, DuckDB's included. Exit code 1
above 60 s or 4 GiB.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import os
import pstats
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

from tierwise import prices
from tierwise.recommend import recommend
from tierwise.store import open_store
from tierwise.store.duckdb import DuckDBStore

AS_OF = datetime(2026, 11, 20, 12, tzinfo=UTC)
MOST_SECONDS, MOST_GIB = 60.0, 4.0
PROVIDER = "openai"
DEAR = ("gpt-6.1-sol", "gpt-5.5", "gpt-5.2", "gpt-4.1")
CHEAP = ("gpt-6-luna", "gpt-5.6-luna")
PAIRS_PER_USE_CASE = 300


def fill(path: Path, *, calls: int, use_cases: int) -> None:
    """Write the store at `path`."""
    store = DuckDBStore.open(path)
    at_ns = int(AS_OF.timestamp()) * 1_000_000_000
    with store.cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE price (model VARCHAR, input_usd DECIMAL(18, 12), output_usd DECIMAL(18, 12))")
        for model in (*DEAR, *CHEAP):
            rates = prices.rates(PROVIDER, model, input_tokens=1000, at_ns=at_ns)
            if rates is None:
                raise SystemExit(f"no price for {PROVIDER}/{model}")
            cursor.execute("INSERT INTO price VALUES (?, ?, ?)", [model, rates.input, rates.output])
        values = {"calls": calls, "use_cases": use_cases, "dear": list(DEAR), "as_of": at_ns}
        cursor.execute(_CALLS, values)
        paired = {"use_cases": max(use_cases // 10, 1), "pairs": PAIRS_PER_USE_CASE, "cheap": list(CHEAP)}
        cursor.execute(_SHADOWED, paired)
        cursor.execute(_SHADOWS)
        cursor.execute(_SCORES)
    store.checkpoint()
    store.close()


_COMMON = """
    'shop' AS service_name, 'tierwise' AS instrumentation, 'chat' AS operation, 'openai' AS provider, false AS stream,
    ['stop'] AS finish_reasons, 0 AS cache_write_tokens, 0 AS cache_write_1h_tokens, 0 AS reasoning_tokens,
    0 AS web_searches, false AS usage_estimated, false AS usage_partial, true AS priced
"""
_UNIFORM = "((hash({key}, {salt}) % 1000003 + 0.5) / 1000003)"


def _normal(key: str, salt: int) -> str:
    first, second = (_UNIFORM.format(key=key, salt=number) for number in (salt, salt + 1))
    return f"(sqrt(-2 * ln({first})) * cos(2 * pi() * {second}))"


_CALLS = f"""
INSERT INTO llm_calls BY NAME
WITH drawn AS (
    SELECT i, (i // 8) * 8 + (hash(i, 1) % (1 + hash(i // 8, 2) % 8))::BIGINT AS conversation FROM range($calls) t(i)
),
placed AS (
    SELECT i, conversation,
           (floor($use_cases * pow({_UNIFORM.format(key="conversation", salt=3)}, 2.5)))::BIGINT AS use_case
    FROM drawn
),
sized AS (
    SELECT i, conversation, use_case, $dear[1 + (hash(use_case, 4) % len($dear))::BIGINT] AS model,
           greatest(1, 900 * exp(0.8 * {_normal("i", 5)} + 0.6 * {_normal("use_case", 7)}))::BIGINT AS input_tokens,
           greatest(1, 250 * exp(0.9 * {_normal("i", 9)} + 0.6 * {_normal("use_case", 11)}))::BIGINT AS output_tokens,
           make_timestamp_ns($as_of - (1 + (hash(i, 13) % 2500000)::BIGINT) * 1000000000) AS start_time
    FROM placed
)
SELECT
    md5(i::VARCHAR) AS trace_id, substr(md5(i::VARCHAR), 1, 16) AS span_id, start_time, start_time AS end_time,
    1.5 AS duration_s, model AS request_model, model AS requested_model, input_tokens, output_tokens,
    (input_tokens * (hash(i, 14) % 3)::BIGINT // 4) AS cache_read_tokens,
    (input_tokens * input_usd + output_tokens * output_usd)::DECIMAL(18, 12) AS cost_usd,
    'genai-prices' AS price_version, 'extraction' AS task_type, printf('uc_%06d', use_case) AS use_case_id,
    printf('use case %d', use_case) AS use_case_name, md5(conversation::VARCHAR) AS conversation_id, {_COMMON}
FROM sized JOIN price USING (model)
ORDER BY start_time
"""
_SHADOWED = """
CREATE TEMP TABLE shadowed AS
SELECT trace_id, span_id, use_case_id, task_type, start_time, input_tokens, output_tokens,
       $cheap[1 + (row_number() OVER (PARTITION BY use_case_id ORDER BY span_id) > 150)::BIGINT
              * (hash(use_case_id) % 10 = 0)::BIGINT] AS weak_model
FROM llm_calls
WHERE use_case_id < printf('uc_%06d', $use_cases::BIGINT)
QUALIFY row_number() OVER (PARTITION BY use_case_id ORDER BY span_id) <= $pairs
"""
_SHADOWS = f"""
INSERT INTO llm_calls BY NAME
SELECT
    md5(trace_id) AS trace_id, substr(md5(span_id), 1, 16) AS span_id, start_time, start_time AS end_time,
    0.7 AS duration_s, weak_model AS request_model, weak_model AS requested_model, input_tokens,
    greatest(1, output_tokens * 1.2 * exp(0.4 * {_normal("span_id", 20)}))::BIGINT AS output_tokens,
    0 AS cache_read_tokens, (input_tokens * input_usd + output_tokens * output_usd)::DECIMAL(18, 12) AS cost_usd,
    'genai-prices' AS price_version, task_type, use_case_id, trace_id AS shadow_of_trace_id,
    span_id AS shadow_of_span_id, 0.05 AS shadow_propensity, {_COMMON}
FROM shadowed JOIN price ON price.model = weak_model
ORDER BY start_time
"""
_SCORES = f"""
INSERT INTO evaluations BY NAME
WITH scored AS (
    SELECT *, ({_UNIFORM.format(key="span_id", salt=30)} < 0.9)::INTEGER AS strong_score,
           {_UNIFORM.format(key="span_id", salt=31)} < 0.97 - 0.1 * {_UNIFORM.format(key="use_case_id", salt=32)}
           AS alike
    FROM shadowed
)
SELECT trace_id, span_id, 'exact' AS name, 'check' AS source, strong_score::DOUBLE AS score, start_time AS time
FROM scored
UNION ALL BY NAME
SELECT md5(trace_id) AS trace_id, substr(md5(span_id), 1, 16) AS span_id, 'exact' AS name, 'check' AS source,
       (CASE WHEN alike THEN strong_score ELSE 0 END)::DOUBLE AS score, start_time AS time
FROM scored
ORDER BY time
"""


def measure(path: Path, *, profile: bool) -> dict[str, float | int | dict[str, int]]:
    """Search the store at `path` in this process."""
    store = open_store(f"duckdb:{path}", read_only=True)
    profiler = cProfile.Profile() if profile else None
    started, cpu_started = time.perf_counter(), time.process_time()
    if profiler is not None:
        profiler.enable()
    found = recommend(store, now=AS_OF, seed=1)
    if profiler is not None:
        profiler.disable()
        pstats.Stats(profiler, stream=sys.stderr).sort_stats("cumulative").print_stats(45)
    took, cpu = time.perf_counter() - started, time.process_time() - cpu_started
    peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    store.close()
    return {
        "seconds": took,
        "cpu_seconds": cpu,
        "peak_gib": peak_kib / 2**20,
        "recommendations": len(found),
        "states": dict(Counter(item.state for item in found)),
        "candidates_mean": sum(item.candidates for item in found) / max(len(found), 1),
        "pairs": sum(item.pair_count for item in found),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=10_000_000)
    parser.add_argument("--use-cases", type=int, default=2_000)
    parser.add_argument("--store", type=Path, help="keep the store here, and use it when it is there already")
    parser.add_argument("--profile", action="store_true", help="print where the time goes")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure is not None:
        print(json.dumps(measure(options.measure, profile=options.profile)))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        path = options.store or Path(folder) / "search.duckdb"
        if not path.exists():
            started = time.perf_counter()
            fill(path, calls=options.calls, use_cases=options.use_cases)
            print(f"store of {path.stat().st_size / 2**30:.2f} GiB made in {time.perf_counter() - started:.0f} s",
                  file=sys.stderr)  # fmt: skip
        command = [sys.executable, __file__, "--measure", str(path), *(["--profile"] if options.profile else [])]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=os.environ)
    result = json.loads(done.stdout)
    good = result["seconds"] <= MOST_SECONDS and result["peak_gib"] <= MOST_GIB
    if options.json:
        print(json.dumps({**result, "good": good}, indent=2))
    else:
        states = ", ".join(f"{count:,} {state}" for state, count in sorted(result["states"].items()))
        print(
            f"{options.calls:,} calls, {options.use_cases:,} use cases, {result['candidates_mean']:.1f} candidate "
            f"models each, {result['pairs']:,} scored pairs\n"
            f"{result['recommendations']:,} recommendations ({states})\n"
            f"{result['seconds']:.1f} s wall (aim: {MOST_SECONDS:.0f}), {result['cpu_seconds']:.1f} s CPU, "
            f"peak resident {result['peak_gib']:.2f} GiB (aim: {MOST_GIB:.0f})"
        )
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
