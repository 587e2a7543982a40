"""OpenAI's Responses API on the wire.

Shapes follow recorded traffic of api.openai.com and the types of openai 3.54.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from tierwise.testing.answers import ProviderUsage
from tierwise.testing.exchange import Exchange, arguments_json, json_wire, sse_event

_INCOMPLETE_REASONS: Final = {"length": "max_output_tokens", "content_filter": "content_filter"}
_ECHOED_DEFAULTS: Final[dict[str, Any]] = {
    "frequency_penalty": 0.0,
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "presence_penalty": 0.0,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "reasoning": {"effort": None, "summary": None},
    "safety_identifier": None,
    "store": True,
    "temperature": 1.0,
    "text": {"format": {"type": "text"}, "verbosity": "medium"},
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": 1.0,
    "truncation": "disabled",
    "user": None,
}
"""Request parameters a response repeats, with what it says where the request was silent."""


def usage_block(usage: ProviderUsage) -> dict[str, Any]:
    """`usage` of a response: `input_tokens` is the total, cached tokens are a part of it."""
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {
            "cached_tokens": usage.cache_read,
            "cache_write_tokens": usage.cache_write,
            "cache_write_tokens_details": {
                "ttl_30m_tokens": usage.cache_write_5m,
                "ttl_12h_tokens": usage.cache_write_1h,
            },
        },
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }


def _tool_usage(web_searches: int) -> dict[str, Any]:
    """Hosted tools a response used; they are billed beside the tokens."""
    no_tokens = {"image_tokens": 0, "text_tokens": 0}
    return {
        "image_gen": {
            "input_tokens": 0,
            "input_tokens_details": no_tokens,
            "output_tokens": 0,
            "output_tokens_details": no_tokens,
            "total_tokens": 0,
        },
        "web_search": {"num_requests": web_searches},
    }


def _body(exchange: Exchange) -> dict[str, Any]:
    incomplete_reason = _INCOMPLETE_REASONS.get(exchange.finish_reason)
    return {
        **_envelope(exchange),
        "status": "incomplete" if incomplete_reason else "completed",
        "completed_at": exchange.created_s,
        "incomplete_details": {"reason": incomplete_reason} if incomplete_reason else None,
        "output": _output_items(exchange),
        "tool_usage": _tool_usage(exchange.usage.web_searches),
        "usage": usage_block(exchange.usage) if exchange.answer.report_usage else None,
    }


def _envelope(exchange: Exchange) -> dict[str, Any]:
    """A response that has not said anything yet."""
    body = exchange.request.body
    return {
        "id": exchange.id("resp_"),
        "object": "response",
        "created_at": exchange.created_s,
        "status": "in_progress",
        "background": body.get("background") is True,
        "completed_at": None,
        "error": None,
        "incomplete_details": None,
        "model": exchange.model,
        "output": [],
        **{name: body.get(name, default) for name, default in _ECHOED_DEFAULTS.items()},
        "service_tier": exchange.answer.service_tier or "default",
        "tool_usage": _tool_usage(0),
        "usage": None,
    }


def _output_items(exchange: Exchange) -> list[dict[str, Any]]:
    answer, usage = exchange.answer, exchange.usage
    items: list[dict[str, Any]] = []
    if answer.thinking or usage.reasoning:
        summary = [{"type": "summary_text", "text": answer.thinking}] if answer.thinking else []
        items.append({"id": exchange.id("rs_"), "type": "reasoning", "summary": summary})
    for index in range(usage.web_searches):
        action = {"type": "search", "query": exchange.request.user_text}
        search_id = f"{exchange.id('ws_')}_{index}"
        items.append({"id": search_id, "type": "web_search_call", "status": "completed", "action": action})
    if answer.text or not answer.tool_calls:
        items.append(
            {
                "id": exchange.id("msg_"),
                "type": "message",
                "status": "completed",
                "role": "assistant",
                "content": [_content_part(exchange, answer.text)],
            }
        )
    for index, call in enumerate(answer.tool_calls):
        items.append(
            {
                "id": f"{exchange.id('fc_')}_{index}",
                "type": "function_call",
                "status": "completed",
                "call_id": exchange.tool_call_id("call_", index),
                "name": call.name,
                "arguments": arguments_json(call),
            }
        )
    return items


def _content_part(exchange: Exchange, text: str) -> dict[str, Any]:
    if exchange.answer.refusal:
        return {"type": "refusal", "refusal": text}
    return {"type": "output_text", "annotations": [], "logprobs": [], "text": text}


def _events(exchange: Exchange) -> Iterator[bytes]:
    envelope, final = _envelope(exchange), _body(exchange)
    events = [
        {"type": "response.created", "response": envelope},
        {"type": "response.in_progress", "response": envelope},
    ]
    for output_index, item in enumerate(final["output"]):
        events.extend(_item_events(exchange, output_index, item))
    events.append({"type": f"response.{final['status']}", "response": final})
    for sequence_number, event in enumerate(events):
        yield sse_event({**event, "sequence_number": sequence_number})


def _item_events(exchange: Exchange, output_index: int, item: dict[str, Any]) -> Iterator[dict[str, Any]]:
    opened = {**item, "status": "in_progress"} if "status" in item else dict(item)
    match item["type"]:
        case "message":
            opened["content"] = []
            inner = _message_events(exchange, item["content"][0])
        case "function_call":
            opened["arguments"] = ""
            inner = _arguments_events(exchange, item["arguments"])
        case "reasoning":
            opened["summary"] = []
            inner = _summary_events(exchange, item["summary"])
        case _:
            inner = iter(
                [{"type": f"response.{item['type']}.{step}"} for step in ("in_progress", "searching", "completed")]
            )
    place = {"item_id": item["id"], "output_index": output_index}
    yield {"type": "response.output_item.added", "output_index": output_index, "item": opened}
    for event in inner:
        yield {**event, **place}
    yield {"type": "response.output_item.done", "output_index": output_index, "item": item}


def _message_events(exchange: Exchange, part: dict[str, Any]) -> Iterator[dict[str, Any]]:
    kind, field = ("refusal", "refusal") if part["type"] == "refusal" else ("output_text", "text")
    extras: dict[str, Any] = {} if kind == "refusal" else {"logprobs": []}
    yield {"type": "response.content_part.added", "content_index": 0, "part": _content_part(exchange, "")}
    for piece in exchange.deltas(part[field]):
        yield {"type": f"response.{kind}.delta", "content_index": 0, "delta": piece, **extras}
    yield {"type": f"response.{kind}.done", "content_index": 0, field: part[field], **extras}
    yield {"type": "response.content_part.done", "content_index": 0, "part": part}


def _arguments_events(exchange: Exchange, arguments: str) -> Iterator[dict[str, Any]]:
    for piece in exchange.deltas(arguments):
        yield {"type": "response.function_call_arguments.delta", "delta": piece}
    yield {"type": "response.function_call_arguments.done", "arguments": arguments}


def _summary_events(exchange: Exchange, summary: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for summary_index, part in enumerate(summary):
        place = {"summary_index": summary_index}
        empty = {"type": "summary_text", "text": ""}
        yield {"type": "response.reasoning_summary_part.added", "part": empty, **place}
        for piece in exchange.deltas(part["text"]):
            yield {"type": "response.reasoning_summary_text.delta", "delta": piece, **place}
        yield {"type": "response.reasoning_summary_text.done", "text": part["text"], **place}
        yield {"type": "response.reasoning_summary_part.done", "part": part, **place}


def _compacted_body(exchange: Exchange) -> dict[str, Any]:
    return {
        "id": exchange.id("resp_"),
        "object": "response.compaction",
        "created_at": exchange.created_s,
        "output": [{"id": exchange.id("cmp_"), "type": "compaction", "encrypted_content": "c2VjcmV0"}],
        "usage": usage_block(exchange.usage),
    }


COMPACTIONS: Final = json_wire(body=_compacted_body, events=None)
RESPONSES: Final = json_wire(body=_body, events=_events)
