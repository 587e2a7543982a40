from __future__ import annotations

import pytest

from tierwise.call import Call
from tierwise.imports.formats import otlp
from tierwise.imports.logged import NotACall, Reading, UnreadableRow
from tierwise.ingest.spans import Span, SpanRefused
from tierwise.store.rows import CallRecord

LINE = {
    "resourceSpans": [
        {
            "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]},
            "scopeSpans": [
                {
                    "scope": {"name": "some.instrumentation"},
                    "spans": [
                        {
                            "traceId": "4bf92f3577b34da6a3ce929d0e0e4736",
                            "spanId": "b1946ac92492d234",
                            "name": "chat gpt-5.4",
                            "startTimeUnixNano": "1793613600000000000",
                            "endTimeUnixNano": "1793613602000000000",
                            "attributes": [{"key": "gen_ai.request.model", "value": {"stringValue": "gpt-5.4"}}],
                        },
                        {"traceId": "zz", "spanId": "b1946ac92492d235", "name": "broken"},
                    ],
                }
            ],
        }
    ]
}


def test_a_line_of_the_file_exporter() -> None:
    """A line gives its spans, and a span that cannot be stored as its refusal."""
    assert otlp.claims(LINE)

    good, bad = otlp.read(LINE, Reading())

    assert isinstance(good, Span)
    assert (good.service_name, good.attributes) == ("shop", {"gen_ai.request.model": "gpt-5.4"})
    assert isinstance(bad, SpanRefused)


def test_other_signals_and_broken_lines() -> None:
    """Logs and metrics describe no call; a line that is not OTLP is reported."""
    with pytest.raises(NotACall, match="logs or metrics"):
        otlp.read({"resourceLogs": []}, Reading())
    with pytest.raises(UnreadableRow, match="resourceSpans"):
        otlp.read({"resourceSpans": "many"}, Reading())


def test_content_is_taken_out() -> None:
    """Attributes that hold prompts and answers go, in every dialect and with an index, and all others stay."""
    extra = {
        "gen_ai.input.messages": "[]",
        "gen_ai.prompt.0.content": "secret",
        "input.value": "secret",
        "gen_ai.prompt_name": "kept",
        "input.value_kind": "kept",
    }
    call = Call(operation="chat", provider="openai", request_model="gpt-5.4", extra=extra)
    record = CallRecord("4" * 32, "b" * 16, 1, 2, call)

    kept = otlp.without_content(record).call.extra

    assert kept == {"gen_ai.prompt_name": "kept", "input.value_kind": "kept"}
