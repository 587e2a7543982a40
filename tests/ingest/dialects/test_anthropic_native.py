from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tierwise.call import Usage
from tierwise.ingest.dialects import read_call
from tierwise.ingest.spans import Span

MakeDecoded = Callable[..., Span]

SCOPE = "com.anthropic.sdk.python"
MESSAGE: dict[str, Any] = {
    "gen_ai.provider.name": "anthropic",
    "gen_ai.operation.name": "chat",
    "gen_ai.request.model": "claude-opus-5-5",
    "gen_ai.request.max_tokens": 1024,
    "gen_ai.response.id": "msg_1",
    "gen_ai.response.model": "claude-opus-5-5",
    "gen_ai.usage.input_tokens": 1200,
    "gen_ai.usage.output_tokens": 64,
    "gen_ai.usage.cache_read.input_tokens": 1000,
    "gen_ai.usage.cache_write.input_tokens": 100,
    "anthropic.usage.cache_creation.ephemeral_1h_input_tokens": 100,
    "anthropic.response.service_tier": "standard",
    "anthropic.message.stop_reason": "end_turn",
    "server.address": "api.anthropic.com",
}


def test_message_is_a_call(make_decoded: MakeDecoded) -> None:
    """The SDK's span of a message is a call with its usage, tier and stop reason."""
    call = read_call(make_decoded(MESSAGE, scope=SCOPE))

    assert call is not None
    assert (call.provider, call.api, call.response_id) == ("anthropic", "messages", "msg_1")
    assert call.usage == Usage(1200, 64, cache_read_tokens=1000, cache_write_tokens=100, cache_write_1h_tokens=100)
    assert (call.finish_reasons, call.service_tier) == (("end_turn",), "standard")


def test_token_count_is_no_call(make_decoded: MakeDecoded) -> None:
    """Counting tokens names a model and is not billed: it is no call, in this dialect or the general one."""
    attributes = {
        "gen_ai.provider.name": "anthropic",
        "gen_ai.request.model": "claude-opus-5-5",
        "anthropic.message.count_tokens.input_tokens": 12,
    }

    assert read_call(make_decoded(attributes, scope=SCOPE)) is None
