"""What a provider does later: background responses, OpenAI's batches and their files, Anthropic's message batches.

Each is done after it was asked for `Answer.polls` times. The answers are drawn when the work is ordered.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import Any, Final

from tierwise.testing.answers import Answer, ProviderRequest
from tierwise.testing.anthropic_wire import MESSAGES
from tierwise.testing.exchange import Exchange, Wire, json_text
from tierwise.testing.faults import Fault
from tierwise.testing.openai_responses_wire import RESPONSES

_MAX_KEPT: Final = 1_000

Draw = Callable[[ProviderRequest], "Answer | Fault"]
"""Answers one request of a batch."""


@dataclass(slots=True)
class _Work:
    """Something that was ordered."""

    exchanges: Sequence[Exchange]
    polls_left: int
    created_s: int
    details: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def is_done(self) -> bool:
        """Asked for once more: whether it is done by now."""
        self.polls_left -= 1
        return self.polls_left < 0


class Jobs:
    """The work that was ordered from one provider; the oldest of a thousand is forgotten."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._work: OrderedDict[str, _Work] = OrderedDict()
        self._files: OrderedDict[str, bytes] = OrderedDict()

    def _keep(self, work_id: str, work: _Work) -> None:
        with self._lock:
            self._work[work_id] = work
            while len(self._work) > _MAX_KEPT:
                self._work.popitem(last=False)

    def _keep_file(self, file_id: str, content: bytes) -> None:
        with self._lock:
            self._files[file_id] = content
            while len(self._files) > _MAX_KEPT:
                self._files.popitem(last=False)

    # --- background responses -----------------------------------------------------------------------------------------

    def order_response(self, exchange: Exchange) -> dict[str, Any]:
        """A background response, queued."""
        self._keep(exchange.id("resp_"), _Work([exchange], exchange.answer.polls, exchange.created_s))
        return {**_document(RESPONSES, exchange), **_UNFINISHED}

    def response(self, response_id: str) -> dict[str, Any] | None:
        """A response as far as it is; None for an unknown one."""
        work = self._work.get(response_id)
        if work is None:
            return None
        document = _document(RESPONSES, work.exchanges[0])
        return document if work.is_done() else {**document, **_UNFINISHED, "status": "in_progress"}

    def response_exchange(self, response_id: str) -> Exchange | None:
        """What a response answers, to stream it."""
        work = self._work.get(response_id)
        return None if work is None else work.exchanges[0]

    # --- OpenAI's batches ---------------------------------------------------------------------------------------------

    def upload(self, file_id: str, content: bytes, created_s: int) -> dict[str, Any]:
        """Keep a file."""
        self._keep_file(file_id, content)
        return {
            "id": file_id,
            "object": "file",
            "bytes": len(content),
            "created_at": created_s,
            "filename": "batch.jsonl",
            "purpose": "batch",
            "status": "processed",
        }

    def file(self, file_id: str) -> bytes | None:
        """What is in a file; None for an unknown one."""
        return self._files.get(file_id)

    def order_batch(self, order: Exchange, wires: Mapping[str, tuple[str, Wire]], draw: Draw) -> dict[str, Any]:
        """A batch of the requests in a file, a line each; `wires` are its endpoints' protocols."""
        body = order.request.body
        endpoint = str(body.get("endpoint"))
        lines = (self._files.get(str(body.get("input_file_id"))) or b"").splitlines()
        asked = [json.loads(line) for line in lines if line.strip()]
        exchanges = _exchanges(order, [item["body"] for item in asked], wires[endpoint][0], draw)
        batch_id, output_file_id = order.id("batch_"), order.id("file-output-")
        output = [
            {
                "id": f"batch_req_{index}",
                "custom_id": item.get("custom_id"),
                "response": {"status_code": 200, "request_id": "", "body": _document(wires[endpoint][1], exchange)},
                "error": None,
            }
            for index, (item, exchange) in enumerate(zip(asked, exchanges, strict=True))
        ]
        self._keep_file(output_file_id, b"".join(f"{json_text(line)}\n".encode() for line in output))
        details = {"endpoint": endpoint, "output_file_id": output_file_id, "input_file_id": body.get("input_file_id")}
        self._keep(batch_id, _Work(exchanges, order.answer.polls, order.created_s, details))
        return self._batch(batch_id, self._work[batch_id], is_done=False)

    def batch(self, batch_id: str) -> dict[str, Any] | None:
        """A batch as far as it is; None for an unknown one."""
        work = self._work.get(batch_id)
        return None if work is None else self._batch(batch_id, work, is_done=work.is_done())

    def _batch(self, batch_id: str, work: _Work, *, is_done: bool) -> dict[str, Any]:
        count = len(work.exchanges)
        return {
            "id": batch_id,
            "object": "batch",
            "completion_window": "24h",
            "created_at": work.created_s,
            **work.details,
            "output_file_id": work.details["output_file_id"] if is_done else None,
            "status": "completed" if is_done else "in_progress",
            "model": work.exchanges[0].model if work.exchanges else None,
            "request_counts": {"total": count, "completed": count if is_done else 0, "failed": 0},
            "usage": _batch_usage(work.exchanges) if is_done and work.exchanges[0].answer.report_usage else None,
        }

    # --- Anthropic's message batches ----------------------------------------------------------------------------------

    def order_message_batch(self, order: Exchange, draw: Draw) -> dict[str, Any]:
        """A batch of messages."""
        asked = order.request.body.get("requests") or []
        exchanges = _exchanges(order, [item["params"] for item in asked], "messages", draw)
        exchanges = [replace(exchange, answer=replace(exchange.answer, service_tier="batch")) for exchange in exchanges]
        batch_id = order.id("msgbatch_")
        details = {"custom_ids": [item.get("custom_id") for item in asked]}
        self._keep(batch_id, _Work(exchanges, order.answer.polls, order.created_s, details))
        return _message_batch(batch_id, self._work[batch_id], "", is_done=False)

    def message_batch(self, batch_id: str, base_url: str) -> dict[str, Any] | None:
        """A batch as far as it is; None for an unknown one."""
        work = self._work.get(batch_id)
        return None if work is None else _message_batch(batch_id, work, base_url, is_done=work.is_done())

    def message_results(self, batch_id: str) -> bytes | None:
        """The results of a batch, a line each; None for an unknown one."""
        work = self._work.get(batch_id)
        if work is None:
            return None
        results = (
            {
                "custom_id": custom_id,
                "result": {"type": "succeeded", "message": _document(MESSAGES, exchange)},
            }
            for custom_id, exchange in zip(work.details["custom_ids"], work.exchanges, strict=True)
        )
        return b"".join(f"{json_text(result)}\n".encode() for result in results)


_UNFINISHED: Final[Mapping[str, Any]] = {"status": "queued", "output": [], "usage": None, "completed_at": None}


def _exchanges(order: Exchange, bodies: Sequence[Any], protocol: str, draw: Draw) -> list[Exchange]:
    requests = [
        replace(order.request, body=body, model=str(body.get("model") or ""), protocol=protocol, stream=False)
        for body in bodies
    ]
    drawn = ((request, draw(request)) for request in requests)
    return [
        Exchange(request, answer.answer if isinstance(answer, Fault) else answer, order.number, order.created_s)
        for request, answer in drawn
    ]


def _document(wire: Wire, exchange: Exchange) -> Any:
    return json.loads(wire.content(exchange)[1])


def _batch_usage(exchanges: Sequence[Exchange]) -> dict[str, Any]:
    usages = [exchange.usage for exchange in exchanges]
    input_tokens, output_tokens = (
        sum(usage.input_tokens for usage in usages),
        sum(usage.output_tokens for usage in usages),
    )
    return {
        "input_tokens": input_tokens,
        "input_tokens_details": {"cached_tokens": sum(usage.cache_read for usage in usages)},
        "output_tokens": output_tokens,
        "output_tokens_details": {"reasoning_tokens": sum(usage.reasoning for usage in usages)},
        "total_tokens": input_tokens + output_tokens,
    }


def _message_batch(batch_id: str, work: _Work, base_url: str, *, is_done: bool) -> dict[str, Any]:
    count = len(work.exchanges)
    counts = dict.fromkeys(("canceled", "errored", "expired"), 0)
    moment = "2026-11-24T12:00:00Z"
    return {
        "id": batch_id,
        "type": "message_batch",
        "archived_at": None,
        "cancel_initiated_at": None,
        "created_at": moment,
        "ended_at": moment if is_done else None,
        "expires_at": moment,
        "processing_status": "ended" if is_done else "in_progress",
        "request_counts": {**counts, "processing": 0 if is_done else count, "succeeded": count if is_done else 0},
        "results_url": f"{base_url}/v1/messages/batches/{batch_id}/results" if is_done else None,
    }
