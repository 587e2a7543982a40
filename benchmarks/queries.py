"""How long each named query takes on a large store, cold and warm, over a month of it and for one use case.

    python benchmarks/queries.py                                    # 10 million calls; making the store takes 2 minutes
    python benchmarks/queries.py --store /data/calls.duckdb --json

The store is that of `benchmarks/recommend/search.py`. Queries of the dashboard's pages are held to 300 ms warm (median
of five); those marked `batch` feed recommendations and simulations, which have a benchmark of their own. `floor` is
what DuckDB takes to add up one column of the same rows: no query that looks at every call can be faster.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent / "recommend"))

from search import AS_OF, fill

from tierwise.store import named, open_store

MOST_MS = 300.0
REPEATS = 5
BATCH = frozenset({"calls", "pairs", "rule_arms", "rule_scores", "savings_calls", "savings_cells", "shadows"})
"""Prefixes `lever_` too: all of them read rows by the million to hand them on."""
NEEDED: dict[str, dict[str, Any]] = {
    "savings_cells": {"units": 50},
    "lever_cache": {"units": 50},
    "lever_effort": {"units": 50},
    "lever_waste": {"units": 50},
}
FLOOR = "SELECT sum(cost_usd) FROM llm_calls"


def is_batch(name: str) -> bool:
    return name in BATCH or name.startswith("lever_")


def timed(work: Any) -> float:
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1000


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=10_000_000)
    parser.add_argument("--use-cases", type=int, default=2_000)
    parser.add_argument("--store", type=Path, help="keep the store here, and use it when it is there already")
    parser.add_argument("--batch", action="store_true", help="time the batch queries too")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = options.store or Path(folder) / "queries.duckdb"
        if not path.exists():
            fill(path, calls=options.calls, use_cases=options.use_cases)
        store = open_store(f"duckdb:{path}", read_only=True)
        rows: list[dict[str, Any]] = []
        floor = [timed(lambda: store.sql(FLOOR)) for _ in range(REPEATS + 1)]
        for name in named.names():
            if is_batch(name) and not options.batch:
                continue
            ranges: dict[str, dict[str, Any]] = {
                "month": {"since": AS_OF - timedelta(days=30)},
                "use case": {"since": AS_OF - timedelta(days=30), "use_case": "uc_000010"},
            }
            row: dict[str, Any] = {"query": name, "batch": is_batch(name)}
            for label, given in ranges.items():
                known = {key: value for key, value in given.items() if f"${key}" in named.text(name)}
                if len(known) < len(given) and label != "month":
                    continue
                parameters = {**NEEDED.get(name, {}), **known}
                times = [timed(lambda p=parameters, n=name: store.query(n, **p)) for _ in range(REPEATS + 1)]
                row[label] = {"first_ms": times[0], "warm_ms": statistics.median(times[1:])}
            rows.append(row)
            print(f"{name}: {row['month']['warm_ms']:.0f} ms", file=sys.stderr)
        store.close()
    late = [row["query"] for row in rows if not row["batch"] and row["month"]["warm_ms"] > MOST_MS]
    if options.json:
        print(json.dumps({"floor_ms": statistics.median(floor[1:]), "queries": rows, "late": late}, indent=2))
        return 1 if late else 0
    print(f"floor, one column added up: {statistics.median(floor[1:]):.0f} ms warm\n")
    print(f"{'query':20}{'first':>10}{'warm':>10}{'x floor':>9}{'one use case, warm':>21}")
    for row in rows:
        one = row.get("use case")
        print(
            f"{row['query']:20}{row['month']['first_ms']:8.0f} ms{row['month']['warm_ms']:7.0f} ms"
            f"{row['month']['warm_ms'] / statistics.median(floor[1:]):9.1f}"
            + (f"{one['warm_ms']:18.0f} ms" if one else f"{'-':>21}")
            + ("  batch" if row["batch"] else "")
        )
    print(f"\nover {MOST_MS:.0f} ms: {', '.join(late) or 'none'}")
    return 1 if late else 0


if __name__ == "__main__":
    raise SystemExit(main())
