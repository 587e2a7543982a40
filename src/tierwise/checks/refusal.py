"""Whether there is an answer at all: not refused by model or provider, and not empty."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tierwise.checks.answer import REFUSED_REASONS, Answer
from tierwise.checks.check import CheckContext, Deadline, Finding
from tierwise.checks.json_text import looks_like_json
from tierwise.checks.refusal_phrases import begins_as_refusal

_MOST_CHARS = 1_200
"""A longer text that begins with regret goes on to answer."""


def check(request_body: Mapping[str, Any], answer: Answer, context: CheckContext, deadline: Deadline) -> Finding:
    """Bad when the provider marks it, when it is empty, or when a short text begins as refusals do."""
    if answer.refused or answer.finish_reason in REFUSED_REASONS:
        return Finding(False, f"the provider says so ({answer.finish_reason or 'refusal'})")
    if answer.tool_calls:
        return Finding(True)
    if not answer.text or answer.text.isspace():
        return Finding(False, "empty")
    if len(answer.text) > _MOST_CHARS or looks_like_json(answer.text):
        return Finding(True)
    return Finding(False, "begins as a refusal does") if begins_as_refusal(answer.text) else Finding(True)
