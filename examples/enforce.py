"""Send one use case to a cheaper model, in an unmodified client, and stop it again.

python examples/enforce.py
"""

from __future__ import annotations

from anthropic import Anthropic
from opentelemetry.sdk.trace import TracerProvider

import tierwise
from tierwise.routing.policy import parse
from tierwise.testing import LoopbackProvider

POLICY = """
version = 1
mode = "enforce"

[[rule]]
id = "invoices"
kind = "route"
when = { use_case = ["invoice-extraction"], request_model = ["claude-opus-5-5"] }
to = "claude-haiku-5-5"
"""


def extract(client: Anthropic) -> str:
    with tierwise.use_case("invoice-extraction"):
        message = client.messages.create(
            model="claude-opus-5-5", max_tokens=8000, messages=[{"role": "user", "content": "Total of invoice 4711?"}]
        )
    return message.model


with LoopbackProvider() as provider, Anthropic(base_url=provider.anthropic_base_url, api_key="none-needed") as client:
    tierwise.instrument(parse(POLICY), tracer_provider=TracerProvider())
    print("enforced:", extract(client))
    tierwise.instrument(parse(POLICY), mode="off", tracer_provider=TracerProvider())
    print("off:     ", extract(client))
