"""Recorded benchmark answers as the calls an application would have made: a request body, and an answer to check.

BFCL recorded models that were asked to write calls as Python does, in plain text. Such a text is read into tool calls
here; what sets out to be calls and cannot be read is a tool call with broken arguments, and the rest is text. Requests
of BFCL's `relevance` are not in the recording, so that only checks that need no request apply to their answers. Java
and JavaScript calls take source text for arguments, whose types say nothing.

ZeroEval asks in the prompt for JSON with `reasoning` and `answer`, as an application does that registers a schema.
"""

from __future__ import annotations

import ast
import json
import math
import operator
from collections.abc import Callable, Mapping
from typing import Any

from tierwise.checks import Answer, CheckContext, ToolCall

ZEROEVAL_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": {"reasoning": {"type": "string"}},
    "required": ["reasoning", "answer"],
}
_TYPES = {
    "dict": "object",
    "HashMap": "object",
    "float": "number",
    "double": "number",
    "tuple": "array",
    "list": "array",
    "Array": "array",
    "ArrayList": "array",
    "String": "string",
    "str": "string",
    "Boolean": "boolean",
    "bool": "boolean",
    "int": "integer",
}
_KNOWN = frozenset({"object", "number", "array", "string", "boolean", "integer", "null"})
_ARITHMETIC: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_CONSTANTS = {"true": True, "false": False, "null": None, "None": None}


def as_call(data_set: str, category: str, prompt: str | None, response: str | None) -> tuple[Any, Answer, CheckContext]:
    """(request body, answer, context) of one recorded answer; whether to call a tool is up to the model."""
    text = response or ""
    if data_set.startswith("zeroeval"):
        body = {"messages": [{"role": "user", "content": prompt or ""}]}
        return body, Answer(text), CheckContext(schema=ZEROEVAL_SCHEMA)
    if prompt is None:
        return {}, Answer(text), CheckContext()
    asked = json.loads(prompt)
    functions = asked["functions"] if isinstance(asked["functions"], list) else [asked["functions"]]
    is_typed = category not in ("java", "javascript")
    tools = [
        {
            "type": "function",
            "function": {"name": function["name"], "parameters": _schema(function.get("parameters"), is_typed)},
        }
        for function in functions
    ]
    body = {"messages": [{"role": "user", "content": asked["question"]}], "tools": tools}
    return body, _answer(text), CheckContext()


def _schema(declared: Any, is_typed: bool) -> Any:
    """BFCL's parameter description as JSON Schema; names of types that other languages have become JSON's."""
    if not isinstance(declared, dict):
        return {}
    schema: dict[str, Any] = {"additionalProperties": False} if declared.get("properties") else {}
    kind = _TYPES.get(declared.get("type", ""), declared.get("type"))
    if kind in _KNOWN and is_typed:
        schema["type"] = kind
    if isinstance(declared.get("properties"), dict):
        schema["properties"] = {name: _schema(inner, is_typed) for name, inner in declared["properties"].items()}
    if is_typed:
        schema |= {key: declared[key] for key in ("enum",) if isinstance(declared.get(key), list)}
        if isinstance(declared.get("items"), dict):
            schema["items"] = _schema(declared["items"], is_typed)
    if isinstance(declared.get("required"), list):
        schema["required"] = declared["required"]
    return schema


def _answer(text: str) -> Answer:
    written = text.strip().strip("`").removeprefix("json").removeprefix("python").strip()
    try:
        tree = ast.parse(written, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        tree = None
    calls = tree.elts if isinstance(tree, ast.List) else [tree]
    if calls and all(isinstance(call, ast.Call) and _dotted(call.func) for call in calls):
        return Answer("", tuple(_tool_call(call) for call in calls if isinstance(call, ast.Call)))
    if written.startswith("[") and ("(" in written or "{" in written):
        return Answer("", (ToolCall(written[1:].split("(", 1)[0], written),))
    return Answer(text)


def _dotted(function: ast.expr) -> str:
    if isinstance(function, ast.Attribute):
        return f"{_dotted(function.value)}.{function.attr}"
    return function.id if isinstance(function, ast.Name) else ""


def _tool_call(call: ast.Call) -> ToolCall:
    # An argument without a name is one that no schema has.
    arguments = {str(at): _value(value) for at, value in enumerate(call.args)}
    arguments |= {keyword.arg or "**": _value(keyword.value) for keyword in call.keywords}
    return ToolCall(_dotted(call.func), json.dumps(arguments, default=str))


def _value(node: ast.expr) -> Any:
    """A literal's value; simple arithmetic worked out, as JSON arguments would have it; else the source text."""
    if isinstance(node, ast.List | ast.Tuple | ast.Set):
        return [_value(item) for item in node.elts]
    if isinstance(node, ast.Dict):
        pairs = zip(node.keys, node.values, strict=True)
        return {str(_value(key)) if key is not None else "**": _value(value) for key, value in pairs}
    if isinstance(node, ast.Constant) and (node.value is None or isinstance(node.value, str | int | float)):
        return node.value
    if (
        isinstance(node, ast.UnaryOp)
        and isinstance(node.op, ast.USub)
        and isinstance(inner := _value(node.operand), float | int)
    ):
        return -inner
    if isinstance(node, ast.BinOp) and (work_out := _ARITHMETIC.get(type(node.op))) is not None:
        left, right = _value(node.left), _value(node.right)
        if (
            isinstance(left, int | float)
            and isinstance(right, int | float)
            and (right or work_out is not operator.truediv)
        ):
            return work_out(left, right)
    source = ast.unparse(node)
    return math.pi if source == "math.pi" else _CONSTANTS.get(source, source)
