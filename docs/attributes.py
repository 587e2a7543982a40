"""Write docs/attributes.md from the texts in src/tierwise/semconv.py.

python docs/attributes.py
"""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import NamedTuple

SEMCONV = Path(__file__).parents[1] / "src" / "tierwise" / "semconv.py"
PAGE = Path(__file__).with_suffix(".md")

_HEAD = """\
# Attributes, events and metrics

Written by `python docs/attributes.py` from `src/tierwise/semconv.py`; change it there.

The last column says whose convention a name is: **semconv** is OpenTelemetry's for GenAI (status Development; stable
where it says so; with a version where we keep a name that the newest one replaced), **proposal 443** its pull request
on cost, **anthropic SDK** what that SDK puts on its own spans, **tierwise** ours.
"""

_TAIL = """\
## Choices

- `error.type` is the class name of the exception, the same for both SDKs: it is what you would catch, there are few of
  them, and none quotes a prompt. Both SDKs raise `APIConnectionError`, `APITimeoutError`, `APIResponseValidationError`,
  `AuthenticationError`, `BadRequestError`, `ConflictError`, `InternalServerError`, `NotFoundError`,
  `PermissionDeniedError`, `RateLimitError`, `UnprocessableEntityError`, `APIStatusError` for other statuses and
  `APIError` for an error in a stream; anthropic has finer ones below these, such as `OverloadedError`. A connection
  that breaks within a body is the HTTP client's own error, such as `RemoteProtocolError`. An answer or event of
  Responses that reports a failure gives its code, such as `server_error`. A call that its caller cancelled did not
  fail and has none.
- The status of a span is ERROR when the call failed and unset when it did not, without a description: an error's
  message may quote the prompt.
- Metrics have the names that OpenTelemetry's own instrumentations emit and backends read. The newest conventions split
  `gen_ai.client.token.usage` into counters and rename the others to `gen_ai.client.inference.*`; emitting both would
  count every call twice in a dashboard that sums them.
- A Responses call has `gen_ai.operation.name` `chat`, as OpenTelemetry's instrumentation of it has.
"""


class Row(NamedTuple):
    """One key of the page."""

    key: str
    says: str
    type: str
    present: str
    level: str
    source: str


def sections(source: str) -> dict[str, list[Row]]:
    """The rows of each section, in the order of the module.

    Raises:
        ValueError: a constant has no text under it that makes a row.
    """
    headings = {
        number: match[1]
        for number, line in enumerate(source.splitlines(), 1)
        if (match := re.match(r"# --- (.*?) -+$", line))
    }
    found: dict[str, list[Row]] = {}
    statements = ast.parse(source).body
    for statement, following in zip(statements, [*statements[1:], None], strict=True):
        if not isinstance(statement, ast.AnnAssign):
            continue
        heading = next((text for line, text in reversed(headings.items()) if line < statement.lineno), "scope")
        found.setdefault(heading, []).append(_row(statement, following))
    return found


def _row(statement: ast.AnnAssign, following: ast.stmt | None) -> Row:
    key = ast.literal_eval(statement.value) if statement.value else ""
    text = (
        following.value.value if isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant) else ""
    )
    cells = " ".join(str(text).split()).split(" | ")
    if len(cells) != len(Row._fields) - 1:
        raise ValueError(f"{ast.unparse(statement)} needs a text under it: what it says | type | when | level | whose")
    return Row(f"{key}*" if key.endswith(".") else key, *cells)


def page(source: str) -> str:
    """The page, as Markdown."""
    parts = [_HEAD]
    for heading, rows in sections(source).items():
        parts.append(f"## {heading[0].upper()}{heading[1:]}\n")
        parts.append("| name | says | type | present | level | convention |\n|---|---|---|---|---|---|")
        parts += [f"| `{row.key}` | " + " | ".join(cell.replace("|", "\\|") for cell in row[1:]) + " |" for row in rows]
        parts.append("")
    return "\n".join([*parts, _TAIL])


if __name__ == "__main__":
    PAGE.write_text(page(SEMCONV.read_text(encoding="utf-8")), encoding="utf-8")
