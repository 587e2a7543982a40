from __future__ import annotations

from typing import Any

import pytest

from tierwise.routing import parameters


@pytest.mark.parametrize(
    ("body", "in_use"),
    [
        ({}, []),
        ({"temperature": 1, "top_p": 1.0, "n": 1, "logit_bias": {}, "stop": [], "frequency_penalty": 0.0}, []),
        ({"temperature": 0}, ["temperature"]),
        ({"temperature": None, "seed": 7}, ["seed"]),
        ({"stop": ["\n"], "n": 2}, ["n", "stop"]),
        ({"top_k": 1}, ["top_k"]),
        ({"include": ["message.output_text.logprobs"]}, ["logprobs"]),
    ],
)
def test_only_values_that_say_something_count_as_sampling(body: dict[str, Any], in_use: list[str]):
    """Defaults written out are not in use; anything else is."""
    assert parameters.sampling_in_use(body) == in_use


@pytest.mark.parametrize(
    ("body", "cap"),
    [
        ({}, None),
        ({"max_tokens": 5}, 5),
        ({"max_completion_tokens": 6}, 6),
        ({"max_output_tokens": 7}, 7),
        ({"max_tokens": None}, None),
        ({"max_tokens": True}, None),
    ],
)
def test_the_output_cap_is_read_under_each_of_its_names(body: dict[str, Any], cap: int | None):
    """Each API's name for the limit is understood; no limit is None."""
    assert parameters.output_cap(body) == cap


@pytest.mark.parametrize(
    ("body", "effort"),
    [
        ({"reasoning_effort": "low"}, "low"),
        ({"reasoning": {"effort": "high"}}, "high"),
        ({"output_config": {"effort": "max"}}, "max"),
        ({"reasoning": {"summary": "auto"}}, None),
        ({"reasoning": "odd"}, None),
    ],
)
def test_effort_is_read_in_each_of_its_places(body: dict[str, Any], effort: str | None):
    """Chat Completions, Responses and Messages each have their own place for it."""
    assert parameters.effort_of(body) == effort


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"response_format": {"type": "text"}}, None),
        ({"response_format": {"type": "json_object"}}, "json_object"),
        ({"text": {"format": {"type": "json_schema"}}}, "json_schema"),
        ({"output_config": {"format": {"type": "json_schema"}}}, "json_schema"),
        ({"output_config": {"effort": "low"}}, None),
    ],
)
def test_structured_output_is_read_in_each_of_its_places(body: dict[str, Any], kind: str | None):
    """Plain text is no structured output, wherever it is said."""
    assert parameters.output_format(body) == kind


def test_thinking_modes_are_named():
    """A thinking parameter that is no table has a mode no model takes."""
    assert parameters.thinking_of({}) is None
    assert parameters.thinking_of({"thinking": {"type": "adaptive"}}) == "adaptive"
    assert parameters.thinking_of({"thinking": "on"}) == "unreadable"


def test_apis_that_are_not_routed_have_no_parameters():
    """Embeddings and the older completions are not among the APIs looked at."""
    assert parameters.known_parameters("embeddings") is None
    assert parameters.known_parameters("completions") is None
    assert "messages" in (parameters.known_parameters("chat_completions") or ())
