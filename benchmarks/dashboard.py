"""How long the script of each dashboard page takes on a large store, cold and warm.

    python benchmarks/dashboard.py                          # a million calls, 2,000 use cases, a minute
    python benchmarks/dashboard.py --calls 10_000_000 --store /data/dashboard.duckdb
    python benchmarks/dashboard.py --ingest                 # while calls are landing

The store is that of `recommend/search.py`, moved so that its newest call is of now. Each page runs as Streamlit runs
it, without a browser: cold with empty caches, warm with the figures that a reader before has had worked out, which is
what a page costs within its ten seconds of cache. Times are the wall's, best and worst of the rounds. Exit code 1 when
a page takes more than a second warm.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Generator
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "benchmarks" / "recommend"), str(ROOT / "dashboards")]

import search  # noqa: E402
import streamlit as st  # noqa: E402
from streamlit import config  # noqa: E402
from streamlit.testing.v1 import AppTest  # noqa: E402

from tierwise.recommend import actions  # noqa: E402
from tierwise.store.duckdb import DuckDBStore  # noqa: E402

MOST_WARM_S = 1.0
VIEWS = sorted(path.stem for path in (ROOT / "dashboards" / "views").glob("*.py"))


def fill(path: Path, *, calls: int, use_cases: int) -> None:
    """Write the store at `path`, its newest call of now, with recommendations worked out."""
    search.fill(path, calls=calls, use_cases=use_cases)
    store = DuckDBStore.open(path)
    seconds = (datetime.now(UTC) - search.AS_OF).total_seconds()
    with store.cursor() as cursor:
        for table, columns in (("llm_calls", ("start_time", "end_time")), ("evaluations", ("time",))):
            moved = ", ".join(
                f"{column} = ({column}::TIMESTAMP + to_seconds({seconds}))::TIMESTAMP_NS" for column in columns
            )
            cursor.execute(f"UPDATE {table} SET {moved}")
    actions.refresh(store, now=datetime.now(UTC))
    store.checkpoint()
    store.close()


def draw(page: str) -> float:
    """Run a page once; seconds of wall time."""
    app = AppTest.from_file(str(ROOT / "dashboards" / "app.py"), default_timeout=600)
    app.switch_page(f"views/{page}.py")
    started = time.perf_counter()
    app.run()
    took = time.perf_counter() - started
    if app.exception or app.error:
        raise SystemExit(f"{page}: {[item.value for item in (*app.exception, *app.error)]}")
    return took


def forget() -> None:
    """Empty the caches of figures; the store stays open."""
    st.cache_data.clear()


@contextlib.contextmanager
def ingesting(path: Path) -> Generator[None]:
    """Calls that land meanwhile, a thousand every half second."""
    import connection

    stopping = threading.Event()
    store = connection.store()

    def land() -> None:
        while not stopping.wait(0.5):
            with store.cursor() as cursor:  # type: ignore[attr-defined]
                cursor.execute(
                    "INSERT INTO llm_calls BY NAME SELECT * REPLACE (md5(trace_id || now()::VARCHAR) AS trace_id, "
                    "now()::TIMESTAMP::TIMESTAMP_NS AS start_time) FROM llm_calls LIMIT 1000"
                )

    thread = threading.Thread(target=land, daemon=True)
    thread.start()
    yield
    stopping.set()
    thread.join()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=1_000_000)
    parser.add_argument("--use-cases", type=int, default=2_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--store", type=Path, help="keep the store here, and use it when it is there already")
    parser.add_argument("--ingest", action="store_true", help="land calls meanwhile")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = (options.store or Path(folder) / "dashboard.duckdb").resolve()
        if not path.exists():
            fill(path, calls=options.calls, use_cases=options.use_cases)
        os.environ["TIERWISE_DB"] = f"duckdb:{path}"
        config.set_option("server.address", "127.0.0.1")
        draw("coverage")  # imports and the opening of the store are no page's
        rows: list[dict[str, object]] = []
        with ingesting(path) if options.ingest else contextlib.nullcontext():
            for page in VIEWS:
                cold: list[float] = []
                warm: list[float] = []
                for _ in range(options.rounds):
                    forget()
                    cold.append(draw(page))
                    warm.append(draw(page))
                rows.append(
                    {
                        "page": page,
                        "cold_s": min(cold),
                        "cold_worst_s": max(cold),
                        "warm_s": min(warm),
                        "warm_worst_s": max(warm),
                    }
                )
    good = all(float(str(row["warm_worst_s"])) <= MOST_WARM_S for row in rows)
    if options.json:
        print(json.dumps({"calls": options.calls, "pages": rows, "good": good}, indent=2))
    else:
        meanwhile = ", calls landing meanwhile" if options.ingest else ""
        print(f"{options.calls:,} calls, {options.use_cases:,} use cases{meanwhile}")
        print(f"{'page':<18}{'cold':>9}{'worst':>9}{'warm':>9}{'worst':>9}")
        for row in rows:
            figures = (float(str(row[name])) for name in ("cold_s", "cold_worst_s", "warm_s", "warm_worst_s"))
            print(f"{row['page']:<18}" + "".join(f"{figure:>7.2f} s" for figure in figures))
        print(f"aim: {MOST_WARM_S:g} s warm")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
