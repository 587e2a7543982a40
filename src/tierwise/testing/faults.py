"""Ways a provider fails, and the error bodies each provider puts in them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from tierwise.testing.answers import Answer, ProviderRequest
from tierwise.testing.exchange import sse_data, sse_event

FaultKind = Literal["status", "malformed_json", "disconnect", "stall", "truncate", "stream_error"]

_OVERLOADED_ANTHROPIC: Final = 529
_OVERLOADED_OPENAI: Final = 503
_ANTHROPIC_ERROR_TYPES: Final = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    529: "overloaded_error",
}
"""https://docs.anthropic.com/en/api/errors; any other status is an api_error."""
_OPENAI_ERROR_TYPES: Final = {
    400: "invalid_request_error",
    401: "invalid_request_error",
    403: "invalid_request_error",
    404: "invalid_request_error",
    429: "requests",
}
"""Any other status is a server_error."""

_SERVER_ERROR: Final = "The server had an error while processing your request."
_UNFINISHED: Final = Answer("This answer is on its way and will not arrive in one piece.")


@dataclass(frozen=True, slots=True)
class Fault:
    """A failure instead of an answer. Make one with the class methods; each says what the client sees."""

    kind: FaultKind
    status: int = 500
    message: str = _SERVER_ERROR
    code: str | None = None
    """OpenAI's `error.code`."""
    parameter: str | None = None
    """OpenAI's `error.param`."""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    body: Mapping[str, Any] | None = None
    """Sent instead of the provider's own error body."""
    answer: Answer = _UNFINISHED
    """What is on its way when the failure strikes."""
    after_chunks: int = 0
    """Events of a stream sent before the failure. On an answer that is not streamed, any number above 0 means half of
    the JSON."""
    duration_s: float = 0.0
    """How long a stall lasts before the connection is dropped."""

    @classmethod
    def http_status(
        cls,
        status: int,
        message: str = _SERVER_ERROR,
        *,
        headers: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> Fault:
        """Any status, with the provider's own error body, or with `body`."""
        return cls("status", status=status, message=message, headers=headers or {}, body=body)

    @classmethod
    def rate_limited(cls, retry_after_s: float = 1.0) -> Fault:
        """429 that asks to wait; SDKs do wait for `retry_after_s` before their own retries."""
        headers = {"retry-after": str(math.ceil(retry_after_s)), "retry-after-ms": str(round(retry_after_s * 1000))}
        message = f"Rate limit reached. Please try again in {retry_after_s:g}s."
        return cls("status", status=429, message=message, code="rate_limit_exceeded", headers=headers)

    @classmethod
    def unknown_parameter(cls, parameter: str) -> Fault:
        """400 for a parameter that the model does not take."""
        message = f"Unsupported parameter: '{parameter}' is not supported with this model."
        return cls("status", status=400, message=message, code="unsupported_parameter", parameter=parameter)

    @classmethod
    def unknown_model(cls, model: str) -> Fault:
        """404 for a model that does not exist, or not for this key."""
        message = f"The model `{model}` does not exist or you do not have access to it."
        return cls("status", status=404, message=message, code="model_not_found", parameter="model")

    @classmethod
    def server_error(cls) -> Fault:
        """500."""
        return cls("status", status=500)

    @classmethod
    def overloaded(cls) -> Fault:
        """529 from Anthropic, 503 from OpenAI."""
        return cls("status", status=_OVERLOADED_ANTHROPIC, message="Overloaded")

    @classmethod
    def malformed_json(cls, answer: Answer | str = _UNFINISHED) -> Fault:
        """A body that stops in the middle of its JSON; in a stream, an event that does."""
        return cls("malformed_json", answer=_as_answer(answer), after_chunks=1)

    @classmethod
    def disconnect(cls) -> Fault:
        """The connection closes before the first byte of the response."""
        return cls("disconnect")

    @classmethod
    def disconnect_mid_stream(cls, answer: Answer | str = _UNFINISHED, *, after_chunks: int = 2) -> Fault:
        """The connection closes after some events, or in the middle of a JSON body."""
        return cls("disconnect", answer=_as_answer(answer), after_chunks=after_chunks)

    @classmethod
    def stall(
        cls,
        duration_s: float,
        answer: Answer | str = _UNFINISHED,
        *,
        after_chunks: int = 0,
    ) -> Fault:
        """Nothing for `duration_s`, before the first byte or after some events; then the connection closes."""
        return cls("stall", duration_s=duration_s, answer=_as_answer(answer), after_chunks=after_chunks)

    @classmethod
    def truncated_stream(cls, answer: Answer | str = _UNFINISHED, *, after_chunks: int = 2) -> Fault:
        """A stream that ends as if complete, without its closing events. Neither SDK raises on it."""
        return cls("truncate", answer=_as_answer(answer), after_chunks=after_chunks)

    @classmethod
    def error_mid_stream(cls, answer: Answer | str = _UNFINISHED, *, after_chunks: int = 2) -> Fault:
        """A stream whose next event is the provider's own error event; not streamed, the same error as a status."""
        return cls(
            "stream_error",
            status=_OVERLOADED_ANTHROPIC,
            message="Overloaded",
            answer=_as_answer(answer),
            after_chunks=after_chunks,
        )


def _as_answer(answer: Answer | str) -> Answer:
    return Answer(answer) if isinstance(answer, str) else answer


def speaks_anthropic(request: ProviderRequest) -> bool:
    """Whether the request expects Anthropic's shapes: by its path, or by the header every Anthropic client sends."""
    return request.protocol in ("messages", "count_tokens") or "anthropic-version" in request.headers


def error_status(fault: Fault, request: ProviderRequest) -> int:
    """The status this provider uses for the fault: each has its own for being overloaded."""
    if fault.status == _OVERLOADED_ANTHROPIC and not speaks_anthropic(request):
        return _OVERLOADED_OPENAI
    return fault.status


def error_body(fault: Fault, request: ProviderRequest, request_id: str) -> Mapping[str, Any]:
    """The error as this provider words it."""
    if fault.body is not None:
        return fault.body
    if speaks_anthropic(request):
        error = {"type": _ANTHROPIC_ERROR_TYPES.get(fault.status, "api_error"), "message": fault.message}
        return {"type": "error", "error": error, "request_id": request_id}
    return {
        "error": {
            "message": fault.message,
            "type": _OPENAI_ERROR_TYPES.get(fault.status, "server_error"),
            "param": fault.parameter,
            "code": fault.code,
        }
    }


def error_event(fault: Fault, request: ProviderRequest, request_id: str) -> bytes:
    """The error as an event of a stream that has already begun."""
    body = error_body(fault, request, request_id)
    if speaks_anthropic(request):
        return sse_event(body)
    if request.protocol == "responses":
        error = {name: body["error"][name] for name in ("code", "message", "param")}
        return sse_event({"type": "error", **error, "sequence_number": fault.after_chunks})
    return sse_data(body)


def broken_event(event: bytes) -> bytes:
    """A server-sent event whose JSON stops in the middle."""
    return event[: len(event) * 2 // 3].rstrip() + b"\n\n"
