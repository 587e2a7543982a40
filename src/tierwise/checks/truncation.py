"""Whether the answer breaks off: the provider says so, or its JSON, or a code block in it, is not closed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tierwise.checks import json_text
from tierwise.checks.answer import Answer
from tierwise.checks.check import CheckContext, Deadline, Finding

_LIMITS = frozenset({"length", "max_tokens", "max_output_tokens", "model_context_window_exceeded"})
_BROKEN = frozenset({"error", "incomplete"})


def check(request_body: Mapping[str, Any], answer: Answer, context: CheckContext, deadline: Deadline) -> Finding:
    """Bad when the answer ran into a limit, ended without an end, or leaves open what it opened."""
    reason = answer.finish_reason
    if reason in _LIMITS:
        return Finding(False, f"finish reason {reason}")
    if reason in _BROKEN:
        return Finding(False, "it ended without a finish reason")
    texts = [answer.text, *(call.arguments for call in answer.tool_calls)]
    if sum(map(len, texts)) > json_text.MAX_JSON_CHARS:
        return Finding(None, f"longer than {json_text.MAX_JSON_CHARS:,} characters")
    for text in texts:
        deadline.check()
        inner = json_text.after_opening_fence(text)
        if json_text.looks_like_json(inner):
            if json_text.parse(inner).error and json_text.breaks_off(inner):
                return Finding(False, "JSON that is not closed")
        elif json_text.has_open_fence(text):
            return Finding(False, "a code block that is not closed")
    return Finding(True)
