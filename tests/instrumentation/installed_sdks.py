"""What the installed SDKs can do. Tests of what an older SDK lacks are skipped there, each with its reason.

`make unit-oldest` runs these tests with the oldest supported SDKs.
"""

from __future__ import annotations

from typing import Any

import anthropic
import openai
import pytest
from anthropic.types.message_create_params import MessageCreateParamsNonStreaming

OPENAI_HTTP: Any = getattr(openai._base_client, "httpx2", None) or openai._base_client.httpx  # pyright: ignore
"""The HTTP package that openai uses: httpx2 from 3.0 on, httpx before."""
ANTHROPIC_HTTP: Any = getattr(anthropic._base_client, "httpx2", None) or anthropic._base_client.httpx  # pyright: ignore
"""The same for anthropic, which took httpx2 up in 1.0."""

TIES_RESPONSES: bool = "httpx" in (OPENAI_HTTP.__name__, ANTHROPIC_HTTP.__name__)
"""Whether a response and its byte stream refer to each other, as httpx makes them: dropped, they wait for the garbage
collector, instrumented or not."""

VERSIONS = f"openai {openai.__version__}, anthropic {anthropic.__version__}"

HAS_NATIVE_SPANS = hasattr(anthropic._base_client, "start_api_call_span")
needs_native_spans = pytest.mark.skipif(
    not HAS_NATIVE_SPANS,
    reason=f"anthropic {anthropic.__version__} makes no spans of its own; 2.0 is the first that does",
)
_transform: Any = getattr(anthropic._utils, "maybe_transform", None)
"""What older versions of anthropic do to a request's parameters."""
needs_kept_iterators = pytest.mark.skipif(
    _transform is not None
    and isinstance(_transform({"messages": iter(())}, MessageCreateParamsNonStreaming)["messages"], list),
    reason=f"anthropic {anthropic.__version__} makes a list of an iterator of messages before it sends them",
)
needs_newest_clients = pytest.mark.skipif(
    not hasattr(openai, "BedrockOpenAI"), reason=f"{VERSIONS} do not have a client for every cloud yet"
)
needs_omit = pytest.mark.skipif(
    not hasattr(openai, "omit") or not hasattr(anthropic, "omit"), reason=f"there is no `omit` in {VERSIONS}"
)
needs_prompt_release = pytest.mark.skipif(
    TIES_RESPONSES, reason=f"httpx, which {VERSIONS} use, keeps a dropped response until the garbage collector runs"
)


def skip_without(owner: Any, name: str) -> None:
    """Skip the test where a client or a resource lacks a member, such as `responses.stream`."""
    target = owner
    for part in name.split("."):
        target = getattr(target, part, None)
    if target is None:
        pytest.skip(f"{type(owner).__name__} of {VERSIONS} has no {name}")
