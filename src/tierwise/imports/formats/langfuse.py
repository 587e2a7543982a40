"""Langfuse's exports of observations: from the UI (CSV, JSON), to blob storage (CSV, JSON, JSON lines), and its API's.

Fields: https://langfuse.com/docs/api-and-data-platform/features/blob-storage-export-fields (names with underscores, in
the enriched and the older files), https://langfuse.com/docs/api-and-data-platform/features/export-from-ui and
https://api.reference.langfuse.com (names in camel case). Usage by kind of token:
https://langfuse.com/docs/observability/features/token-and-cost-tracking.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, cast

from tierwise.call import AttributeValue
from tierwise.imports.exchange import EMBEDDINGS, read_reply, surface_of, surface_of_answer
from tierwise.imports.logged import LoggedCall, NotACall, Reading, UnreadableRow
from tierwise.imports.providers import provider_and_model
from tierwise.imports.usage import retold_usage
from tierwise.imports.values import count, first, mapping, moment_ns, money, structured, text
from tierwise.instrumentation.sdk import Reply, read_parameters

NAME = "langfuse"

_CALL_TYPES: Final = frozenset({"GENERATION", "EMBEDDING"})


def claims(row: Mapping[str, Any]) -> bool:
    """Whether the row is an observation."""
    is_placed = "traceId" in row or "trace_id" in row
    return is_placed and "type" in row and ("startTime" in row or "start_time" in row) and "attributes" not in row


def read(row: Mapping[str, Any], reading: Reading) -> Iterable[LoggedCall]:
    """The call of the observation."""
    kind = str(row["type"]).upper()
    if kind not in _CALL_TYPES:
        raise NotACall(f"an observation of type {kind}, which is no call")
    named = text(first(row, "model", "providedModelName", "provided_model_name", "internalModel", "modelId"))
    if named is None:
        raise UnreadableRow("the observation names no model")
    metadata = mapping(row.get("metadata"))
    said = text(first(mapping(metadata.get("attributes")), "gen_ai.provider.name", "gen_ai.system"))
    provider, model = provider_and_model(said or text(metadata.get("ls_provider")), named)
    body, answer = _body(row.get("input")), structured(row.get("output"))
    parameters = mapping(first(row, "modelParameters", "model_parameters"))
    surface = EMBEDDINGS if kind == "EMBEDDING" else surface_of({"model": model, **body}, answer)
    start_ns = moment_ns(first(row, "startTime", "start_time"))
    chunk_ns = moment_ns(first(row, "completionStartTime", "completion_start_time"))
    identity, trace = first(row, "id", "span_id"), first(row, "traceId", "trace_id")
    yield LoggedCall(
        provider=provider,
        model=model,
        start_ns=start_ns,
        end_ns=moment_ns(first(row, "endTime", "end_time")),
        reply=_reply(row, answer, with_text=reading.with_text),
        operation="embeddings" if kind == "EMBEDDING" else "chat",
        api=None if surface is None or not body else surface.api,
        body=body,
        own_id=text(identity),
        trace=text(trace),
        parent=text(first(row, "parentObservationId", "parent_observation_id")),
        parameters=_parameters(surface and surface.parameters, {**parameters, **body}),
        stream=chunk_ns is not None,
        time_to_first_chunk_s=None if chunk_ns is None or start_ns is None else max(0.0, (chunk_ns - start_ns) / 1e9),
        error_type="error" if str(row.get("level", "")).upper() == "ERROR" else None,
        stated_usd=_cost(row),
        use_case_name=text(first(row, "promptName", "prompt_name")),
        tenant=text(metadata.get("tenant")),
        conversation_id=text(first(row, "sessionId", "session_id")),
        service_name=text(mapping(metadata.get("resourceAttributes")).get("service.name")),
    )


def _parameters(known: Any, given: Mapping[str, Any]) -> Mapping[str, AttributeValue]:
    return {} if known is None else read_parameters(known, given)


def _body(given: object) -> Mapping[str, Any]:
    """The request of an input: SDKs write its keyword arguments, its messages, or the prompt alone."""
    found = structured(given)
    if isinstance(found, dict):
        held = cast("Mapping[str, Any]", found)
        if "messages" in held or "input" in held or "prompt" in held:
            return held
        if isinstance(held.get("role"), str):
            return {"messages": [held]}
        return {"messages": [{"role": "user", "content": str(given)}]} if held else {}
    if isinstance(found, list) and found:
        return {"messages": found}
    return {"messages": [{"role": "user", "content": found}]} if isinstance(found, str) and found else {}


def _reply(row: Mapping[str, Any], answer: object, *, with_text: bool) -> Reply:
    surface = surface_of_answer(mapping(answer))
    if surface is not None:
        reply = read_reply(surface, answer, with_text=with_text)
    else:
        held = mapping(answer).get("content") or answer
        said = held if isinstance(held, str) else "" if held is None else str(held)
        reply = Reply(output_chars=len(said), text=said if with_text else "")
    # What Langfuse counts is what it shows and bills by, whatever the output it keeps still says.
    counted = mapping(first(row, "usageDetails", "usage_details")) or mapping(row.get("usage"))
    reply.usage = retold_usage(counted) or retold_usage(_columns(row)) or reply.usage
    return reply


def _columns(row: Mapping[str, Any]) -> dict[str, int]:
    """Counts in columns of their own, as older exports and tables have them."""
    input_tokens = count(first(row, "promptTokens", "inputUsage", "prompt_tokens", "input_usage", "inputTokens"))
    output_tokens = count(
        first(row, "completionTokens", "outputUsage", "completion_tokens", "output_usage", "outputTokens")
    )
    # Tables show 0 where nothing was counted.
    found = {"prompt_tokens": input_tokens, "completion_tokens": output_tokens}
    return {name: value for name, value in found.items() if value} if input_tokens or output_tokens else {}


def _cost(row: Mapping[str, Any]) -> Any:
    stated = first(row, "totalCost", "total_cost", "calculatedTotalCost", "calculated_total_cost")
    if stated is None:
        stated = mapping(first(row, "costDetails", "cost_details")).get("total")
    return money(stated) or None
