"""Read one request a line (the keyword arguments of an SDK call, as JSON) and print what it is asking for, a line each.

Nothing leaves the machine. A line that cannot be read is reported on standard error and the rest goes on.
"""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TextIO

from tierwise.cli.terminal import warn
from tierwise.errors import TierwiseError

EXAMPLES = """\
  tierwise classify requests.jsonl
  tierwise classify requests.jsonl | jq -r .task_type | sort | uniq -c
  echo '{"messages": [{"role": "user", "content": "Translate to French: good morning"}]}' | tierwise classify -
"""


def configure(parser: ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="JSON lines; - for standard input")
    parser.add_argument(
        "--json", action="store_true", help="taken for uniformity: the output is always one JSON object a line"
    )


def run(options: Namespace) -> int:
    if options.file == "-":
        return _classify(sys.stdin, "standard input")
    path = Path(options.file)
    try:
        lines = path.open(encoding="utf-8")
    except OSError as error:
        raise TierwiseError(f"{path}: cannot be read: {error.strerror}") from error
    with lines:
        return _classify(lines, str(path))


def _classify(lines: TextIO | Iterable[str], origin: str) -> int:
    from tierwise.tasks import infer

    bad = 0
    try:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                request: Any = json.loads(line)
            except json.JSONDecodeError as error:
                bad += 1
                warn(f"{origin}, line {number}: not JSON: {error.msg} at column {error.colno}")
                continue
            if not isinstance(request, dict):
                bad += 1
                warn(f"{origin}, line {number}: {type(request).__name__} where an object with the request is needed")
                continue
            found = infer(request)
            answer = {
                "task_type": found.task_type,
                "confidence": round(found.confidence, 4),
                "complexity": found.complexity.band,
                "use_case": found.use_case.id,
            }
            print(json.dumps(answer, ensure_ascii=False))
    except UnicodeDecodeError as error:
        raise TierwiseError(f"{origin}: not UTF-8 text: {error.reason}") from error
    return 1 if bad else 0
