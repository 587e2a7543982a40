"""LiteLLM's spend logs: rows of the table LiteLLM_SpendLogs, or what `/spend/logs` answers, as JSON or CSV.

Columns: https://github.com/BerriAI/litellm/blob/main/schema.prisma (model LiteLLM_SpendLogs); when requests and answers
are in them: https://docs.litellm.ai/docs/proxy/ui_logs. Its counts of input tokens include what a cache served.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from tierwise.imports.exchange import read_reply, surface_of, surface_of_answer
from tierwise.imports.logged import LoggedCall, NotACall, Reading, UnreadableRow
from tierwise.imports.providers import provider_and_model
from tierwise.imports.usage import retold_usage
from tierwise.imports.values import count, first, mapping, moment_ns, money, structured, text
from tierwise.instrumentation.sdk import Reply, read_parameters

NAME = "litellm"

_OPERATIONS: Final = {
    "aembedding": "embeddings",
    "atext_completion": "text_completion",
    "embedding": "embeddings",
    "text_completion": "text_completion",
}
_NOT_MODELS: Final = ("call_mcp_tool", "health", "list_mcp_tools")


def claims(row: Mapping[str, Any]) -> bool:
    """Whether the row is one of the table's."""
    return "request_id" in row and "call_type" in row and ("startTime" in row or "spend" in row)


def read(row: Mapping[str, Any], reading: Reading) -> Iterable[LoggedCall]:
    """The call of the row."""
    call_type = str(row["call_type"])
    if call_type in _NOT_MODELS:
        raise NotACall(f"call_type {call_type}, which calls no model")
    if str(row.get("cache_hit", "")).lower() == "true":
        raise NotACall("answered from LiteLLM's own cache, so nobody billed it")
    named = text(first(row, "model", "model_group"))
    if named is None:
        raise UnreadableRow("the row names no model")
    provider, model = provider_and_model(text(row.get("custom_llm_provider")), named)
    metadata = mapping(row.get("metadata"))
    body, answer = _body(row), structured(row.get("response"))
    reply = _reply(body, answer, row, metadata, with_text=reading.with_text)
    if reply.model is not None:
        # LiteLLM puts its own name of the model into the answer.
        reply.model = provider_and_model(None, reply.model)[1]
    surface = surface_of(body, answer) if body else surface_of_answer(mapping(answer))
    failed = str(row.get("status", "")).lower() == "failure"
    start_ns = moment_ns(row.get("startTime"))
    yield LoggedCall(
        provider=provider,
        model=model,
        start_ns=start_ns,
        end_ns=moment_ns(row.get("endTime")),
        reply=reply,
        operation=_OPERATIONS.get(call_type, "chat"),
        api=None if surface is None else surface.api,
        body=body,
        own_id=text(row["request_id"]),
        parameters={} if surface is None else read_parameters(surface.parameters, body),
        stream=body.get("stream") is True,
        time_to_first_chunk_s=_first_chunk_s(start_ns, row),
        error_type=_error(metadata) if failed else None,
        stated_usd=None if failed else money(row.get("spend")),
        tenant=text(first(row, "team_id", "organization_id")),
        conversation_id=text(row.get("session_id")),
    )


def _body(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """The request, where the proxy was told to store it."""
    request = mapping(row.get("proxy_server_request"))
    request = mapping(request.get("body")) or request
    if "messages" in request or "input" in request or "prompt" in request:
        return request
    messages = structured(row.get("messages"))
    if isinstance(messages, list) and messages:
        return {"messages": messages}
    return {"messages": [{"role": "user", "content": messages}]} if isinstance(messages, str) and messages else {}


def _reply(
    body: Mapping[str, Any], answer: object, row: Mapping[str, Any], metadata: Mapping[str, Any], *, with_text: bool
) -> Reply:
    surface = surface_of(body, answer)
    reply = Reply() if surface is None or not answer else read_reply(surface, answer, with_text=with_text)
    if reply.usage is None:
        counts = {**row, **mapping(metadata.get("additional_usage_values"))}
        # A row of zeros is a call of which nothing was counted, such as one that failed.
        counts = counts if count(row.get("prompt_tokens")) or count(row.get("completion_tokens")) else {}
        reply.usage = retold_usage(mapping(metadata.get("usage_object"))) or retold_usage(counts)
    return reply


def _first_chunk_s(start_ns: int | None, row: Mapping[str, Any]) -> float | None:
    at_ns, end_ns = moment_ns(row.get("completionStartTime")), moment_ns(row.get("endTime"))
    # For an answer in one piece the proxy writes the end here.
    return None if start_ns is None or at_ns is None or at_ns == end_ns else max(0.0, (at_ns - start_ns) / 1e9)


def _error(metadata: Mapping[str, Any]) -> str:
    found = mapping(metadata.get("error_information"))
    return text(first(found, "error_class", "error_code")) or "failure"
