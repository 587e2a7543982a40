from __future__ import annotations

from typing import Any

import pytest

from tierwise.checks.offered_tools import read_tools

SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}}


@pytest.mark.parametrize(
    "body",
    [
        {"tools": [{"type": "function", "function": {"name": "find", "parameters": SCHEMA}}]},
        {"tools": [{"type": "function", "name": "find", "parameters": SCHEMA}]},
        {"tools": [{"name": "find", "input_schema": SCHEMA}]},
        {"tools": [{"type": "custom", "name": "find", "input_schema": SCHEMA}]},
        {"functions": [{"name": "find", "parameters": SCHEMA}]},
    ],
    ids=["chat", "responses", "messages", "messages-custom", "legacy"],
)
def test_schemas_are_found_in_every_api(body: dict[str, Any]) -> None:
    """A function tool's argument schema is found wherever its API keeps it."""
    tools = read_tools(body)

    assert tools.schemas == {"find": SCHEMA}
    assert tools.all_named


def test_tools_without_a_schema_are_known_by_name() -> None:
    """A free-form tool has a name and no schema; a hosted one has neither."""
    tools = read_tools({"tools": [{"type": "custom", "custom": {"name": "shell"}}, {"type": "web_search"}]})

    assert tools.schemas == {"shell": None}
    assert not tools.all_named


@pytest.mark.parametrize(
    ("choice", "forced"),
    [
        ("auto", None),
        ("required", {"find", "save"}),
        ({"type": "any"}, {"find", "save"}),
        ({"type": "auto"}, None),
        ({"type": "function", "function": {"name": "find"}}, {"find"}),
        ({"type": "function", "name": "find"}, {"find"}),
        ({"type": "tool", "name": "find"}, {"find"}),
        ({"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "find"}]}, {"find"}),
        (
            {
                "type": "allowed_tools",
                "allowed_tools": {"mode": "required", "tools": [{"type": "function", "function": {"name": "find"}}]},
            },
            {"find"},
        ),
        ({"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "find"}]}, None),
        (7, None),
    ],
)
def test_a_forced_tool_is_found_in_every_api(choice: Any, forced: set[str] | None) -> None:
    """What has to be called is read from every way of writing `tool_choice`."""
    body = {"tools": [{"name": "find"}, {"name": "save"}], "tool_choice": choice}

    assert read_tools(body).forced == forced


def test_what_is_ruled_out_is_found() -> None:
    """No tools at all, and no tools in parallel, are read from both APIs' options."""
    assert read_tools({"tool_choice": "none"}).forbidden
    assert read_tools({"tool_choice": {"type": "none"}}).forbidden
    assert read_tools({"parallel_tool_calls": False}).one_at_most
    assert read_tools({"tool_choice": {"type": "auto", "disable_parallel_tool_use": True}}).one_at_most


def test_an_odd_body_offers_nothing() -> None:
    """A body whose tools are no list of mappings offers none."""
    assert read_tools({"tools": "find", "functions": [1, None]}).schemas == {}
