from __future__ import annotations

import threading
from typing import Any, Literal

import pytest
from pydantic import BaseModel, field_validator

from tierwise.checks.answer import Answer, ToolCall
from tierwise.checks.check import CheckContext, Deadline, Finding
from tierwise.checks.schema import check, declared_schema

TOTAL = {"type": "object", "properties": {"total": {"type": "number"}}, "required": ["total"]}
DECLARATIONS = {
    "chat": {"response_format": {"type": "json_schema", "json_schema": {"name": "t", "strict": True, "schema": TOTAL}}},
    "responses": {"text": {"format": {"type": "json_schema", "name": "t", "schema": TOTAL}}},
    "messages": {"output_config": {"format": {"type": "json_schema", "schema": TOTAL}}},
    "messages-beta": {"output_format": {"type": "json_schema", "schema": TOTAL}},
}
TOOL = {"tools": [{"type": "function", "function": {"name": "add", "parameters": TOTAL}}]}


def found(body: dict[str, Any], answer: Answer | str, schema: Any = None) -> Finding:
    answer = Answer(answer) if isinstance(answer, str) else answer
    return check(body, answer, CheckContext(schema=schema), Deadline(10.0))


@pytest.mark.parametrize("body", DECLARATIONS.values(), ids=DECLARATIONS)
def test_the_declared_schema_counts_in_every_api(body: dict[str, Any]) -> None:
    """A text that the request wants in a schema has to fit it, wherever its API declares it."""
    assert found(body, '{"total": 1}').passed is True
    assert found(body, '{"total": "1"}') == (False, "$.total: number expected, string found")
    assert found(body, "{}") == (False, "$: field 'total' is missing")


@pytest.mark.parametrize(
    "body", [{"response_format": {"type": "json_object"}}, {"text": {"format": {"type": "json_object"}}}]
)
def test_json_mode_wants_an_object(body: dict[str, Any]) -> None:
    """Where only JSON is asked for, any object will do, and nothing else."""
    assert found(body, '{"anything": 1}').passed is True
    assert found(body, "[1]").passed is False
    assert found(body, "Sure! {}").passed is False


def test_a_fence_is_allowed_only_where_the_request_leaves_the_format_open() -> None:
    """Declared JSON is parsed as it stands; that of a registered schema may be the text's only block."""
    fenced = '```json\n{"total": 1}\n```'

    assert found(DECLARATIONS["chat"], fenced).passed is False
    assert found({}, fenced, schema=TOTAL).passed is True
    assert found({}, f"Here it is:\n{fenced}", schema=TOTAL).passed is True
    assert found(DECLARATIONS["chat"], fenced, schema=TOTAL).passed is False


def test_line_breaks_in_strings_are_allowed_where_a_fence_is() -> None:
    """A model that was asked in the prompt breaks lines within strings; one whose format is declared must not."""
    text = '{"total": 1, "note": "one\ntwo"}'

    assert found({}, text, schema=TOTAL).passed is True
    assert found(DECLARATIONS["chat"], text).passed is False


@pytest.mark.parametrize(
    ("answer", "what"),
    [(Answer(""), "empty"), (Answer("  \n"), "empty"), (Answer("I can't help.", refused=True), "a refusal")],
)
def test_no_answer_is_not_json(answer: Answer, what: str) -> None:
    """An empty answer or a refusal is not the structure that was asked for, and is called what it is."""
    assert found(DECLARATIONS["chat"], answer) == (False, f"{what} where JSON was asked for")


def test_free_text_has_no_structure() -> None:
    """Where no structure was asked for, the check does not apply."""
    assert found({"messages": [], "text": {"format": {"type": "text"}}}, "Hello").passed is None
    assert declared_schema({"response_format": {"type": "text"}}) is None


@pytest.mark.parametrize(
    ("arguments", "passed"),
    [('{"total": 1}', True), ('{"total": "1"}', False), ("{}", False), ('{"total": 1', False), ("", False)],
)
def test_tool_arguments_have_to_fit(arguments: str, passed: bool) -> None:
    """Arguments of a tool call are JSON that fits the tool's own schema."""
    assert found(TOOL, Answer("", (ToolCall("add", arguments),))).passed is passed


def test_a_tool_without_parameters_may_be_called_with_nothing() -> None:
    """No arguments at all stand for an empty object."""
    body = {"tools": [{"name": "now", "input_schema": {"type": "object", "properties": {}}}]}

    assert found(body, Answer("", (ToolCall("now", ""),))).passed is True


@pytest.mark.parametrize(
    ("choice", "answer", "passed"),
    [
        ("required", Answer("Hello"), False),
        ("required", Answer("", (ToolCall("add", '{"total": 1}'),)), True),
        ({"type": "function", "function": {"name": "sub"}}, Answer("", (ToolCall("add", '{"total": 1}'),)), False),
        ("none", Answer("", (ToolCall("add", '{"total": 1}'),)), False),
        ("auto", Answer("Hello"), None),
        ("auto", Answer("", (ToolCall("mul", "{}"),)), False),
    ],
)
def test_tools_are_called_as_the_request_says(choice: Any, answer: Answer, passed: bool | None) -> None:
    """A forced tool is called, a forbidden or unknown one is not, and free choice is free."""
    assert found({**TOOL, "tool_choice": choice}, answer).passed is passed


def test_calls_in_parallel_may_be_ruled_out() -> None:
    """Two calls are one too many where the request allows one."""
    calls = (ToolCall("add", '{"total": 1}'),) * 2

    assert found(TOOL, Answer("", calls)).passed is True
    assert found({**TOOL, "parallel_tool_calls": False}, Answer("", calls)).passed is False


def test_a_hosted_tool_may_have_any_name() -> None:
    """Where a hosted tool brings names of its own, an unknown name is no fault."""
    assert found({"tools": [{"type": "web_search"}]}, Answer("", (ToolCall("search", "?"),))).passed is True


class Invoice(BaseModel):
    kind: Literal["invoice", "credit"]
    total: float

    @field_validator("total")
    @classmethod
    def _positive(cls, total: float) -> float:
        if total < 0:
            raise ValueError(f"{total} is a secret")
        return total


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        ('{"kind": "invoice", "total": 1}', (True, "")),
        ('{"kind": "letter", "total": 1}', (False, "$.kind: literal_error")),
        ('{"kind": "credit"}', (False, "$.total: missing")),
        ('{"kind": "credit", "total": -1}', (False, "$.total: value_error")),
    ],
)
def test_a_pydantic_model_is_a_schema(text: str, finding: tuple[bool, str]) -> None:
    """A registered model validates with its own validators, and what they say of the value stays here."""
    assert found({}, text, schema=Invoice) == finding


def test_a_model_whose_validators_hang_is_no_verdict() -> None:
    """Validators are the user's code and are waited for no longer than the check may take."""
    release = threading.Event()

    class Slow(BaseModel):
        @field_validator("*", mode="before")
        @classmethod
        def _wait(cls, value: Any) -> Any:
            release.wait()
            return value

        a: int

    finding = check({}, Answer('{"a": 1}'), CheckContext(schema=Slow), Deadline(0.05))
    release.set()

    assert finding.passed is None
