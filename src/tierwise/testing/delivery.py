"""Sends the response of an exchange: at the scripted pace, and with the scripted fault if there is one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from tierwise.testing.exchange import Exchange, Wire, json_text
from tierwise.testing.faults import Fault, broken_event, error_body, error_event, error_status, speaks_anthropic
from tierwise.testing.http_server import Reply


def send(wire: Wire, exchange: Exchange, fault: Fault | None, reply: Reply) -> None:
    """The whole response, streamed if the request asked for it.

    Raises:
        UnspeakableAnswer: the protocol has no way to say what the answer holds; nothing has been sent.
    """
    if fault is not None and fault.kind == "status":
        send_error(fault, exchange, reply)
    elif exchange.request.stream and wire.events is not None:
        _send_stream(wire.events(exchange), fault, exchange, reply)
    else:
        _send_json(wire, fault, exchange, reply)


def _request_id(exchange: Exchange) -> str:
    return exchange.id("req_")


def response_headers(exchange: Exchange, content_type: str) -> dict[str, str]:
    """Content type and request id as this provider names it, with the answer's own headers over them."""
    id_header = "request-id" if speaks_anthropic(exchange.request) else "x-request-id"
    return {"content-type": content_type, id_header: _request_id(exchange), **exchange.answer.headers}


def send_error(fault: Fault, exchange: Exchange, reply: Reply) -> None:
    """The provider's error body with the fault's status."""
    body = json_text(error_body(fault, exchange.request, _request_id(exchange))).encode()
    headers = {**response_headers(exchange, "application/json"), **fault.headers}
    reply.send(error_status(fault, exchange.request), headers, body)


def _send_json(wire: Wire, fault: Fault | None, exchange: Exchange, reply: Reply) -> None:
    if fault is not None and fault.kind == "stream_error":
        send_error(fault, exchange, reply)
        return
    content_type, body = wire.content(exchange)
    headers = response_headers(exchange, content_type)
    reply.pause(exchange.answer.latency_s)
    if fault is None:
        reply.send(200, headers, body)
    elif fault.kind in ("malformed_json", "truncate"):
        reply.send(200, headers, body[: len(body) // 2])
    else:
        if fault.after_chunks:
            reply.send_part(200, headers, body, len(body) // 2)
        reply.pause(fault.duration_s)
        reply.disconnect()


def _send_stream(events: Iterator[bytes], fault: Fault | None, exchange: Exchange, reply: Reply) -> None:
    answer = exchange.answer
    reply.pause(answer.latency_s)
    if fault is not None and fault.after_chunks == 0 and fault.kind in ("disconnect", "stall"):
        reply.pause(fault.duration_s)
        reply.disconnect()
        return
    reply.start_stream(
        200, {**response_headers(exchange, "text/event-stream; charset=utf-8"), "cache-control": "no-cache"}
    )
    reply.pause(answer.first_chunk_delay_s)
    if fault is not None:
        _write_events(islice(events, fault.after_chunks), answer.chunk_delay_s, reply)
        _strike(fault, events, exchange, reply)
        return
    _write_events(events, answer.chunk_delay_s, reply)
    reply.end_stream()


def _write_events(events: Iterable[bytes], delay_s: float, reply: Reply) -> None:
    for position, event in enumerate(events):
        if position:
            reply.pause(delay_s)
        reply.write(event)


def _strike(fault: Fault, events: Iterator[bytes], exchange: Exchange, reply: Reply) -> None:
    """What a fault does to a stream that has begun; `events` holds what was still to come."""
    if fault.kind in ("disconnect", "stall"):
        reply.pause(fault.duration_s)
        reply.disconnect()
        return
    if fault.kind == "malformed_json":
        reply.write(broken_event(next(events, b"data: {}\n\n")))
    elif fault.kind == "stream_error":
        reply.write(error_event(fault, exchange.request, _request_id(exchange)))
    reply.end_stream()
