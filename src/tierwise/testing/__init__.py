"""Test an application that calls models: a provider on loopback, and spans to compare.

Nothing here needs a key or the network. The provider answers over a real socket, so the SDKs, their retries and any
instrumentation run as they do in production:

    from openai import OpenAI
    from tierwise.testing import Answer, Fault, LoopbackProvider, ProviderUsage

    with LoopbackProvider() as provider:
        provider.script([
            Fault.rate_limited(retry_after_s=0.01),
            Answer("Paris", usage=ProviderUsage(input_tokens=1200, output_tokens=3, cache_read=1024)),
        ])
        with OpenAI(base_url=provider.openai_base_url, api_key="test") as client:
            completion = client.chat.completions.create(
                model="gpt-4o-mini", messages=[{"role": "user", "content": "Capital of France?"}]
            )

        assert completion.choices[0].message.content == "Paris"
        assert completion.usage.prompt_tokens_details.cached_tokens == 1024
        assert [request.model for request in provider.requests] == ["gpt-4o-mini", "gpt-4o-mini"]

`python -m tierwise.testing` runs the provider in a process of its own.
"""

from __future__ import annotations

from tierwise.testing.answers import (
    EMPTY_CHOICES,
    NULL_CHOICES,
    NULL_DELTA,
    Answer,
    ProviderRequest,
    ProviderUsage,
    ToolCall,
)
from tierwise.testing.calls import CallCapture, capture_calls
from tierwise.testing.capture import IncrementalIdGenerator, SpanCapture, TickingClock, capture_spans, spans_as_dicts
from tierwise.testing.faults import Fault
from tierwise.testing.provider import AnswerFunction, LoopbackProvider, echo

__all__ = [
    "EMPTY_CHOICES",
    "NULL_CHOICES",
    "NULL_DELTA",
    "Answer",
    "AnswerFunction",
    "CallCapture",
    "Fault",
    "IncrementalIdGenerator",
    "LoopbackProvider",
    "ProviderRequest",
    "ProviderUsage",
    "SpanCapture",
    "TickingClock",
    "ToolCall",
    "capture_calls",
    "capture_spans",
    "echo",
    "spans_as_dicts",
]
