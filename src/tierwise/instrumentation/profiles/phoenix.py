"""Phoenix and other OpenInference backends: span kind, the input and output columns, tags.

Phoenix computes costs from tokens with a list of its own and shows no other; `llm.cost.*` are for backends that read
what OpenInference says.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast

from tierwise import semconv as sc
from tierwise.attributes import from_attributes
from tierwise.call import AttributeValue

_JSON, _PLAIN = "application/json", "text/plain"


def translate(attributes: Mapping[str, Any]) -> dict[str, AttributeValue]:
    """OpenInference attributes of a call."""
    call = from_attributes(attributes)
    extra: dict[str, AttributeValue] = {
        "openinference.span.kind": "EMBEDDING" if call.operation == "embeddings" else "LLM",
        "tag.tags": tuple(f"{name}:{value}" for name, value in _tags(call.task_type, call.use_case_name)),
    }
    if call.usage.reasoning_tokens:
        extra["llm.token_count.completion_details.reasoning"] = call.usage.reasoning_tokens
    if (cost := call.cost) is not None:
        extra["llm.cost.prompt"] = float(cost.input_usd + cost.cache_read_usd + cost.cache_write_usd)
        extra["llm.cost.completion"] = float(cost.output_usd)
        extra["llm.cost.total"] = float(cost.total_usd)
    for column, key in (("input", sc.INPUT_MESSAGES), ("output", sc.OUTPUT_MESSAGES)):
        messages = attributes.get(key)
        if isinstance(messages, str):
            text = _last_text(messages)
            extra[f"{column}.value"] = messages if text is None else text
            extra[f"{column}.mime_type"] = _JSON if text is None else _PLAIN
    return extra


def _tags(task_type: str, use_case_name: str | None) -> list[tuple[str, str]]:
    return [("task", task_type), *([("use_case", use_case_name)] if use_case_name else [])]


def _last_text(messages: str) -> str | None:
    """The text of the last of the messages; None when it is more than text, such as a tool call."""
    try:
        parts: Any = json.loads(messages)[-1]["parts"]
    except (ValueError, LookupError, TypeError):
        return None
    texts: list[str] = []
    for part in cast("list[Any]", parts) if isinstance(parts, list) else [None]:
        content = cast("Mapping[str, Any]", part).get("content") if isinstance(part, Mapping) else None
        if not isinstance(content, str):
            return None
        texts.append(content)
    return "\n".join(texts)
