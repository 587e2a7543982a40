from __future__ import annotations

from collections.abc import Callable

from tierwise import semconv as sc
from tierwise.attributes import to_attributes
from tierwise.call import Call, Usage
from tierwise.ingest.dialects import read_call
from tierwise.ingest.spans import Span

MakeDecoded = Callable[..., Span]


def test_own_span_is_the_call_it_was_written_from(make_decoded: MakeDecoded) -> None:
    """A span of tierwise's own reads back as the call that was written."""
    call = Call(
        "chat", "openai", "gpt-5.4", usage=Usage(input_tokens=10, output_tokens=5, cache_read_tokens=4), tenant="acme"
    )

    assert read_call(make_decoded(to_attributes(call), scope="tierwise")) == call


def test_span_without_a_model_is_no_call(make_decoded: MakeDecoded) -> None:
    """A span of ours that names no model is a plain span."""
    assert read_call(make_decoded({sc.TASK_TYPE: "extraction"}, scope="tierwise")) is None
