from __future__ import annotations

from typing import Any

import pytest

from tierwise.call import Usage
from tierwise.imports.usage import retold_usage


@pytest.mark.parametrize(
    ("block", "usage"),
    [
        ({"prompt_tokens": 100, "completion_tokens": 7}, Usage(100, 7)),
        (
            {"prompt_tokens": 100, "completion_tokens": 7, "prompt_tokens_details": {"cached_tokens": 60}},
            Usage(100, 7, cache_read_tokens=60),
        ),
        # LiteLLM's total for Anthropic holds the cache within.
        (
            {
                "prompt_tokens": 100,
                "completion_tokens": 7,
                "cache_read_input_tokens": 60,
                "cache_creation_input_tokens": 20,
            },
            Usage(100, 7, cache_read_tokens=60, cache_write_tokens=20),
        ),
        # Anthropic's own count leaves it out.
        (
            {"input_tokens": 20, "output_tokens": 7, "cache_read_input_tokens": 60, "cache_creation_input_tokens": 20},
            Usage(100, 7, cache_read_tokens=60, cache_write_tokens=20),
        ),
        (
            {"input_tokens": 100, "output_tokens": 7, "input_tokens_details": {"cached_tokens": 60}},
            Usage(100, 7, cache_read_tokens=60),
        ),
        # Langfuse counts each kind apart, and the total tells that it does.
        ({"input": 40, "input_cached_tokens": 60, "output": 7, "total": 107}, Usage(100, 7, cache_read_tokens=60)),
        ({"input": 100, "input_cached_tokens": 60, "output": 7, "total": 107}, Usage(100, 7, cache_read_tokens=60)),
        (
            {"input": 100, "output": 7, "output_reasoning_tokens": 30, "total": 137},
            Usage(100, 37, reasoning_tokens=30),
        ),
        ({"input": "12", "output": None}, Usage(12, None)),
    ],
)
def test_totals(block: dict[str, Any], usage: Usage) -> None:
    """Input is the total with the cache within and output holds the reasoning, whoever counted."""
    assert retold_usage(block) == usage


@pytest.mark.parametrize("block", [{}, {"input": "many"}, {"total": 12}, {"unit": "TOKENS", "input": None}])
def test_no_counts(block: dict[str, Any]) -> None:
    """Without a count of input or output there is no usage."""
    assert retold_usage(block) is None
