"""Observe calls and look at their spans, without a collector, a key or the network.

    python examples/quickstart.py

The provider is tierwise's own, on loopback. In an application of yours only `import tierwise.auto` is needed.
"""

from __future__ import annotations

from openai import OpenAI
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor

import tierwise
from tierwise.testing import Answer, LoopbackProvider, ProviderUsage

provider_of_spans = TracerProvider()
provider_of_spans.add_span_processor(
    SimpleSpanProcessor(
        ConsoleSpanExporter(
            formatter=lambda span: (
                f"{span.name}: {span.attributes['tierwise.task.type']}, "
                f"{span.attributes['gen_ai.usage.input_tokens']} tokens in, "
                f"${span.attributes['gen_ai.usage.cost.amount']:.6f}\n"
            )
        )
    )
)
tierwise.prices.load()
tierwise.instrument(tracer_provider=provider_of_spans)

with LoopbackProvider() as provider, OpenAI(base_url=provider.openai_base_url, api_key="none-needed") as client:
    provider.script([Answer("Guten Morgen", usage=ProviderUsage(input_tokens=21, output_tokens=4))])
    client.chat.completions.create(
        model="gpt-6.1-sol", messages=[{"role": "user", "content": "Translate to German: good morning"}]
    )
