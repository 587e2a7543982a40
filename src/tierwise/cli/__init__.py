"""The command line: `tierwise COMMAND …`, one module a command, imported only when it is asked for."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Sequence
from difflib import get_close_matches
from importlib import import_module
from keyword import iskeyword
from typing import Protocol, cast

from tierwise.errors import MissingExtra, SettingsError, TierwiseError

COMMANDS = {
    "demo": "the whole loop on bundled data; needs no key and no network",
    "up": "collector and dashboard on the embedded store",
    "collect": "the collector alone",
    "dashboard": "the dashboard alone",
    "audit": "what logged calls were for and cost, and what cheaper models would have cost",
    "import": "logs that you have into the store",
    "classify": "one request a line in, its task type a line out",
    "recommend": "what could run on a cheaper model, with evidence and state",
    "simulate": "what a policy would have cost, saved and risked on stored traffic",
    "policy": "check, show, diff, apply, roll back or switch off the policy",
    "review": "judge pairs of answers blind, in the terminal",
    "verify": "what the policy saved, against what was predicted",
    "budget": "what traffic may cost a month, what it comes to, and what stands out",
    "report": "the figures of a week as one page or as JSON",
    "export": "calls, recommendations, policies or FOCUS costs as CSV, JSON or Parquet",
    "sql": "one read-only SQL statement on the store",
    "doctor": "what is installed, reachable, unpriced and stale",
}
"""Name → what it does, in the order of the help. The module `tierwise.cli.NAME` holds the command."""

_EXTRAS = {
    "anthropic": "demo",
    "duckdb": "collector",
    "grpc": "collector",
    "numpy": "collector",
    "openai": "demo",
    "pyarrow": "collector",
    "starlette": "collector",
    "streamlit": "dashboard",
    "uvicorn": "collector",
}
"""Top-level package → the extra it comes with."""

OK = 0
FAILED = 1
USAGE = 2
INTERRUPTED = 130


class Command(Protocol):
    """What a command's module provides; its docstring is the description in the help."""

    EXAMPLES: str

    def configure(self, parser: ArgumentParser) -> None:
        """Add the command's options."""
        ...

    def run(self, options: Namespace) -> int:
        """Do it and return the exit code."""
        ...


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line.

    Returns: 0 done, 1 failed, 2 wrong usage or settings, 130 interrupted.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        return _dispatch(arguments)
    except TierwiseError as error:
        if os.environ.get("TIERWISE_DEBUG") == "1":
            raise
        print(f"tierwise: {error}", file=sys.stderr)
        return USAGE if isinstance(error, SettingsError) else FAILED
    except ModuleNotFoundError as error:
        extra = _EXTRAS.get((error.name or "").partition(".")[0])
        if extra is None or os.environ.get("TIERWISE_DEBUG") == "1":
            raise
        print(f"tierwise: {MissingExtra(f'tierwise {arguments[0]}', extra)}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The reader (`head`, a pager) has seen enough. What is still buffered must not be flushed into the closed pipe.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK


def _dispatch(arguments: list[str]) -> int:
    name = arguments[0] if arguments else ""
    if name in ("-h", "--help", "help"):
        print(_help())
        return OK
    if name in ("-V", "--version"):
        from importlib.metadata import version

        print(f"tierwise {version('tierwise')}")
        return OK
    if name not in COMMANDS:
        close = get_close_matches(name, COMMANDS, n=1)
        hint = f"did you mean `tierwise {close[0]}`? " if close else ""
        problem = f"unknown command {name!r}" if name else "no command given"
        print(f"tierwise: {problem}; {hint}`tierwise --help` lists the commands", file=sys.stderr)
        return USAGE
    command = load(name)
    parser = parser_of(name, command)
    try:
        options = parser.parse_args(arguments[1:])
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else USAGE
    return command.run(options)


def load(name: str) -> Command:
    """The module of a command."""
    # `import` cannot be the name of a module that is imported by a statement.
    return cast("Command", import_module(f"tierwise.cli.{name}_" if iskeyword(name) else f"tierwise.cli.{name}"))


def parser_of(name: str, command: Command) -> ArgumentParser:
    """The argument parser of a command, its examples at the end of the help."""
    parser = ArgumentParser(
        prog=f"tierwise {name}",
        description=command.__doc__,
        epilog=f"examples:\n{command.EXAMPLES.rstrip()}",
        formatter_class=RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    command.configure(parser)
    return parser


def _help() -> str:
    width = max(map(len, COMMANDS))
    commands = "\n".join(f"  {name:<{width}}  {summary}" for name, summary in COMMANDS.items())
    return (
        "usage: tierwise COMMAND [options]\n\n"
        "Cost, task type and evidence-backed model routing for LLM applications.\n\n"
        f"commands:\n{commands}\n\n"
        "`tierwise COMMAND --help` shows a command's options and examples.\n"
        "Settings come from TIERWISE_* variables and tierwise.toml; TIERWISE_DEBUG=1 shows tracebacks."
    )
