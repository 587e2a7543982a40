from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tierwise.call import Usage
from tierwise.ingest.dialects import read_call
from tierwise.ingest.spans import Span

MakeDecoded = Callable[..., Span]

REQUEST: dict[str, Any] = {
    "logfire.span_type": "span",
    "logfire.msg_template": "Chat Completion with {request_data[model]!r}",
    "gen_ai.system": "openai",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.operation.name": "chat",
}
USAGE = {"gen_ai.usage.input_tokens": 1200, "gen_ai.usage.output_tokens": 64}


@pytest.mark.parametrize("kind", ["span", "log"])
def test_usage_makes_a_call(make_decoded: MakeDecoded, kind: str) -> None:
    """The span of a plain call, and the log at the end of a streamed one, are the call with its usage."""
    call = read_call(make_decoded({**REQUEST, **USAGE, "logfire.span_type": kind}, scope="logfire.openai"))

    assert call is not None
    assert (call.provider, call.request_model, call.usage) == ("openai", "gpt-4o", Usage(1200, 64))


@pytest.mark.parametrize("kind", ["span", "pending_span"])
def test_request_of_a_stream(make_decoded: MakeDecoded, kind: str) -> None:
    """The span around the request of a stream is no call beside the log that reports it, nor is a pending span."""
    span = make_decoded({**REQUEST, "logfire.span_type": kind}, scope="logfire.anthropic")

    assert read_call(span) is None


def test_failed_call(make_decoded: MakeDecoded) -> None:
    """A failed request is a call, although it has no usage."""
    assert read_call(make_decoded(REQUEST, scope="logfire.openai", status="error")) is not None


def test_other_spans_sent_by_logfire(make_decoded: MakeDecoded) -> None:
    """Spans of other instrumentations keep their own dialect, although Logfire marks them as well."""
    assert read_call(make_decoded(REQUEST, scope="opentelemetry.instrumentation.genai.openai")) is not None
