"""Requests to Anthropic's Messages API and their answers, a line each, and the results of its Message Batches.

Requests and answers: https://platform.claude.com/docs/en/api/messages. Batch requests (`custom_id`, `params`) and
results (`custom_id`, `result.type`, `result.message`):
https://platform.claude.com/docs/en/build-with-claude/batch-processing. A line puts the two together as one of OpenAI's
does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from tierwise.imports.exchange import MESSAGES, answer_object, surface_of
from tierwise.imports.formats.openai_log import exchanged, parts_of
from tierwise.imports.logged import BatchOrder, LoggedCall, NotACall, Reading
from tierwise.imports.values import mapping, text

NAME = "anthropic"
PROVIDER: Final = "anthropic"


def claims(row: Mapping[str, Any]) -> bool:
    """Whether the row is a line of a batch, or holds a request or an answer of the API."""
    if "custom_id" in row:
        return "type" in mapping(row.get("result")) or "params" in row
    if mapping(row.get("response")).get("object") is not None:
        # OpenAI's answers name what they are, and most rows have one under this name.
        return False
    request, answer = parts_of(row)
    whole = answer_object(answer)
    if whole.get("type") in ("message", "message_start"):
        return True
    is_error = whole.get("type") == "error" and "messages" in request
    return is_error or (bool(request) and surface_of(request, answer) is MESSAGES)


def read(row: Mapping[str, Any], reading: Reading) -> Iterable[LoggedCall | BatchOrder]:
    """The call of the row, or the request of a batch."""
    if "custom_id" in row:
        return [_of_batch(row, reading)]
    request, answer = parts_of(row)
    return [exchanged(row, request, answer, reading, provider=PROVIDER)]


def _of_batch(row: Mapping[str, Any], reading: Reading) -> LoggedCall | BatchOrder:
    if "params" in row:
        return BatchOrder(str(row["custom_id"]), mapping(row["params"]), "/v1/messages")
    result = mapping(row["result"])
    if result.get("type") != "succeeded":
        raise NotACall(f"a request of a batch that {result.get('type')}, which costs nothing")
    message = mapping(result.get("message"))
    call = exchanged({}, {}, message, reading, provider=PROVIDER)
    call.own_id = text(message.get("id"))
    call.reply.service_tier = "batch"
    call.order = str(row["custom_id"])
    return call
