"""OpenInference spans as Phoenix exports them: data frames with flattened attributes, or what its API answers.

Columns: https://arize.com/docs/phoenix/how-to/extract-data-from-spans (`get_spans_dataframe()`); attributes:
https://github.com/Arize-ai/openinference/blob/main/spec/semantic_conventions.md. Counts of prompt tokens include what a
cache served.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, cast

from tierwise.call import Usage
from tierwise.imports.exchange import surface_of
from tierwise.imports.logged import LoggedCall, NotACall, Reading, UnreadableRow
from tierwise.imports.providers import provider_and_model
from tierwise.imports.values import count, first, mapping, moment_ns, money, structured, text
from tierwise.instrumentation.sdk import Reply, read_parameters

NAME = "openinference"

_CALL_KINDS: Final = {"LLM": "chat", "EMBEDDING": "embeddings"}
_PREFIX: Final = "attributes."


def claims(row: Mapping[str, Any]) -> bool:
    """Whether the row is a span of Phoenix's."""
    if "context.trace_id" in row or "context.span_id" in row:
        return True
    is_span = "span_kind" in row or "spanKind" in row or "attributes.openinference.span.kind" in row
    return is_span and ("context" in row or any(name.startswith(_PREFIX) for name in row))


def read(row: Mapping[str, Any], reading: Reading) -> Iterable[LoggedCall]:
    """The call of the span."""
    found = _attributes(row)
    kind = str(first(row, "span_kind", "spanKind") or _value(found, "openinference.span.kind")).upper()
    operation = _CALL_KINDS.get(kind)
    if operation is None:
        raise NotACall(f"a span of kind {kind}, which is no call")
    named = text(_value(found, "llm.model_name") or _value(found, "embedding.model_name"))
    if named is None:
        raise UnreadableRow(f"the {kind} span names no model")
    said = text(_value(found, "llm.provider") or _value(found, "llm.system"))
    provider, model = provider_and_model(said, named)
    body = _body(found, model)
    surface = surface_of(body, None)
    context = mapping(row.get("context"))
    answer = _messages(found, "llm.output_messages")
    said_text = "".join(str(message.get("content") or "") for message in answer)
    said_text = said_text or (text(_value(found, "output.value")) or "")
    failed = str(first(row, "status_code", "statusCode") or "").upper() == "ERROR"
    span = first(row, "context.span_id", "span_id") or context.get("span_id") or context.get("spanId")
    yield LoggedCall(
        provider=provider,
        model=model,
        start_ns=moment_ns(first(row, "start_time", "startTime")),
        end_ns=moment_ns(first(row, "end_time", "endTime")),
        reply=Reply(usage=_usage(found), output_chars=len(said_text), text=said_text if reading.with_text else ""),
        operation=operation,
        api=None if surface is None else surface.api,
        body=body,
        own_id=text(span),
        trace=text(first(row, "context.trace_id", "trace_id") or context.get("trace_id") or context.get("traceId")),
        parent=text(first(row, "parent_id", "parentId")),
        parameters={} if surface is None else read_parameters(surface.parameters, body),
        error_type=(text(_value(found, "exception.type")) or "error") if failed else None,
        stated_usd=money(_value(found, "llm.cost.total")),
        conversation_id=text(_value(found, "session.id")),
        use_case_name=text(_value(found, "llm.prompt_template.name")),
    )


def _attributes(row: Mapping[str, Any]) -> dict[str, Any]:
    """The span's attributes: from its columns, or from its one member of that name."""
    flat = {name.removeprefix(_PREFIX): value for name, value in row.items() if name.startswith(_PREFIX)}
    return {**mapping(row.get("attributes")), **flat}


def _value(found: Mapping[str, Any], path: str) -> Any:
    """What stands under a dotted path, such as `llm.token_count.prompt`, in as many levels as it happens to have."""
    if path in found:
        return found[path]
    parts = path.split(".")
    for size in range(len(parts) - 1, 0, -1):
        inner = found.get(".".join(parts[:size]))
        held = structured(inner)
        if isinstance(held, dict):
            return _value(cast("Mapping[str, Any]", held), ".".join(parts[size:]))
    return None


def _usage(found: Mapping[str, Any]) -> Usage | None:
    def counted(name: str) -> int | None:
        return count(_value(found, f"llm.token_count.{name}"))

    input_tokens, output_tokens = counted("prompt"), counted("completion")
    if input_tokens is None and output_tokens is None:
        return None
    read, written = counted("prompt_details.cache_read") or 0, counted("prompt_details.cache_write") or 0
    if input_tokens is not None and read + written > input_tokens:
        input_tokens += read + written
    return Usage(
        input_tokens,
        output_tokens,
        cache_read_tokens=read,
        cache_write_tokens=written,
        reasoning_tokens=counted("completion_details.reasoning") or 0,
    )


def _body(found: Mapping[str, Any], model: str) -> Mapping[str, Any]:
    """The request, put together again from the span."""
    parameters = mapping(_value(found, "llm.invocation_parameters"))
    messages = _messages(found, "llm.input_messages")
    if not messages and (given := _value(found, "input.value")) is not None:
        whole = mapping(given)
        if "messages" in whole:
            return {**parameters, **whole}
        messages = [{"role": "user", "content": str(given)}]
    tools = [mapping(tool.get("json_schema")) for tool in _listed(found, "llm.tools", "tool.")]
    return {**parameters, "model": model, "messages": messages, "tools": tools} if messages else {}


def _messages(found: Mapping[str, Any], path: str) -> list[dict[str, Any]]:
    """Messages as the provider's SDK takes them."""
    messages = _listed(found, path, "message.")
    for message in messages:
        if (parts := message.pop("contents", None)) is not None and not message.get("content"):
            message["content"] = _text_of(parts)
    return messages


def _listed(found: Mapping[str, Any], path: str, prefix: str) -> list[dict[str, Any]]:
    """The members of a list without the `prefix` of their names: one value, or attributes with a number in the name."""
    value = structured(_value(found, path))
    if isinstance(value, list):
        items = [mapping(item) for item in cast("list[object]", value)]
    else:
        numbered: dict[int, dict[str, Any]] = {}
        for name, member in found.items():
            if (place := re.match(rf"{re.escape(path)}\.(\d+)\.(.+)", name)) is not None:
                numbered.setdefault(int(place[1]), {})[place[2]] = member
        items = [numbered[number] for number in sorted(numbered)]
    inner = prefix.rstrip(".")
    items = [mapping(item.get(inner)) or item for item in items]
    return [{name.removeprefix(prefix): member for name, member in item.items()} for item in items if item]


def _text_of(parts: object) -> str:
    """The texts among the parts of one content."""
    if not isinstance(parts, list):
        return ""
    held = [mapping(part) for part in cast("list[object]", parts)]
    texts = [_value(part, "message_content.text") for part in held]
    return "\n".join(part for part in texts if isinstance(part, str))
