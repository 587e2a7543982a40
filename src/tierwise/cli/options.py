"""Options that several commands take, and what they mean."""

from __future__ import annotations

import getpass
import math
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from tierwise import settings
from tierwise.errors import SettingsError, StoreError
from tierwise.settings import Settings

if TYPE_CHECKING:
    from tierwise.store import Store


def add_collector(parser: ArgumentParser) -> None:
    parser.add_argument("--port", type=port, default=4318, help="port of the collector's HTTP (default: 4318)")
    parser.add_argument(
        "--grpc-port",
        type=port,
        default=None,
        help="port of OTLP over gRPC, 0 for none (default: 4317, or none where that is taken)",
    )
    parser.add_argument(
        "--tls-cert", metavar="FILE", help="certificate, for https and gRPC over TLS (default: TIERWISE_TLS_CERT)"
    )
    parser.add_argument("--tls-key", metavar="FILE", help="the certificate's key (default: TIERWISE_TLS_KEY)")


def add_json(parser: ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of a table")


def add_store(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--db",
        metavar="URL",
        help="store: duckdb:PATH, or http://HOST:PORT of a collector (default: TIERWISE_DB)",
    )


def add_days(parser: ArgumentParser, default: float = 30.0) -> None:
    parser.add_argument(
        "--days", type=positive, default=default, metavar="N", help=f"look at the last N days (default: {default:g})"
    )


def add_seed(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--seed",
        type=int,
        default=0,
        metavar="N",
        help="seed of every random draw (default: 0); same seed, same answer",
    )


def add_signature(parser: ArgumentParser) -> None:
    parser.add_argument("--why", default="", metavar="TEXT", help="reason, for the audit log")
    parser.add_argument("--who", default=None, metavar="NAME", help="who decides, for the audit log (default: you)")


def who(options: Namespace) -> str:
    """Who is named, else the account this runs under."""
    if options.who:
        return str(options.who)
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        # A container may run under a number that no password file knows.
        return "command line"


def resolved(options: Namespace) -> Settings:
    """The settings in force, those given on the command line first."""
    given = {name: getattr(options, name, None) for name in ("db", "tls_cert", "tls_key")}
    return replace(settings.load(), **{name: value for name, value in given.items() if value})


@contextmanager
def opened_store(options: Namespace, *, writing: bool = False) -> Generator[Store]:
    """The store that the options and settings name, for as long as the block lasts.

    Raises:
        StoreError: there is nothing to read yet, or it cannot be opened.
    """
    from tierwise.store import open_store

    loaded = resolved(options)
    kind, _, path = loaded.db.partition(":")
    if kind == "duckdb" and not writing and not Path(path).exists():
        raise StoreError(
            f"there is no store at {path} yet; `tierwise up` makes one, `--db` or TIERWISE_DB names another"
        )
    if kind == "duckdb":
        Path(path).parent.mkdir(parents=True, exist_ok=True)
    if loaded.prices is not None:
        from tierwise import prices

        prices.configure(loaded.prices)
    store = open_store(loaded.db, token=loaded.token, read_only=kind == "duckdb" and not writing)
    try:
        yield store
    finally:
        store.close()


def since(days: float) -> datetime:
    """The moment `days` ago."""
    return datetime.now(UTC) - timedelta(days=days)


def positive(text: str) -> float:
    """Argument type: a number above 0."""
    value = _number(text)
    if value <= 0:
        raise ArgumentTypeError(f"{text!r} is not above 0")
    return value


def share(text: str) -> float:
    """Argument type: a number in [0, 1]; `10%` means 0.1."""
    value = _number(text.rstrip("%")) / (100 if text.endswith("%") else 1)
    if not 0 <= value <= 1:
        raise ArgumentTypeError(f"{text!r} is not between 0 and 1")
    return value


def port(text: str) -> int:
    """Argument type: a TCP port; 0 lets the system choose."""
    if not text.isdecimal() or int(text) > 65_535:
        raise ArgumentTypeError(f"{text!r} is not a port from 0 to 65535")
    return int(text)


def moment(text: str) -> datetime:
    """Argument type: a day or a time in ISO 8601; without a zone it is UTC."""
    try:
        value = datetime.fromisoformat(text)
    except ValueError as error:
        raise ArgumentTypeError(f"{text!r} is not a date such as 2026-12-24") from error
    return value if value.tzinfo is not None else value.replace(tzinfo=UTC)


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError as error:
        raise ArgumentTypeError(f"{text!r} is not a number") from error
    if not math.isfinite(value):
        raise ArgumentTypeError(f"{text!r} is not a finite number")
    return value


def policy_path(options: Namespace) -> Path | None:
    """The policy file that the settings name; None when they name a URL or nothing."""
    named = resolved(options).policy
    if named is None or named.startswith(("http://", "https://")):
        return None
    if not named.strip():
        raise SettingsError("TIERWISE_POLICY is empty; name a file or a URL, or unset it")
    return Path(named)
