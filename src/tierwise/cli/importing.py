"""What `tierwise import` and `tierwise audit FILE` share: options for logs, the bar, the account of what came in."""

from __future__ import annotations

import gc
import json
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, TextIO

from tierwise.cli.progress_bar import progress_bar
from tierwise.cli.terminal import warn
from tierwise.errors import TierwiseError

if TYPE_CHECKING:
    from tierwise.imports.importer import Problem, Totals
    from tierwise.store import Store

SHOWN = 5
"""Problems shown one by one; the rest are counted."""
_REASONS_SHOWN = 8
FORMAT_NAMES = ("otlp", "litellm", "helicone", "langfuse", "openinference", "anthropic", "openai", "csv")


def add_logs(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--format", choices=FORMAT_NAMES, help="take every row for this format (default: each row tells its own)"
    )
    parser.add_argument(
        "--map",
        type=column_map,
        default={},
        metavar="FIELD=COLUMN,…",
        help="which columns of a table hold what, such as input_tokens=prompt_tok,time=at",
    )
    parser.add_argument("--service", metavar="NAME", help="service name of calls whose log names none")
    parser.add_argument("--content", action="store_true", help="keep prompts and answers (default: they are only read)")
    parser.add_argument(
        "--errors", metavar="FILE", help="write every line that was not imported there, with the reason"
    )


def column_map(text: str) -> dict[str, str]:
    """Argument type: `input_tokens=prompt_tok,time=at`."""
    from tierwise.imports.formats.columns import FIELDS

    found: dict[str, str] = {}
    for part in text.split(","):
        field, equals, column = part.partition("=")
        if not equals or not column.strip() or field.strip() not in FIELDS:
            raise ArgumentTypeError(f"{part!r} is no FIELD=COLUMN; fields: {', '.join(FIELDS)}")
        found[field.strip()] = column.strip()
    return found


def import_logs(store: Store, options: Namespace, names: Sequence[str]) -> Totals:
    """Import the logs that `names` mean, with a bar on a terminal.

    Raises:
        TierwiseError: a log is not there, or the file for errors cannot be written.
    """
    from tierwise.imports.importer import Importer
    from tierwise.imports.sources import find_sources
    from tierwise.instrumentation.content_capture import ContentCapture

    sources = find_sources(names)
    sizes = [source.size_bytes for source in sources]
    total = None if None in sizes else sum(size or 0 for size in sizes)
    with ExitStack() as stack:
        problems = _Problems(None if options.errors is None else stack.enter_context(_opened(options.errors)))
        tell = stack.enter_context(progress_bar("Importing", total, "calls"))
        importer = Importer(
            store,
            format_name=options.format,
            column_map=options.map,
            capture=ContentCapture(on_spans=options.content),
            service=options.service,
            on_problem=problems,
            on_progress=tell,
        )
        with _without_collections():
            totals = importer.run(sources)
    problems.show(totals.refused)
    return totals


@contextmanager
def _without_collections() -> Generator[None]:
    """Rows hold no cycles, and looking for some among ten thousand of them over and over takes a tenth of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _opened(path: str) -> TextIO:
    try:
        return open(path, "w", encoding="utf-8")
    except OSError as error:
        raise TierwiseError(f"{path}: cannot be written: {error.strerror or error}") from error


class _Problems:
    """Takes problems as they come: the first for the terminal, all for a file."""

    def __init__(self, file: TextIO | None) -> None:
        self._file = file
        self._first: list[Problem] = []

    def __call__(self, problem: Problem) -> None:
        if len(self._first) < SHOWN:
            self._first.append(problem)
        if self._file is not None:
            line = {"file": problem.source, "line": problem.line, "reason": problem.reason}
            print(json.dumps(line, ensure_ascii=False), file=self._file)

    def show(self, count: int) -> None:
        for problem in self._first:
            warn(f"{problem.source}, line {problem.line}: {problem.reason}")
        if count > len(self._first):
            hint = "" if self._file is not None else "; --errors FILE writes all of them"
            warn(f"… and {count - len(self._first):,} more lines{hint}")


def print_totals(totals: Totals, *, out: TextIO | None = None) -> None:
    """What came in and what did not, in lines for a person."""
    out = sys.stdout if out is None else out

    def say(text: str) -> None:
        print(text, file=out)

    formats = ", ".join(f"{name} {count:,}" for name, count in totals.formats.most_common())
    say(f"{totals.rows:,} rows read" + (f" ({formats})" if formats else ""))
    say(f"{totals.calls:,} calls: {totals.added:,} new, {totals.known:,} in the store already")
    for count, words in (
        (totals.spans, "other spans, around them"),
        (totals.orders, "requests of batches, which tell what their answers are for"),
        (totals.stated, "calls with the cost that their log states, because the price list does not know their model"),
        (totals.estimated, "calls with tokens estimated from their texts, because the log counts none"),
        (totals.unclassified, "calls whose task type is not known"),
        (totals.undated, "calls without a time of their own: they have the file's"),
    ):
        if count:
            say(f"  {count:,} {words}")
    _say_reasons(say, totals.unpriced, "calls without a price")
    _say_reasons(say, totals.left_out, "rows left out, which describe no billable call")
    _say_reasons(say, totals.refusals, "rows that could not be imported")
    if totals.interrupted:
        say("interrupted: what is counted as new stays; the same command goes on where this one stopped")


def _say_reasons(say: Any, reasons: Counter[str], what: str) -> None:
    if not reasons:
        return
    say(f"  {reasons.total():,} {what}")
    for reason, count in reasons.most_common(_REASONS_SHOWN):
        say(f"    {count:,}: {reason}")
    if len(reasons) > _REASONS_SHOWN:
        say(f"    … and {len(reasons) - _REASONS_SHOWN:,} other reasons")


def totals_dict(totals: Totals) -> dict[str, Any]:
    """The same as JSON values."""
    from dataclasses import fields

    values = {item.name: getattr(totals, item.name) for item in fields(totals)}
    return {name: dict(value) if isinstance(value, Counter) else value for name, value in values.items()}


def exit_code(totals: Totals) -> int:
    """0 when every row was read, 1 when some or all were not, 130 when it was broken off."""
    if totals.interrupted:
        return 130
    return 1 if totals.refused or not totals.calls else 0
