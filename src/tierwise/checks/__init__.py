"""Checks of an answer that need no second opinion: is it the JSON that was asked for, whole, and an answer at all?

    verdicts = run(["schema", "refusal", "truncation"], request_body, read_answer("chat", response_json))

`docs/checks.md` says what each check looks at, what it costs and how much it was measured to find.
"""

from __future__ import annotations

from tierwise.checks.answer import Answer, ToolCall, read_answer
from tierwise.checks.check import KNOWN, CheckContext, UserCheck, Verdict, run
from tierwise.checks.registered import context_of, register_schema, unregister

__all__ = [
    "KNOWN",
    "Answer",
    "CheckContext",
    "ToolCall",
    "UserCheck",
    "Verdict",
    "context_of",
    "read_answer",
    "register_schema",
    "run",
    "unregister",
]
