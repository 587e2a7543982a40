from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierwise.testing.answers import Answer, ProviderRequest, ProviderUsage, estimated_tokens

TOKENS = st.integers(min_value=0, max_value=10**6)


def request(protocol: str, body: dict[str, Any]) -> ProviderRequest:
    return ProviderRequest(
        method="POST", path="/", headers={}, body=body, model="m", protocol=protocol, stream=False, received_at=0
    )


@given(fresh=TOKENS, read=TOKENS, short=TOKENS, long=TOKENS)
def test_fresh_input_is_the_total_less_what_the_cache_read_and_wrote(
    fresh: int, read: int, short: int, long: int
) -> None:
    """Fresh, read and written tokens add up to the total for any mix."""
    usage = ProviderUsage(fresh + read + short + long, 0, cache_read=read, cache_write_5m=short, cache_write_1h=long)

    assert usage.fresh_input_tokens == fresh
    assert usage.fresh_input_tokens + usage.cache_read + usage.cache_write == usage.input_tokens


def test_a_cached_part_above_the_total_is_refused() -> None:
    """input_tokens is the total, so reading more than it from the cache is a mistake of the test."""
    with pytest.raises(ValueError, match="input_tokens is the total: 10"):
        ProviderUsage(input_tokens=10, output_tokens=1, cache_read=11)


def test_reasoning_above_the_output_is_refused() -> None:
    """output_tokens includes reasoning."""
    with pytest.raises(ValueError, match="includes reasoning"):
        ProviderUsage(input_tokens=10, output_tokens=1, reasoning=2)


def test_a_delta_holds_at_least_one_character() -> None:
    """chunk_chars of zero would stream for ever."""
    with pytest.raises(ValueError, match="chunk_chars is 0"):
        Answer("text", chunk_chars=0)


@pytest.mark.parametrize(
    ("protocol", "body"),
    [
        ("chat_completions", {"messages": [{"role": "user", "content": "ask"}]}),
        ("chat_completions", {"messages": [{"role": "user", "content": [{"type": "text", "text": "ask"}]}]}),
        ("messages", {"messages": [{"role": "user", "content": "ask"}, {"role": "assistant", "content": "{"}]}),
        ("responses", {"input": "ask"}),
        ("responses", {"input": [{"role": "user", "content": [{"type": "input_text", "text": "ask"}]}]}),
        ("completions", {"prompt": "ask"}),
        ("embeddings", {"input": ["ask"]}),
    ],
)
def test_user_text_is_the_last_user_message_in_every_protocol(protocol: str, body: dict[str, Any]) -> None:
    """An answer function reads the question the same way whichever SDK sent it."""
    assert request(protocol, body).user_text == "ask"


@pytest.mark.parametrize("body", [{}, {"messages": None}, {"messages": [{"role": "system", "content": "x"}]}])
def test_user_text_is_empty_without_a_user_message(body: dict[str, Any]) -> None:
    """A request without a user turn has no user text, and is no error."""
    assert request("chat_completions", body).user_text == ""


def test_prompt_text_holds_system_and_every_turn() -> None:
    """What the provider counts as input is all text of the prompt, image parts left out."""
    body = {
        "system": "be brief",
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "one"}, {"type": "image", "source": {"data": "A"}}]},
            {"role": "assistant", "content": "two"},
        ],
    }

    assert request("messages", body).prompt_text == "be brief\none\ntwo"


@pytest.mark.parametrize(("text", "tokens"), [("", 1), ("four", 1), ("fives", 2), ("x" * 400, 100)])
def test_estimate_is_a_token_for_four_characters_rounded_up(text: str, tokens: int) -> None:
    """The estimate is never zero: no provider answers for nothing."""
    assert estimated_tokens(text) == tokens
