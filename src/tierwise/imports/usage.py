"""Token counts as gateways and tracing tools write them, as totals: which of them hold the cached tokens within.

Providers' own answers are read by what the instrumentation reads them with; this is for everything that retells them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tierwise.call import Usage
from tierwise.imports.values import count, first, mapping


def retold_usage(block: Mapping[str, Any]) -> Usage | None:
    """The usage that a mapping of counts describes, under OpenAI's, Anthropic's, LiteLLM's or Langfuse's names.

    Input that leaves out the cache, as Anthropic counts it, becomes the total. None when no count is there.
    """
    read = _found(
        block,
        "cache_read_input_tokens",
        "input_cached_tokens",
        "input_cache_read",
        "cached_tokens",
        "cache_read_tokens",
    )
    written = _found(
        block, "cache_creation_input_tokens", "input_cache_creation", "cache_write_input_tokens", "cache_write_tokens"
    )
    input_details = mapping(first(block, "prompt_tokens_details", "input_tokens_details"))
    output_details = mapping(first(block, "completion_tokens_details", "output_tokens_details"))
    read = read or _found(input_details, "cached_tokens") or 0
    written = written or _found(input_details, "cache_write_tokens", "cache_creation_tokens") or 0
    reasoning = (
        _found(output_details, "reasoning_tokens", "thinking_tokens")
        or _found(block, "output_reasoning_tokens", "output_reasoning", "reasoning_tokens")
        or 0
    )
    inclusive = _found(block, "prompt_tokens", "promptTokens")
    own = _found(block, "input_tokens", "input", "inputTokens")
    output = _found(block, "completion_tokens", "completionTokens", "output_tokens", "output", "outputTokens")
    input_tokens = inclusive if inclusive is not None else own
    if input_tokens is None and output is None:
        return None
    cached = read + written
    if input_tokens is not None and cached and (inclusive is None or cached > inclusive):
        total = _found(block, "total_tokens", "total", "totalTokens")
        # Only the sum tells whether a count that is called just "input" has the cached tokens within.
        is_whole = bool(input_details) or (total is not None and total == input_tokens + (output or 0))
        if cached > input_tokens or not is_whole:
            input_tokens += cached
    if output is not None and "output_reasoning_tokens" in block:
        # Langfuse counts each kind of output apart.
        output += reasoning
    return Usage(
        input_tokens,
        output,
        cache_read_tokens=read,
        cache_write_tokens=written,
        reasoning_tokens=min(reasoning, output) if output is not None else 0,
    )


def _found(block: Mapping[str, Any], *names: str) -> int | None:
    return count(first(block, *names))
