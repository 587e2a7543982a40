"""Helicone's export: what `npx @helicone/export` and `/v1/request/query-clickhouse` write, as JSON lines, JSON or CSV.

Fields: https://docs.helicone.ai/tools/export, https://docs.helicone.ai/rest/request/post-v1requestquery-clickhouse and
the export tool itself, https://github.com/Helicone/helicone/tree/main/examples/export/typescript. Bodies are in it with
`--include-body`; without them the task type of a call cannot be told.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

from tierwise.call import Usage
from tierwise.imports.exchange import error_of, read_reply, surface_of
from tierwise.imports.logged import LoggedCall, NotACall, Reading, UnreadableRow
from tierwise.imports.providers import provider_and_model
from tierwise.imports.values import count, first, mapping, moment_ns, money, number, structured, text
from tierwise.instrumentation.sdk import Reply, read_parameters

NAME = "helicone"

_TOOLS: Final = frozenset({"data", "tool", "vector_db"})
"""`_type` of requests that are events of the user's own, not calls."""


def claims(row: Mapping[str, Any]) -> bool:
    """Whether the row is one of a request and its response at Helicone."""
    return "request_created_at" in row or ("response_created_at" in row and "response_status" in row)


def read(row: Mapping[str, Any], reading: Reading) -> Iterable[LoggedCall]:
    """The call of the row."""
    body, answer = mapping(row.get("request_body")), structured(row.get("response_body"))
    if body.get("_type") in _TOOLS:
        raise NotACall(f"an event of type {body['_type']}, which calls no model")
    if str(row.get("cache_enabled", "")).lower() == "true" and row.get("cache_reference_id"):
        raise NotACall("answered from Helicone's own cache, so nobody billed it")
    named = text(first(row, "model_override", "request_model", "model", "response_model")) or text(body.get("model"))
    if named is None:
        raise UnreadableRow("the row names no model")
    provider, model = provider_and_model(text(row.get("provider")), named)
    surface = surface_of(body, answer, path=text(row.get("request_path")))
    reply = Reply() if surface is None or not answer else read_reply(surface, answer, with_text=reading.with_text)
    reply.usage = reply.usage or _usage(row)
    reply.model = reply.model or text(row.get("response_model"))
    start_ns, end_ns = moment_ns(row.get("request_created_at")), moment_ns(row.get("response_created_at"))
    delay_ms = number(first(row, "delay_ms", "latency"))
    if start_ns is not None and delay_ms is not None and delay_ms >= 0:
        end_ns = start_ns + int(delay_ms * 1_000_000)
    properties = mapping(first(row, "request_properties", "properties"))
    first_chunk_ms = number(row.get("time_to_first_token"))
    yield LoggedCall(
        provider=provider,
        model=model,
        start_ns=start_ns if start_ns is not None else end_ns,
        end_ns=end_ns,
        reply=reply,
        operation="chat" if surface is None else surface.operation,
        api=None if surface is None else surface.api,
        body=body,
        own_id=text(first(row, "request_id", "response_id")),
        parameters={} if surface is None else read_parameters(surface.parameters, body),
        stream=body.get("stream") is True,
        time_to_first_chunk_s=None if first_chunk_ms is None else first_chunk_ms / 1000,
        error_type=_error(row, answer),
        stated_usd=money(first(row, "costUSD", "cost_usd", "cost")),
        use_case_name=text(first(row, "prompt_id", "prompt_name")) or text(properties.get("Helicone-Prompt-Id")),
        conversation_id=text(properties.get("Helicone-Session-Id")),
    )


def _usage(row: Mapping[str, Any]) -> Usage | None:
    """The counts of the columns; their input leaves out the cached tokens where these are more than it."""
    input_tokens, output_tokens = count(row.get("prompt_tokens")), count(row.get("completion_tokens"))
    if input_tokens is None and output_tokens is None:
        return None
    read = count(row.get("prompt_cache_read_tokens")) or 0
    written = count(row.get("prompt_cache_write_tokens")) or 0
    usage = Usage(input_tokens, output_tokens, cache_read_tokens=read, cache_write_tokens=written)
    if input_tokens is not None and read + written > input_tokens:
        return replace(usage, input_tokens=input_tokens + read + written)
    return usage


def _error(row: Mapping[str, Any], answer: object) -> str | None:
    status = number(row.get("response_status"))
    if status is None or 200 <= status < 400:
        return None
    # Helicone writes negative numbers for what never got an answer: -1 timeout, -2 pending, -3 cancelled, -4 threat.
    return error_of(answer) or (f"HTTP {status:.0f}" if status > 0 else "no_answer")
