from __future__ import annotations

import gzip
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tierwise.errors import TierwiseError
from tierwise.imports import importer
from tierwise.imports.importer import Importer, Problem, Totals
from tierwise.imports.sources import find_sources
from tierwise.instrumentation.content_capture import ContentCapture
from tierwise.store.duckdb import DuckDBStore

REQUEST = {"model": "gpt-5.4", "messages": [{"role": "user", "content": "Translate to French: good morning to you"}]}


def exchange(number: int, *, at_s: int | None = None, **beside: Any) -> dict[str, Any]:
    answer = {
        "id": f"chatcmpl-{number}",
        "object": "chat.completion",
        "created": 1_793_613_600 + number if at_s is None else at_s,
        "model": "gpt-5.4",
        "choices": [{"finish_reason": "stop", "message": {"content": "bonjour"}}],
        "usage": {"prompt_tokens": 100 + number, "completion_tokens": 5},
    }
    return {"request": REQUEST, "response": answer, **beside}


def spend_log(number: int) -> dict[str, Any]:
    return {
        "request_id": f"req-{number}",
        "call_type": "acompletion",
        "spend": 0.1,
        "prompt_tokens": 10,
        "completion_tokens": 5,
        "startTime": f"2026-11-02T10:00:{number:02}Z",
        "endTime": f"2026-11-02T10:00:{number:02}Z",
        "model": "gpt-5.4",
        "custom_llm_provider": "openai",
        "metadata": {},
    }


OTLP = {
    "resourceSpans": [
        {
            "scopeSpans": [
                {
                    "scope": {"name": "opentelemetry.instrumentation.openai"},
                    "spans": [
                        {
                            "traceId": "4bf92f3577b34da6a3ce929d0e0e4736",
                            "spanId": f"b1946ac92492d23{number}",
                            "name": name,
                            "startTimeUnixNano": "1793613600000000000",
                            "endTimeUnixNano": "1793613602000000000",
                            "attributes": [{"key": key, "value": value} for key, value in attributes.items()],
                        }
                        for number, (name, attributes) in enumerate(
                            [
                                ("GET /", {}),
                                (
                                    "chat gpt-5.4",
                                    {
                                        "gen_ai.operation.name": {"stringValue": "chat"},
                                        "gen_ai.provider.name": {"stringValue": "openai"},
                                        "gen_ai.request.model": {"stringValue": "gpt-5.4"},
                                        "gen_ai.usage.input_tokens": {"intValue": "100"},
                                        "gen_ai.usage.output_tokens": {"intValue": "5"},
                                        "gen_ai.input.messages": {"stringValue": "[private]"},
                                    },
                                ),
                            ]
                        )
                    ],
                }
            ]
        }
    ]
}


@pytest.fixture
def store() -> Iterator[DuckDBStore]:
    opened = DuckDBStore.open(None)
    yield opened
    opened.close()


def write(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def run(store: DuckDBStore, *paths: Path, **options: Any) -> tuple[Totals, list[Problem]]:
    problems: list[Problem] = []
    found = Importer(store, on_problem=problems.append, **options).run(find_sources([str(path) for path in paths]))
    return found, problems


def one(store: DuckDBStore, statement: str) -> Any:
    return next(iter(store.sql(statement).to_pylist()[0].values()))


def test_a_file_imported_twice_adds_nothing(store: DuckDBStore, tmp_path: Path) -> None:
    """The same log again, under another name, compressed and with more behind it, adds only what is new."""
    path = write(tmp_path / "a.jsonl", [exchange(number) for number in range(20)])
    longer = tmp_path / "b.jsonl.gz"
    longer.write_bytes(gzip.compress(path.read_bytes() + json.dumps(exchange(99)).encode()))

    first, _ = run(store, path)
    again, _ = run(store, path)
    more, _ = run(store, longer)

    assert (first.added, first.known) == (20, 0)
    assert (again.added, again.known) == (0, 20)
    assert (more.added, more.known) == (1, 20)
    assert one(store, "SELECT count(*) FROM llm_calls") == 21


def test_rows_that_are_the_same_are_calls_of_their_own(store: DuckDBStore, tmp_path: Path) -> None:
    """Two equal rows without an id are two calls, and stay two when imported again; with an id they are one."""
    row = {"model": "gpt-5.4", "input_tokens": 10, "output_tokens": 5, "date": "2026-11-02"}
    path = write(tmp_path / "a.jsonl", [row, row, {**row, "id": "x"}, {**row, "id": "x"}])

    first, _ = run(store, path)
    again, _ = run(store, path)

    assert (first.calls, first.added, first.known) == (4, 3, 1)
    assert again.added == 0


def test_calls_without_a_time_are_known_again(store: DuckDBStore, tmp_path: Path) -> None:
    """A log without times has the file's, and is known again when the file is newer."""
    row = {"model": "gpt-5.4", "input_tokens": 10, "output_tokens": 5}
    path = write(tmp_path / "a.jsonl", [row, row])
    os.utime(path, (1_700_000_000, 1_700_000_000))

    first, _ = run(store, path)
    os.utime(path, (1_750_000_000, 1_750_000_000))
    again, _ = run(store, path)

    assert (first.added, first.undated, again.added) == (2, 2, 0)
    assert one(store, "SELECT epoch(min(start_time)) FROM llm_calls") == 1_700_000_000


def test_mixed_formats_and_broken_lines(store: DuckDBStore, tmp_path: Path) -> None:
    """Each row tells its format; what cannot be read is reported with line and reason, and the rest lands."""
    path = write(
        tmp_path / "mixed.jsonl",
        [exchange(1), '{"request": {"mod', spend_log(2), OTLP, {"hello": 1}, [1, 2], exchange(3)],
    )

    totals, problems = run(store, path)

    assert dict(totals.formats) == {"openai": 2, "litellm": 1, "otlp": 1}
    assert (totals.rows, totals.calls, totals.added, totals.spans, totals.refused) == (7, 4, 4, 1, 3)
    assert [problem.line for problem in problems] == [2, 5, 6]
    assert "not written to its end" in problems[0].reason
    assert problems[1].reason == "of no known format: its members are hello"
    assert one(store, "SELECT count(*) FROM llm_calls WHERE priced") == 4


def test_a_format_that_is_given_refuses_the_others(store: DuckDBStore, tmp_path: Path) -> None:
    """With a format given, rows of another are reported; an unknown format is an error that lists the known."""
    path = write(tmp_path / "mixed.jsonl", [exchange(1), spend_log(2)])

    totals, problems = run(store, path, format_name="litellm")

    assert (totals.calls, totals.refused) == (1, 1)
    assert "not of the format litellm" in problems[0].reason
    with pytest.raises(TierwiseError, match="formats: otlp"):
        Importer(store, format_name="excel")


def test_a_shape_that_its_format_does_not_have(store: DuckDBStore, tmp_path: Path) -> None:
    """A row whose members are of odd types is one row's loss."""
    odd = exchange(1)
    odd["response"]["choices"] = 7
    odd["response"]["usage"] = [1]
    path = write(tmp_path / "a.jsonl", [odd, {**exchange(2), "request": {"model": ["x"], "messages": 5}}, exchange(3)])

    totals, _ = run(store, path)

    assert totals.rows == totals.calls + totals.refused == 3
    assert totals.calls >= 1


def test_missing_usage_and_unknown_models_are_counted(store: DuckDBStore, tmp_path: Path) -> None:
    """Estimates, calls without a price and calls without a task are counted, each reason by itself."""
    silent = exchange(1)
    del silent["response"]["usage"]
    unknown = {"model": "house-model", "input_tokens": 5, "output_tokens": 5, "time": 1_793_613_600}
    bare = {"model": "gpt-5.4", "latency_ms": 5, "input": "", "output_tokens": None, "time": 1_793_613_601}
    path = write(tmp_path / "a.jsonl", [silent, unknown, bare])

    totals, _ = run(store, path, column_map=None)

    assert (totals.estimated, totals.unclassified) == (1, 2)
    assert "no price for unknown/house-model" in totals.unpriced
    assert one(store, "SELECT count(*) FROM llm_calls WHERE usage_estimated") == 1


def test_the_requests_of_a_batch_tell_what_its_answers_are_for(store: DuckDBStore, tmp_path: Path) -> None:
    """A batch's input before its output gives the answers a task type, at the batch's price."""
    orders = write(
        tmp_path / "1.jsonl", [{"custom_id": "r", "method": "POST", "url": "/v1/chat/completions", "body": REQUEST}]
    )
    response = {"status_code": 200, "body": exchange(1)["response"]}
    answers = write(tmp_path / "2.jsonl", [{"id": "b", "custom_id": "r", "response": response, "error": None}])

    totals, _ = run(store, orders, answers)

    assert (totals.orders, totals.calls) == (1, 1)
    assert store.sql("SELECT task_type, service_tier FROM llm_calls").to_pylist() == [
        {"task_type": "translation", "service_tier": "batch"}
    ]


def test_content_stays_out(store: DuckDBStore, tmp_path: Path) -> None:
    """No prompt or answer is stored unless asked for, from spans neither; asked for, both are."""
    path = write(tmp_path / "a.jsonl", [exchange(1), OTLP])
    kept = DuckDBStore.open(None)

    run(store, path)
    run(kept, path, capture=ContentCapture(on_spans=True))

    everything = "SELECT string_agg(COLUMNS(*)::VARCHAR, ' ') FROM (SELECT attributes::JSON AS a FROM llm_calls)"
    assert "private" not in one(store, everything)
    assert "good morning" not in one(store, everything)
    assert "private" in one(kept, everything)
    assert "good morning" in one(kept, everything)
    kept.close()


def test_breaking_off_keeps_what_has_landed(
    store: DuckDBStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C ends an import with what has landed; the same import again brings the rest."""
    monkeypatch.setattr(importer, "BATCH", 5)
    path = write(tmp_path / "a.jsonl", [exchange(number) for number in range(12)])
    reading = Importer(store)
    taken = reading._take

    def interrupted(source: Any, row: Any) -> None:
        if row.line == 8:
            raise KeyboardInterrupt
        taken(source, row)

    monkeypatch.setattr(reading, "_take", interrupted)

    broken = reading.run(find_sources([str(path)]))
    rest, _ = run(store, path)

    assert (broken.interrupted, broken.added) == (True, 5)
    assert (rest.interrupted, rest.added, rest.known) == (False, 7, 5)


def test_progress_is_told(store: DuckDBStore, tmp_path: Path) -> None:
    """Bytes rise to the size of all files together."""
    paths = [write(tmp_path / f"{name}.jsonl", [exchange(1)] * 3) for name in "ab"]
    told: list[int] = []

    run(store, *paths, on_progress=lambda done, _: told.append(done))

    assert told == sorted(told)
    assert told[-1] == sum(path.stat().st_size for path in paths)
