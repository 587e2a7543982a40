"""Tables of a team's own: a CSV, Parquet or JSON lines file with one call a row, its columns named on the command line.

Nobody documents this one. A column is found by `--map FIELD=COLUMN`, else by its name if that is among the usual ones
below, whatever its case and separators.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Final

from tierwise.call import Usage
from tierwise.imports.logged import LoggedCall, Reading, UnreadableRow
from tierwise.imports.providers import provider_and_model
from tierwise.imports.values import count, first, moment_ns, money, number, structured, text
from tierwise.instrumentation.sdk import Reply

NAME = "csv"

FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    "model": ("model", "model_name", "request_model", "llm_model", "model_id"),
    "input_tokens": ("input_tokens", "prompt_tokens", "tokens_in", "n_input_tokens", "input_token_count"),
    "output_tokens": ("output_tokens", "completion_tokens", "tokens_out", "n_output_tokens", "output_token_count"),
    "time": ("time", "timestamp", "start_time", "started_at", "created_at", "created", "date", "datetime", "ts"),
    "end_time": ("end_time", "ended_at", "completed_at", "finished_at"),
    "latency_s": ("latency_s", "duration_s", "latency_seconds", "duration_seconds"),
    "latency_ms": ("latency_ms", "duration_ms", "latency_millis"),
    "cache_read_tokens": ("cache_read_tokens", "cached_tokens", "cache_read_input_tokens", "cached_input_tokens"),
    "cache_write_tokens": ("cache_write_tokens", "cache_creation_input_tokens", "cache_creation_tokens"),
    "reasoning_tokens": ("reasoning_tokens", "thinking_tokens"),
    "prompt": ("prompt", "messages", "input", "user_message", "question", "request"),
    "system": ("system", "system_prompt", "instructions"),
    "answer": ("answer", "response", "output", "completion", "response_text", "output_text"),
    "provider": ("provider", "vendor"),
    "cost_usd": ("cost_usd", "cost", "spend", "total_cost", "price_usd"),
    "task": ("task", "task_type"),
    "use_case": ("use_case", "use_case_name", "feature", "prompt_name", "endpoint", "workflow"),
    "tenant": ("tenant", "customer", "customer_id", "team", "account"),
    "conversation": ("conversation", "conversation_id", "session_id", "thread_id"),
    "service": ("service", "service_name", "app", "application"),
    "service_tier": ("service_tier", "tier"),
    "error": ("error", "error_type", "exception"),
    "id": ("id", "call_id", "request_id", "uuid"),
    "response_id": ("response_id",),
}
"""Field → the names of columns that are taken for it."""


def claims(row: Mapping[str, Any]) -> bool:
    """Whether the row has columns that are named like a model and its tokens, or its prompt."""
    known = set(map(_plain, row))
    has = {field for field, names in FIELDS.items() if not known.isdisjoint(map(_plain, names))}
    return "model" in has and not has.isdisjoint({"input_tokens", "output_tokens", "prompt"})


def read(row: Mapping[str, Any], reading: Reading) -> Iterable[LoggedCall]:
    """The call of the row."""
    names = _columns(tuple(row), tuple(sorted(reading.column_map.items())))

    def cell(field: str) -> Any:
        return first(row, names[field]) if field in names else None

    named = text(cell("model"))
    if named is None:
        raise UnreadableRow(f"no model in the row; its columns: {', '.join(row)}; --map model=COLUMN names the one")
    provider, model = provider_and_model(text(cell("provider")), named)
    for field in ("input_tokens", "output_tokens"):
        if cell(field) is not None and count(cell(field)) is None:
            raise UnreadableRow(f"{names[field]} is {str(cell(field))[:40]!r}, which is no count of tokens")
    start_ns = moment_ns(cell("time"))
    if start_ns is None and cell("time") is not None:
        raise UnreadableRow(f"{names['time']} is {str(cell('time'))[:40]!r}, which is no time")
    body = _body(cell("prompt"), cell("system"), model)
    answer = cell("answer")
    said = answer if isinstance(answer, str) else ""
    error = text(cell("error"))
    yield LoggedCall(
        provider=provider,
        model=model,
        start_ns=start_ns,
        end_ns=moment_ns(cell("end_time")) or _end_ns(start_ns, cell("latency_s"), cell("latency_ms")),
        reply=Reply(
            id=text(cell("response_id")),
            usage=_usage(cell),
            service_tier=text(cell("service_tier")),
            output_chars=len(said),
            text=said if reading.with_text else "",
        ),
        operation="embeddings" if "embed" in model else "chat",
        body=body,
        own_id=text(cell("id")),
        error_type=None if error is None or error.lower() in ("false", "none", "null", "0") else error[:64],
        stated_usd=money(cell("cost_usd")),
        task=text(cell("task")),
        use_case_name=text(cell("use_case")),
        tenant=text(cell("tenant")),
        conversation_id=text(cell("conversation")),
        service_name=text(cell("service")),
    )


def _plain(name: str) -> str:
    return "".join(character for character in name.lower() if character.isalnum())


@lru_cache(maxsize=64)
def _columns(present: tuple[str, ...], named: tuple[tuple[str, str], ...]) -> dict[str, str]:
    """Field → the column of this row that holds it."""
    by_plain: dict[str, str] = {}
    for column in present:
        by_plain.setdefault(_plain(column), column)
    found: dict[str, str] = {}
    taken = {column for _, column in named}
    for field, names in FIELDS.items():
        column = next((by_plain[_plain(name)] for name in names if _plain(name) in by_plain), None)
        if column is not None and column not in taken:
            found[field] = column
    return {**found, **{field: column for field, column in named if column in present}}


def _usage(cell: Any) -> Usage | None:
    input_tokens, output_tokens = count(cell("input_tokens")), count(cell("output_tokens"))
    if input_tokens is None and output_tokens is None:
        return None
    read, written = count(cell("cache_read_tokens")) or 0, count(cell("cache_write_tokens")) or 0
    if input_tokens is not None and read + written > input_tokens:
        input_tokens += read + written
    return Usage(
        input_tokens,
        output_tokens,
        cache_read_tokens=read,
        cache_write_tokens=written,
        reasoning_tokens=count(cell("reasoning_tokens")) or 0,
    )


def _body(prompt: object, system: object, model: str) -> Mapping[str, Any]:
    found = structured(prompt)
    if isinstance(found, dict):
        return found
    if isinstance(found, list):
        messages: list[Any] = list(found)
    elif isinstance(found, str) and found:
        messages = [{"role": "user", "content": found}]
    else:
        return {}
    given: dict[str, Any] = {"model": model, "messages": messages}
    return {**given, "system": system} if isinstance(system, str) and system else given


def _end_ns(start_ns: int | None, seconds: object, milliseconds: object) -> int | None:
    spent = number(seconds)
    if spent is None and (spent := number(milliseconds)) is not None:
        spent /= 1000
    return None if spent is None or start_ns is None or not 0 <= spent < 1e6 else start_ns + int(spent * 1e9)
