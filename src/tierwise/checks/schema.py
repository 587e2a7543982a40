"""Whether the answer is the structure that was asked for: JSON, its schema, and the tools' own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from typing import Any, cast

from tierwise.checks import json_text
from tierwise.checks.answer import Answer
from tierwise.checks.bounded_thread import call_within
from tierwise.checks.check import CheckContext, Deadline, Finding
from tierwise.checks.json_schema import Uncheckable, violation
from tierwise.checks.offered_tools import OfferedTools, read_tools

_ANY_OBJECT: Mapping[str, Any] = {"type": "object"}
_FITS = Finding(True)


def check(request_body: Mapping[str, Any], answer: Answer, context: CheckContext, deadline: Deadline) -> Finding:
    """Bad: malformed JSON, what the schema does not allow, a tool that was not offered, a forced tool not called.

    A text that the request's own format asks for has to be JSON as it stands, because whoever asks that way parses it
    that way. What only a schema registered for the use case asks for may also be the text's one json block, and have
    line breaks in its strings.
    """
    tools = read_tools(request_body)
    if answer.tool_calls or tools.forced is not None:
        wrong = _wrong_calls(answer, tools, deadline)
        if wrong is not None or answer.tool_calls:
            return wrong or _FITS
    declared = declared_schema(request_body)
    if declared is None and context.schema is None:
        return Finding(None, "no structure was asked for")
    if not answer.text.strip() or answer.refused:
        return Finding(
            False, "a refusal where JSON was asked for" if answer.refused else "empty where JSON was asked for"
        )
    finding = _FITS
    if declared is not None:
        finding = _fits(answer.text, declared, deadline)
    if finding.passed and context.schema is not None:
        finding = _fits_registered(answer.text, context.schema, deadline, is_declared=declared is not None)
    return finding


def declared_schema(request_body: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The schema of the text that a request asks for; of any object where it only asks for JSON; None for free text."""
    text = request_body.get("text")
    output = request_body.get("output_config")
    for form in (
        request_body.get("response_format"),
        cast("Mapping[str, Any]", text).get("format") if isinstance(text, Mapping) else None,
        cast("Mapping[str, Any]", output).get("format") if isinstance(output, Mapping) else None,
        request_body.get("output_format"),
    ):
        if not isinstance(form, Mapping):
            continue
        said = cast("Mapping[str, Any]", form)
        if said.get("type") == "json_object":
            return _ANY_OBJECT
        if said.get("type") == "json_schema":
            inner = said.get("json_schema")
            schema = (cast("Mapping[str, Any]", inner) if isinstance(inner, Mapping) else said).get("schema")
            return cast("Mapping[str, Any]", schema) if isinstance(schema, Mapping) else {}
    return None


def _wrong_calls(answer: Answer, tools: OfferedTools, deadline: Deadline) -> Finding | None:
    """What is wrong with the tools called; None when nothing is."""
    if tools.forbidden and answer.tool_calls:
        return Finding(False, "calls a tool where none may be called")
    if tools.forced is not None:
        if not answer.tool_calls:
            return Finding(False, "does not call the tool it has to")
        if tools.all_named and tools.forced.isdisjoint(call.name for call in answer.tool_calls):
            return Finding(False, "calls another tool than it has to")
    if tools.one_at_most and len(answer.tool_calls) > 1:
        return Finding(False, f"{len(answer.tool_calls)} tool calls where one at most was allowed")
    for at, call in enumerate(answer.tool_calls):
        if call.name not in tools.schemas:
            if tools.all_named:
                return Finding(False, f"tool call {at}: a tool that was not offered")
            continue
        schema = tools.schemas[call.name]
        if schema is None:
            continue
        # A tool without parameters may be called with nothing at all.
        finding = _fits(call.arguments or "{}", schema, deadline)
        if not finding.passed:
            return Finding(finding.passed, f"tool call {at}: {finding.reason}")
    return None


def _fits(text: str, schema: Any, deadline: Deadline) -> Finding:
    parsed = json_text.parse(text)
    return _not_json(parsed) or _fits_value(parsed.value, schema, deadline)


def _not_json(parsed: json_text.Parsed) -> Finding | None:
    if parsed.error or parsed.unknown:
        return Finding(False, parsed.error) if parsed.error else Finding(None, parsed.unknown)
    return None


def _fits_value(value: Any, schema: Any, deadline: Deadline) -> Finding:
    deadline.check()
    try:
        wrong = violation(value, schema, deadline.check)
    except (Uncheckable, RecursionError) as error:
        return Finding(None, str(error) if isinstance(error, Uncheckable) else "nested too deeply")
    return _FITS if wrong is None else Finding(False, wrong)


def _fits_registered(text: str, schema: Any, deadline: Deadline, *, is_declared: bool) -> Finding:
    parsed = json_text.parse(text if is_declared else json_text.unfenced(text), line_breaks=True)
    if (wrong := _not_json(parsed)) is not None:
        return wrong
    validate = getattr(schema, "model_validate_json", None)
    if validate is None:
        return _fits_value(parsed.value, schema, deadline)
    # Written anew: the text may have a fence. A model's validators are the user's code.
    outcome = call_within(partial(validate, json.dumps(parsed.value)), deadline.left_s())
    if outcome.timed_out:
        return Finding(None, "the model's validators did not come to an end in time")
    if outcome.error is None:
        return _FITS
    errors = getattr(outcome.error, "errors", None)
    if errors is None:
        return Finding(None, f"the model's validators raised {type(outcome.error).__name__}")
    first = errors(include_url=False, include_context=False, include_input=False)[0]
    place = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in _declared_steps(schema, first))
    return Finding(False, f"${place}: {first.get('type', 'invalid')}")


def _declared_steps(model: Any, error: Mapping[str, Any]) -> list[int | str]:
    """The place of an error, as far as it is named by the model itself: further down may stand what was answered."""
    steps = list(error.get("loc", ()))[:1]
    return steps if steps and (isinstance(steps[0], int) or steps[0] in getattr(model, "model_fields", {})) else []
