"""Spans that real packages wrote, recorded by `benchmarks/dialects.py --record`: one row a call, its counts right."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import pytest

from tierwise.ingest import otlp
from tierwise.ingest.arrivals import forget_tasks, read_arrivals
from tierwise.store.duckdb import DuckDBStore

RECORDED: Final = Path(__file__).with_name("recorded")
DIALECTS: Final = (
    "official",
    "native",
    "openllmetry",
    "openinference",
    "openlit",
    "langfuse",
    "logfire",
    "vercel",
)
FIGURES: Final = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens")
CALLS: Final[dict[str, tuple[int | None, ...]]] = {
    "chat": (120, 20, 0, 0, 0),
    "chat tool": (140, 22, 0, 0, 0),
    "chat cached stream": (1200, 64, 900, 0, 0),
    "chat reasoning": (150, 90, 0, 0, 70),
    "chat refused": (None, None, 0, 0, 0),
    "responses": (1200, 64, 900, 0, 10),
    "embeddings": (90, None, 0, 0, 0),
    "messages cached": (1200, 64, 900, 200, 0),
    "messages cached stream": (1200, 64, 900, 200, 0),
    "messages barely cached": (1200, 64, 200, 0, 0),
    "messages refused": (None, None, 0, 0, 0),
}
"""FIGURES of each call, as the provider reported them."""
NOT_ON_THE_SPAN: Final = {("openlit", "chat reasoning"): ("reasoning_tokens",)}


@pytest.fixture(params=DIALECTS, scope="module")
def dialect(request: pytest.FixtureRequest) -> str:
    """A dialect that spans were recorded in."""
    return request.param


@pytest.fixture(scope="module")
def rows(dialect: str) -> dict[str, list[dict[str, Any]]]:
    """The rows of each recorded call of a dialect."""
    forget_tasks()
    recorded = json.loads((RECORDED / f"{dialect}.json").read_text(encoding="utf-8"))
    body = json.dumps(recorded["request"]).encode()
    brought = read_arrivals(otlp.read("traces", body, kind=otlp.JSON, encoding=""))
    store = DuckDBStore.open(None)
    store.land(calls=brought.calls, spans=brought.spans)
    landed = store.sql("FROM llm_calls").to_pylist()
    store.close()
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in recorded["calls"]}
    names = {trace_id: name for name, trace_id in recorded["calls"].items()}
    for row in landed:
        found[names[row["trace_id"]]].append(row)
    return found


def test_one_row_a_call(rows: dict[str, list[dict[str, Any]]]) -> None:
    """Each call is one row, however many spans stand around it or report it."""
    assert {name: len(found) for name, found in rows.items()} == dict.fromkeys(rows, 1)
    assert len(rows) >= 4


def test_figures(dialect: str, rows: dict[str, list[dict[str, Any]]]) -> None:
    """Tokens are the provider's, input the total with caches, but for what the spans do not say."""
    for name, (row,) in rows.items():
        left_out = NOT_ON_THE_SPAN.get((dialect, name), ())
        wanted = {key: value for key, value in zip(FIGURES, CALLS[name], strict=True) if key not in left_out}

        assert {key: row[key] or (0 if wanted[key] == 0 else None) for key in wanted} == wanted, name


def test_who_was_asked(rows: dict[str, list[dict[str, Any]]]) -> None:
    """Provider, model and operation are known, and whether it was a stream or failed."""
    for name, (row,) in rows.items():
        is_claude = name.startswith("messages")

        assert row["provider"] == ("anthropic" if is_claude else "openai"), name
        assert row["operation"] == ("embeddings" if name == "embeddings" else "chat"), name
        assert row["stream"] == name.endswith("stream"), name
        assert (row["error_type"] is not None) == name.endswith("refused"), name
        if not name.endswith("refused"):
            assert row["request_model"] in ("gpt-4o", "claude-opus-4-7", "text-embedding-3-small"), name
            assert row["priced"], name


def test_task(dialect: str, rows: dict[str, list[dict[str, Any]]]) -> None:
    """Where the spans carry content, the collector infers what the call is for and says how it knows."""
    tasks = {"chat tool": ("tool_use", "tools"), "embeddings": ("embedding", "operation")}
    for name, (row,) in rows.items():
        if dialect == "openlit" and name != "embeddings":
            assert (row["task_type"], row["task_source"]) == ("unknown", None), name
            continue
        wanted = tasks.get(name, ("summarization", "inferred"))

        assert (row["task_type"], row["task_source"]) == wanted, name
        assert row["complexity"], name
        assert row["use_case_id"], name


def test_answers_keep_their_ids(dialect: str, rows: dict[str, list[dict[str, Any]]]) -> None:
    """The response id is kept wherever a package says it: by it, another package's span is known as the same call."""
    silent = {"langfuse": set(rows), "logfire": {"chat cached stream"}}
    answered = {name for name in rows if not name.endswith("refused") and name != "embeddings"}

    without = {name for name in answered if rows[name][0]["response_id"] is None}

    assert without == silent.get(dialect, set()) & answered
