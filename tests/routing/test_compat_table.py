"""What differs between models, one test for each aspect that a change of `model` may break: adapted, or refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tierwise.call import Request
from tierwise.routing.compat import adapt, check
from tierwise.routing.deployments import Deployments

MakeRequest = Callable[..., Request]

NOW_S = 1_795_000_000.0
"""In November 2026."""
HAIKU, OLD_HAIKU, SONNET, SOL, LUNA = (
    "claude-haiku-5-5",
    "claude-haiku-4-5",
    "claude-sonnet-5-5",
    "gpt-6.1-sol",
    "gpt-6-luna",
)


@pytest.fixture
def refused(make_request: MakeRequest) -> Callable[..., str | None]:
    """Asks whether a Messages request may go to a target."""

    def ask(target: str, body: dict[str, Any] | None = None, **fields: Any) -> str | None:
        return check(make_request(body, **fields), target, now_s=NOW_S)

    return ask


@pytest.fixture
def chat_refused(make_openai_request: MakeRequest) -> Callable[..., str | None]:
    """Asks whether a Chat Completions request may go to a target."""

    def ask(target: str, body: dict[str, Any] | None = None, **fields: Any) -> str | None:
        return check(make_openai_request(body, **fields), target, now_s=NOW_S)

    return ask


Ask = Callable[..., str | None]


def test_row_1_api_family_and_endpoint(refused: Ask, chat_refused: Ask, make_openai_request: MakeRequest):
    """Another provider's model, an endpoint it is not served at, and a deployment nobody named are refused."""
    azure = make_openai_request(provider="azure.ai.openai")
    named = Deployments({"azure.ai.openai": {"gpt-4o-mini": "small"}})

    assert refused(LUNA) == f"{LUNA} is not in the capability table for anthropic"
    assert chat_refused("gpt-5-pro") == "gpt-5-pro is not served by the chat_completions API"
    assert "no deployment of gpt-4o-mini" in (check(azure, "gpt-4o-mini", now_s=NOW_S) or "")
    assert check(azure, "gpt-4o-mini", deployments=named, now_s=NOW_S) is None
    assert adapt(azure.body, "gpt-4o-mini", deployment="small")["model"] == "small"


def test_row_2_output_cap(refused: Ask, chat_refused: Ask):
    """A limit under its other name is renamed; one above the target's, or too small to reason in, is refused."""
    assert adapt({"model": "gpt-4.1", "messages": [], "max_tokens": 9000}, LUNA) == {
        "model": LUNA,
        "messages": [],
        "max_completion_tokens": 9000,
    }
    assert chat_refused("gpt-4o-mini", {"max_tokens": 20_000}) == (
        "it asks for 20,000 output tokens; gpt-4o-mini writes 16,384"
    )
    assert "reasons first" in (chat_refused(LUNA, {"max_tokens": 200, "reasoning_effort": "high"}) or "")
    assert refused(OLD_HAIKU, {"max_tokens": 64_001}) is not None


def test_row_3_sampling(refused: Ask, chat_refused: Ask):
    """Sampling parameters go nowhere they are rejected, and are never dropped; the values that say nothing are no
    obstacle."""
    assert refused(HAIKU, {"temperature": 0.2}) == f"{HAIKU} does not take temperature"
    assert refused(OLD_HAIKU, {"temperature": 0.2}) is None
    assert chat_refused(LUNA, {"seed": 7, "reasoning_effort": "high"}) == f"{LUNA} does not take seed"
    assert (
        chat_refused(LUNA, {"logit_bias": {"1": 2}, "reasoning_effort": "none"}) == f"{LUNA} does not take logit_bias"
    )
    assert chat_refused(LUNA, {"temperature": 1, "n": 1, "reasoning_effort": "high"}) is None


def test_row_4_reasoning_and_thinking(refused: Ask, chat_refused: Ask):
    """An effort level or thinking mode that the target lacks is refused; one that it has goes along."""
    budget = {"thinking": {"type": "enabled", "budget_tokens": 2000}}

    assert refused(SONNET, budget) == f"{SONNET} does not take thinking mode enabled"
    assert refused(OLD_HAIKU, budget) is None
    assert refused(HAIKU, {"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}}) is None
    assert (
        chat_refused("gpt-4o-mini", {"reasoning_effort": "high"}) == "gpt-4o-mini does not take reasoning effort high"
    )
    assert chat_refused(SOL, {"reasoning_effort": "none"}, model=LUNA) == f"{SOL} does not take reasoning effort none"


def test_row_5_structured_output(refused: Ask, chat_refused: Ask):
    """A schema goes only to a model that keeps to it."""
    schema = {"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": {}}}}

    assert chat_refused("gpt-audio-1.5", schema) == "gpt-audio-1.5 does not do structured output"
    assert chat_refused("gpt-4o-mini", schema) is None
    assert refused(HAIKU, {"output_config": {"format": {"type": "json_schema", "schema": {}}}}) is None


def test_row_6_tools(refused: Ask, chat_refused: Ask):
    """A forced tool is refused where the model always thinks first; hosted tools stay with the model they came with."""
    tools = {"tools": [{"name": "f", "input_schema": {}}]}

    assert refused(SONNET, tools | {"tool_choice": {"type": "any"}}) == f"{SONNET} cannot be made to call a tool"
    assert refused(HAIKU, tools | {"tool_choice": {"type": "any"}}) is None
    assert refused(OLD_HAIKU, {"tools": [{"type": "web_search_20250305", "name": "web_search"}]}) is not None
    assert refused(HAIKU, {"tools": [{"type": "code_execution_20250825", "name": "x"}]}) == (
        "tool type code_execution_20250825 is tied to the models it was made for"
    )
    assert chat_refused("o4-mini", {"tools": [{"type": "function", "function": {}}], "parallel_tool_calls": True})


def test_row_7_modalities(chat_refused: Ask):
    """Images, files and audio go to models that read them, and audio is asked of those that write it."""
    image = {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:"}}]}]}
    audio = {"messages": [{"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}]}

    assert chat_refused("gpt-4o-mini", image) is None
    assert chat_refused("gpt-audio-1.5", image) == "gpt-audio-1.5 does not read images"
    assert chat_refused("gpt-4o-mini", audio) == "gpt-4o-mini does not read audio"
    assert chat_refused("gpt-4o-mini", {"modalities": ["text", "audio"]}) == "gpt-4o-mini only writes text"


def test_row_8_context_window(refused: Ask):
    """Input with a margin, and the output asked for, must fit together."""
    assert refused(OLD_HAIKU, {"max_tokens": 10_000}, input_tokens_estimate=150_000) is None
    assert refused(OLD_HAIKU, {"max_tokens": 30_000}, input_tokens_estimate=150_000) == (
        "it may need 210,000 tokens; claude-haiku-4-5 takes 200,000"
    )


def test_row_9_prefill_system_and_roles(refused: Ask, chat_refused: Ask):
    """An answer that the request begins, and system messages inside a conversation, are refused where they fail."""
    begun = {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "{"}]}
    mid = {"messages": [{"role": "user", "content": "a"}, {"role": "system", "content": "b"}]}

    assert refused(HAIKU, begun) == f"{HAIKU} does not continue an answer that the request begins"
    assert refused(OLD_HAIKU, begun) is None
    assert refused(OLD_HAIKU, mid) == f"{OLD_HAIKU} does not take system messages inside a conversation"
    assert chat_refused("gpt-4o-mini", {"messages": [{"role": "developer", "content": "b"}]}) is None


def test_row_10_conversation_state(refused: Ask, make_request: MakeRequest):
    """A conversation whose state belongs to one model goes only to that model."""
    signed = {
        "messages": [
            {"role": "user", "content": "a"},
            {"role": "assistant", "content": [{"type": "thinking", "thinking": "", "signature": "s"}]},
            {"role": "user", "content": "b"},
        ]
    }
    held = {"input": "b", "previous_response_id": "resp_1", "messages": ..., "max_tokens": ...}

    assert refused(HAIKU, signed) == "its history holds signed thinking blocks of another model"
    assert check(make_request(signed), HAIKU, same_conversation=lambda: True, now_s=NOW_S) is None
    assert "kept at the provider (previous_response_id)" in (
        refused(LUNA, held, provider="openai", api="responses", model=SOL) or ""
    )
    assert "container" in (refused(HAIKU, {"container": "c_1"}) or "")


def test_row_11_prompt_cache(refused: Ask, chat_refused: Ask):
    """Marks for the cache go along, for every model has one; retention that not every model has is refused."""
    cached = {"system": [{"type": "text", "text": "long", "cache_control": {"type": "ephemeral", "ttl": "1h"}}]}

    assert refused(HAIKU, cached) is None
    assert chat_refused("gpt-4o-mini", {"prompt_cache_key": "k"}) is None
    assert chat_refused("gpt-4o-mini", {"prompt_cache_retention": "24h"}) == ("it asks for prompt cache retention 24h")


def test_row_12_service_tier_and_region(refused: Ask, chat_refused: Ask):
    """A tier, speed or place of processing that was asked for may not exist for the target."""
    european = {"provider": "aws.bedrock", "model": "eu.anthropic.claude-opus-4-6-v1"}

    assert chat_refused("gpt-4o-mini", {"service_tier": "flex"}) == "it asks for service tier flex"
    assert chat_refused("gpt-4o-mini", {"service_tier": "auto"}) is None
    assert refused(HAIKU, {"inference_geo": "us"}) == "it asks for inference in us"
    assert refused(HAIKU, {"speed": "fast"}) == "it asks for speed fast"
    assert refused("us.anthropic.claude-haiku-4-5-20251001-v1:0", **european) == (
        "us.anthropic.claude-haiku-4-5-20251001-v1:0 is served in another region than eu.anthropic.claude-opus-4-6-v1"
    )


def test_row_13_stop_and_limits(chat_refused: Ask):
    """Stop sequences are refused by models that reason; an empty list says nothing."""
    assert chat_refused(LUNA, {"stop": ["\n"], "reasoning_effort": "high"}) == f"{LUNA} does not take stop"
    assert chat_refused("gpt-4o-mini", {"stop": ["\n"]}) is None
    assert chat_refused(LUNA, {"stop": [], "reasoning_effort": "high"}) is None


def test_row_14_caller_expectations(refused: Ask, chat_refused: Ask, make_request: MakeRequest):
    """Fine-tunes and pinned snapshots stay, unknown betas and parameters too; what is known to be safe goes along."""
    snapshot = make_request(model="claude-opus-4-5-20251101")

    assert chat_refused("gpt-4o-mini", model="ft:gpt-4o:acme") == "ft:gpt-4o:acme is fine-tuned"
    assert "pinned snapshot" in (check(snapshot, HAIKU, now_s=NOW_S) or "")
    assert check(snapshot, HAIKU, snapshot_named=True, now_s=NOW_S) is None
    assert refused(HAIKU, betas=("context-1m-2025-08-07",)) == (
        "beta context-1m-2025-08-07 is not one that tierwise knows to be safe"
    )
    assert refused(HAIKU, betas=("structured-outputs-2025-11-13", "extended-cache-ttl-2025-04-11")) is None
    assert chat_refused("gpt-audio-1.5", betas=("pdfs-2024-09-25",)) == (
        "gpt-audio-1.5 does not do what beta pdfs-2024-09-25 is for"
    )
    assert chat_refused("gpt-4o-mini", {"safety_identifier": "u", "user": "u"}) is None
    assert chat_refused("gpt-4o-mini", {"moderation": {}}) == (
        "parameter moderation is not one that tierwise knows to be safe"
    )


def test_row_15_lifecycle(chat_refused: Ask, make_openai_request: MakeRequest):
    """A model that is no longer served is no target from the day of its retirement on."""
    before = check(make_openai_request(), "o4-mini", now_s=NOW_S - 60 * 86_400)

    assert chat_refused("o4-mini") == "o4-mini is no longer served"
    assert before is None
