from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import anthropic
import openai
import pytest

from tierwise.call import Request
from tierwise.routing import compat
from tierwise.routing.compat import adapt, check, conversation_state

MakeRequest = Callable[..., Request]

NOW_S = 1_795_000_000.0
"""In November 2026."""
HAIKU, OLD_HAIKU, SONNET = "claude-haiku-5-5", "claude-haiku-4-5", "claude-sonnet-5-5"


def test_a_plain_request_may_go(make_request: MakeRequest, make_openai_request: MakeRequest):
    """Text in, text out, ordinary parameters: nothing stands in the way."""
    tools = [{"type": "function", "function": {"name": "f", "parameters": {}}}]

    assert check(make_request(), HAIKU, now_s=NOW_S) is None
    assert check(make_request({"tools": [{"name": "f", "input_schema": {}}]}), HAIKU, now_s=NOW_S) is None
    assert (
        check(
            make_openai_request({"temperature": 0, "tools": tools, "tool_choice": "auto", "seed": 1, "stop": "\n"}),
            "gpt-4.1-mini",
            now_s=NOW_S,
        )
        is None
    )
    assert (
        check(
            make_request(
                {"input": "Hi", "max_tokens": ..., "messages": ...}, provider="openai", api="responses", model="gpt-5.2"
            ),
            "gpt-6-luna",
            now_s=NOW_S,
        )
        is None
    )


class Sent(Exception):
    """Carries what an SDK was about to send."""


def test_requests_as_the_sdks_make_them_may_go(make_request: MakeRequest, monkeypatch: pytest.MonkeyPatch):
    """The SDKs' own marks for parameters not given are not parameters."""

    def stop(client: object, cast_to: object, options: Any, **_: object) -> None:
        raise Sent(options.json_data)

    monkeypatch.setattr("openai._base_client.SyncAPIClient.request", stop)
    monkeypatch.setattr("anthropic._base_client.SyncAPIClient.request", stop)
    openai_client, anthropic_client = openai.OpenAI(api_key="k"), anthropic.Anthropic(api_key="k")

    def sent(call: Callable[[], object]) -> dict[str, Any]:
        with pytest.raises(Sent) as carried:
            call()
        return carried.value.args[0]

    messages = sent(
        lambda: anthropic_client.messages.create(
            model="claude-opus-5-5", max_tokens=9, system="s", messages=[{"role": "user", "content": "a"}]
        )
    )
    chat = sent(
        lambda: openai_client.chat.completions.create(model="gpt-5.2", messages=[{"role": "user", "content": "a"}])
    )
    responses = sent(lambda: openai_client.responses.create(model="gpt-5.2", input="a"))

    def found(body: dict[str, Any], target: str, provider: str, api: str) -> str | None:
        absent = {name: ... for name in ("messages", "max_tokens") if name not in body}
        return check(make_request(absent | body, provider=provider, api=api, model=body["model"]), target, now_s=NOW_S)

    assert found(messages, HAIKU, "anthropic", "messages") is None
    assert found(chat, "gpt-6-luna", "openai", "chat_completions") is None
    assert found(responses, "gpt-6-luna", "openai", "responses") is None
    anthropic_client.close()
    openai_client.close()


@pytest.mark.parametrize(
    ("body", "fields", "target", "reason"),
    [
        ({}, {}, "claude-nobody", "claude-nobody is not in the capability table for anthropic"),
        ({}, {}, "gpt-4.1-mini", "gpt-4.1-mini is not in the capability table for anthropic"),
        ({}, {"api": "completions"}, HAIKU, "calls to the completions API are not routed"),
        ({}, {"model": "claude-haiku-4-5-20251001"}, HAIKU, "is a pinned snapshot, and the rule does not name it"),
        ({"messages": iter([])}, {}, HAIKU, "its messages are not a list"),
        ({"mcp_servers": []}, {}, HAIKU, "parameter mcp_servers is not one that tierwise knows to be safe"),
        ({"messages": [{"role": "user", "content": [{"type": "hologram"}]}]}, {}, HAIKU, "content of type hologram"),
        ({"service_tier": "priority"}, {}, HAIKU, "it asks for service tier priority"),
        ({"speed": "fast"}, {}, HAIKU, "it asks for speed fast"),
        ({"inference_geo": "us"}, {}, HAIKU, "it asks for inference in us"),
        ({"container": "c"}, {}, HAIKU, "it continues a conversation kept at the provider (container)"),
        (
            {"messages": [{"role": "assistant", "content": [{"type": "thinking"}]}, {"role": "user", "content": "a"}]},
            {},
            HAIKU,
            "its history holds signed thinking blocks of another model",
        ),
        ({"max_tokens": 64_001}, {}, OLD_HAIKU, "it asks for 64,001 output tokens; claude-haiku-4-5 writes 64,000"),
        ({"max_tokens": 1000}, {"model": OLD_HAIKU}, SONNET, "reasons first, which may use up the 1,000 output tokens"),
        (
            {},
            {"input_tokens_estimate": 170_000},
            OLD_HAIKU,
            "it may need 209,000 tokens; claude-haiku-4-5 takes 200,000",
        ),
        ({"temperature": 0.2}, {}, HAIKU, "claude-haiku-5-5 does not take temperature"),
        ({"top_k": 5}, {}, HAIKU, "claude-haiku-5-5 does not take top_k"),
        ({"output_config": {"effort": "low"}}, {}, OLD_HAIKU, "claude-haiku-4-5 does not take reasoning effort low"),
        ({"output_config": {"style": "x"}}, {}, HAIKU, "parameter output_config.style is not one"),
        ({"thinking": {"type": "adaptive"}}, {}, OLD_HAIKU, "claude-haiku-4-5 does not take thinking mode adaptive"),
        ({"thinking": {"type": "enabled"}}, {}, HAIKU, "claude-haiku-5-5 does not take thinking mode enabled"),
        ({"thinking": {"type": "disabled"}}, {}, SONNET, "claude-sonnet-5-5 does not take thinking mode disabled"),
        ({"thinking": "on"}, {}, HAIKU, "claude-haiku-5-5 does not take thinking mode unreadable"),
        ({"tools": [{"name": "f"}], "tool_choice": {"type": "any"}}, {}, SONNET, "cannot be made to call a tool"),
        ({"tools": [{"type": "bash_20250124"}]}, {}, HAIKU, "tool type bash_20250124 is tied to the models"),
        ({"tools": [{"type": "web_search_20260209"}]}, {}, OLD_HAIKU, "claude-haiku-4-5 does not search the web"),
        ({"messages": [{"role": "assistant", "content": "{"}]}, {}, HAIKU, "does not continue an answer"),
        (
            {"messages": [{"role": "user", "content": "a"}, {"role": "system", "content": "b"}]},
            {},
            OLD_HAIKU,
            "claude-haiku-4-5 does not take system messages inside a conversation",
        ),
        (
            {},
            {"provider": "aws.bedrock", "model": "eu.anthropic.claude-opus-5-5"},
            "us.anthropic.claude-haiku-5-5",
            "us.anthropic.claude-haiku-5-5 is served in another region than eu.anthropic.claude-opus-5-5",
        ),
    ],
)
def test_a_messages_request_stays_when_the_target_cannot_serve_it(
    make_request: MakeRequest, body: dict[str, Any], fields: dict[str, Any], target: str, reason: str
):
    """Each thing that the target would reject or ignore is a reason, in words, to leave the request alone."""
    found = check(make_request(body, **fields), target, now_s=NOW_S)

    assert found is not None
    assert reason in found


SCHEMA = {"type": "json_schema", "json_schema": {"name": "a", "schema": {}}}


@pytest.mark.parametrize(
    ("body", "fields", "target", "reason"),
    [
        ({}, {"model": "ft:gpt-4.1:acme"}, "gpt-4.1-mini", "ft:gpt-4.1:acme is fine-tuned"),
        ({}, {"api": "embeddings"}, "gpt-4.1-mini", "calls to the embeddings API are not routed"),
        ({}, {}, "gpt-4", "gpt-4 is no longer served"),
        ({}, {}, "gpt-5.2-pro", "gpt-5.2-pro is not served by the chat_completions API"),
        ({"temperature": 0}, {}, "gpt-6-luna", "gpt-6-luna does not take temperature"),
        ({"temperature": 0}, {}, "gpt-5-nano", "gpt-5-nano does not take temperature"),
        ({"seed": 3}, {}, "gpt-5.4-mini", "gpt-5.4-mini does not take seed"),
        ({"n": 2}, {}, "gpt-5-nano", "gpt-5-nano does not take n"),
        ({"logit_bias": {"1": 1}}, {}, "gpt-5-nano", "gpt-5-nano does not take logit_bias"),
        ({"max_tokens": 100}, {}, "gpt-5-nano", "gpt-5-nano reasons first"),
        ({"reasoning_effort": "xhigh"}, {"model": "gpt-5.2"}, "gpt-5-nano", "does not take reasoning effort xhigh"),
        ({"reasoning_effort": "none"}, {"model": "gpt-5.2"}, "gpt-4.1-mini", "does not take reasoning effort none"),
        ({"reasoning_effort": "none"}, {"model": "gpt-5.2"}, "gpt-5-nano", "does not take reasoning effort none"),
        ({"verbosity": "low"}, {"model": "gpt-5.2"}, "gpt-5-nano", "parameter verbosity is not one"),
        ({"prompt_cache_retention": "24h"}, {}, "gpt-4.1-mini", "prompt cache retention 24h"),
        ({"service_tier": "flex"}, {}, "gpt-4.1-mini", "it asks for service tier flex"),
        ({"response_format": SCHEMA}, {}, "gpt-audio-1.5", "gpt-audio-1.5 does not do structured output"),
        ({"modalities": ["text", "audio"]}, {}, "gpt-4.1-mini", "gpt-4.1-mini only writes text"),
        ({"functions": [{"name": "f"}]}, {}, "gpt-6-luna", "gpt-6-luna does not take the older functions parameter"),
        ({"tools": [{"type": "custom", "custom": {}}]}, {}, "gpt-6-luna", "tool type custom is tied to the models"),
        ({"tools": [None]}, {}, "gpt-6-luna", "tool type unreadable"),
        (
            {"tools": [{"type": "function"}], "parallel_tool_calls": True},
            {"model": "gpt-5.2"},
            "o3",
            "o3 does not call tools in parallel",
        ),
        (
            {"messages": [{"role": "function", "content": "1"}]},
            {},
            "gpt-6-luna",
            "gpt-6-luna does not take the older function role",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "input_audio"}]}]},
            {},
            "gpt-4.1-mini",
            "gpt-4.1-mini does not read audio",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
            {},
            "gpt-audio-1.5",
            "gpt-audio-1.5 does not read images",
        ),
    ],
)
def test_a_chat_request_stays_when_the_target_cannot_serve_it(
    make_openai_request: MakeRequest, body: dict[str, Any], fields: dict[str, Any], target: str, reason: str
):
    """The same for Chat Completions, where reasoning models differ from the others in what they take."""
    found = check(make_openai_request(body, **fields), target, now_s=NOW_S)

    assert found is not None
    assert reason in found


@pytest.mark.parametrize(
    ("body", "target", "reason"),
    [
        ({"previous_response_id": "r"}, "gpt-6-luna", "kept at the provider (previous_response_id)"),
        ({"conversation": "c"}, "gpt-6-luna", "kept at the provider (conversation)"),
        ({"input": [{"type": "reasoning", "encrypted_content": "x"}]}, "gpt-6-luna", "holds reasoning items"),
        ({"input": [{"type": "computer_call"}]}, "gpt-6-luna", "content of type computer_call"),
        ({"tools": [{"type": "file_search"}]}, "gpt-6-luna", "tool type file_search is tied"),
        ({"prompt": {"id": "p"}}, "gpt-6-luna", "parameter prompt is not one"),
        ({"text": {"verbosity": "low"}}, "gpt-6-luna", "parameter text.verbosity is not one"),
        ({"reasoning": {"mode": "pro"}}, "gpt-6-luna", "parameter reasoning.mode is not one"),
        ({"reasoning": "high"}, "gpt-6-luna", "its reasoning parameter cannot be read"),
        ({"reasoning": {"summary": "auto"}}, "gpt-4.1-mini", "gpt-4.1-mini does not reason"),
        ({"include": ["reasoning.encrypted_content"]}, "gpt-4.1-mini", "gpt-4.1-mini does not reason"),
        ({"tools": [{"type": "function", "strict": True}]}, "gpt-5.4-pro", "does not do structured output"),
    ],
)
def test_a_responses_request_stays_when_the_target_cannot_serve_it(
    make_request: MakeRequest, body: dict[str, Any], target: str, reason: str
):
    """The same for the Responses API, with its stored conversations and hosted tools."""
    request = make_request(
        {"input": "Hi", "max_tokens": ..., "messages": ...} | body, provider="openai", api="responses", model="gpt-5.2"
    )

    found = check(request, target, now_s=NOW_S)

    assert found is not None
    assert reason in found


@pytest.mark.parametrize(
    ("body", "fields", "target"),
    [
        ({"temperature": 1, "top_p": 1}, {}, HAIKU),
        ({"temperature": 0.2}, {}, OLD_HAIKU),
        ({"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}}, {}, HAIKU),
        ({"thinking": {"type": "enabled", "budget_tokens": 2000}}, {"model": "claude-opus-4-5"}, OLD_HAIKU),
        ({"output_config": {"format": {"type": "json_schema"}}}, {}, OLD_HAIKU),
        ({"tools": [{"name": "f"}], "tool_choice": {"type": "any"}}, {}, HAIKU),
        ({"tools": [{"type": "web_search_20260209"}]}, {}, HAIKU),
        ({"tools": [{"type": "custom", "name": "f"}], "tool_choice": {"type": "none"}}, {}, HAIKU),
        ({"messages": [{"role": "assistant", "content": "{"}]}, {}, OLD_HAIKU),
        ({"service_tier": "auto", "cache_control": {"type": "ephemeral"}, "metadata": {"user_id": "u"}}, {}, HAIKU),
        ({"max_tokens": 1000}, {}, SONNET),
        ({"mcp_servers": None}, {}, HAIKU),
    ],
)
def test_what_the_target_serves_alike_does_not_hold_a_request_back(
    make_request: MakeRequest, body: dict[str, Any], fields: dict[str, Any], target: str
):
    """A parameter that the target takes, or that says nothing, is no reason."""
    assert check(make_request(body, **fields), target, now_s=NOW_S) is None


def test_without_reasoning_effort_a_reasoning_model_takes_temperature(make_openai_request: MakeRequest):
    """gpt-5.4-mini reasons only when asked to; its sampling parameters work until then."""
    body = {"temperature": 0, "max_tokens": 100}

    assert check(make_openai_request(body), "gpt-5.4-mini", now_s=NOW_S) is None
    assert check(make_openai_request(body | {"reasoning_effort": "none"}), "gpt-6-luna", now_s=NOW_S) is None
    assert check(make_openai_request(body | {"reasoning_effort": "low"}), "gpt-5.4-mini", now_s=NOW_S) is not None


def test_a_named_snapshot_may_be_moved(make_request: MakeRequest):
    """A rule that names the dated model means it."""
    request = make_request(model="claude-opus-4-5-20251101")

    assert check(request, HAIKU, snapshot_named=True, now_s=NOW_S) is None


def test_a_trusted_target_need_not_be_known(make_request: MakeRequest):
    """With trust, an unknown target is taken, but not for a request that is tied to its model."""
    request = make_request(provider="azure.ai.openai", api="chat_completions", model="our-large")
    tied = make_request({"service_tier": "flex"}, provider="azure.ai.openai", api="chat_completions", model="our-large")

    assert check(request, "our-small", now_s=NOW_S) is not None
    assert check(request, "our-small", trusted=True, now_s=NOW_S) is None
    assert check(tied, "our-small", trusted=True, now_s=NOW_S) == "it asks for service tier flex"


def test_state_fits_the_model_that_made_it(make_request: MakeRequest):
    """A conversation known to be on the answering model carries on; the question is asked only when there is state."""
    tied = make_request({"messages": [{"role": "assistant", "content": [{"type": "thinking"}]}, {"role": "user"}]})
    asked: list[bool] = []

    def known() -> bool:
        asked.append(True)
        return True

    assert check(make_request(), HAIKU, same_conversation=known, now_s=NOW_S) is None
    assert asked == []
    assert check(tied, HAIKU, same_conversation=known, now_s=NOW_S) is None
    assert check(tied, HAIKU, same_conversation=lambda: False, now_s=NOW_S) == conversation_state(tied)


def test_every_check_is_in_the_table():
    """A check that is written but not listed would never run."""
    listed = {one.__name__ for one in compat.CHECKS}
    written = {
        name for name, value in vars(compat).items() if getattr(value, "__annotations__", {}).get("case") == "Case"
    }

    assert listed == written


def test_renaming_keeps_what_a_request_means(make_openai_request: MakeRequest):
    """A reasoning model gets max_completion_tokens, another max_tokens, and the user's body stays as it is."""
    body = {"model": "gpt-4.1", "messages": [{"role": "user", "content": "a"}], "max_tokens": 9000}
    before = copy.deepcopy(body)

    assert adapt(body, "gpt-6-luna") == {
        "model": "gpt-6-luna",
        "messages": body["messages"],
        "max_completion_tokens": 9000,
    }
    assert adapt({"messages": [], "max_completion_tokens": 5}, "gpt-4.1-mini") == {
        "model": "gpt-4.1-mini",
        "messages": [],
        "max_tokens": 5,
    }
    assert adapt(body, "gpt-4.1-mini") == body | {"model": "gpt-4.1-mini"}
    assert body == before


def test_other_apis_have_nothing_to_rename():
    """Messages and Responses requests, and unknown targets, change their model only."""
    messages = {"model": "claude-opus-5-5", "messages": [], "max_tokens": 5}
    responses = {"model": "gpt-5.2", "input": "a", "max_output_tokens": 5}

    assert adapt(messages, HAIKU, provider="anthropic") == messages | {"model": HAIKU}
    assert adapt(responses, "gpt-6-luna") == responses | {"model": "gpt-6-luna"}
    assert adapt(messages, "our-small", provider="azure.ai.openai") == messages | {"model": "our-small"}


def test_a_limit_under_both_names_is_left_alone():
    """Two limits that contradict each other are the user's to sort out."""
    body = {"messages": [], "max_tokens": 5, "max_completion_tokens": 6}

    assert adapt(body, "gpt-6-luna") == body | {"model": "gpt-6-luna"}
