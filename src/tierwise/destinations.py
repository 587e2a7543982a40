"""Where a collector forwards what it accepts: the `[[forward]]` tables of `tierwise.toml`, or TIERWISE_FORWARD."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, cast
from urllib.parse import urlsplit

from tierwise.errors import SettingsError

Signal = Literal["traces", "logs"]
SIGNALS: Final[tuple[Signal, ...]] = ("traces", "logs")
SCHEMES: Final = ("http", "https", "grpc", "grpcs")
_MIB: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Destination:
    """An OTLP endpoint that gets every accepted request."""

    endpoint: str
    """`http://` or `https://` base URL, below which `/v1/traces` and `/v1/logs` are; or `grpc://HOST:PORT`, and
    `grpcs://HOST:PORT` with TLS."""
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    """Sent with each request, such as an authorization; over gRPC as metadata."""
    profile: tuple[str, ...] = ()
    """Export profiles whose attributes are added to tierwise's spans; none: requests go out unchanged."""
    signals: tuple[Signal, ...] = SIGNALS
    """What it gets."""
    ca: str | None = None
    """PEM file with the certificates to trust in place of the system's."""
    timeout_s: float = 10.0
    """How long an answer may take."""
    backlog_bytes: int = 1024 * _MIB
    """More than this is not kept for a destination that does not take it: the oldest is dropped and counted."""
    backlog_age_s: float = 24 * 3600.0
    """Nor anything older than this."""


def parse(value: Any, origin: str, *, profiles: Iterable[str]) -> tuple[Destination, ...]:
    """The destinations in a setting.

    Args:
        value: URLs with commas between them, or the `[[forward]]` tables.
        origin: what the setting is called in an error.
        profiles: the names of export profiles.

    Raises:
        SettingsError: a value cannot be used; the message names it and what is allowed.
    """
    if isinstance(value, str):
        tables: list[Any] = [{"endpoint": text.strip()} for text in value.split(",") if text.strip()]
    elif isinstance(value, list):
        tables = cast("list[Any]", value)
    else:
        tables = [value]
    known_profiles = tuple(profiles)
    destinations = tuple(_destination(table, origin, known_profiles) for table in tables)
    endpoints = [destination.endpoint for destination in destinations]
    for endpoint in endpoints:
        if endpoints.count(endpoint) > 1:
            raise SettingsError(f"{origin} names {endpoint} twice; each destination gets everything once")
    return destinations


_KEYS: Final = ("endpoint", "headers", "profile", "signals", "ca", "timeout_s", "backlog_mb", "backlog_hours")


def _destination(table: Any, origin: str, profiles: tuple[str, ...]) -> Destination:
    if not isinstance(table, dict):
        raise SettingsError(f"{origin} is {table!r}; URLs with commas, or [[forward]] tables, are needed")
    given = cast("dict[str, Any]", table)
    for key in given:
        if key not in _KEYS:
            raise SettingsError(f"{origin}: unknown key {key!r}; known keys: {', '.join(_KEYS)}")
    endpoint = _endpoint(given.get("endpoint"), origin)
    where = f"{origin}: {endpoint}"
    ca = _ca(given.get("ca"), endpoint, where)
    return Destination(
        endpoint,
        headers=_headers(given.get("headers", {}), where),
        profile=_names(given.get("profile", ()), f"{where}: profile", profiles),
        signals=cast("tuple[Signal, ...]", _names(given.get("signals", SIGNALS), f"{where}: signals", SIGNALS)),
        ca=ca,
        timeout_s=_number(given, "timeout_s", 10, 0.1, 60, where),
        backlog_bytes=int(_number(given, "backlog_mb", 1024, 32, 1_048_576, where) * _MIB),
        backlog_age_s=_number(given, "backlog_hours", 24, 1, 24 * 90, where) * 3600,
    )


def _endpoint(value: Any, origin: str) -> str:
    if not isinstance(value, str) or not value:
        raise SettingsError(f"{origin}: endpoint is {value!r}; a URL is needed")
    text = value.rstrip("/")
    if not text.isascii() or not text.isprintable() or any(character in text for character in ' "\\'):
        raise SettingsError(f"{origin}: endpoint {value!r} holds characters that a URL cannot")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise SettingsError(f"{origin}: endpoint {value!r} is no URL: {error}") from error
    if parts.scheme not in SCHEMES or not parts.hostname:
        raise SettingsError(f"{origin}: endpoint is {value!r}; allowed: {', '.join(f'{s}://…' for s in SCHEMES)}")
    if parts.username or parts.password:
        raise SettingsError(f"{origin}: the endpoint at {parts.hostname} holds credentials; give them under headers")
    if parts.query or parts.fragment:
        raise SettingsError(f"{origin}: endpoint {value!r} has a query or fragment; a base URL has neither")
    if parts.path.endswith(("/v1/traces", "/v1/logs")):
        raise SettingsError(f"{origin}: endpoint {value!r} names one signal; give the URL without /v1/traces")
    if parts.scheme.startswith("grpc") and (port is None or parts.path):
        raise SettingsError(f"{origin}: endpoint {value!r} is not {parts.scheme}://HOST:PORT")
    return text


def _headers(value: Any, where: str) -> dict[str, str]:
    headers = cast("dict[str, Any]", value) if isinstance(value, dict) else None
    if headers is None or not all(isinstance(text, str) for text in headers.values()):
        raise SettingsError(f"{where}: headers is no table of texts")
    for name, text in headers.items():
        if not name.isascii() or any(character in name for character in " :\r\n") or not name:
            raise SettingsError(f"{where}: {name!r} is no name of a header")
        # Not shown: it is often a secret.
        if not text.isascii() or not text.isprintable():
            raise SettingsError(f"{where}: the header {name!r} holds characters that a header cannot")
    return {name.lower(): text for name, text in headers.items()}


def _names(value: Any, what: str, allowed: Iterable[str]) -> tuple[str, ...]:
    given = value.split(",") if isinstance(value, str) else value
    if not isinstance(given, (list, tuple)):
        raise SettingsError(f"{what} is {value!r}; allowed: {', '.join(allowed)}")
    names = tuple(dict.fromkeys(str(name).strip().lower() for name in cast("list[Any]", given)))
    for name in names:
        if name not in allowed:
            raise SettingsError(f"{what} is {value!r}; allowed: {', '.join(allowed)}")
    return names


def _ca(value: Any, endpoint: str, where: str) -> str | None:
    if value is None:
        return None
    if not endpoint.startswith(("https://", "grpcs://")):
        raise SettingsError(f"{where}: ca is given, and the endpoint is without TLS")
    if not isinstance(value, str) or not Path(value).is_file():
        raise SettingsError(f"{where}: ca is {value!r}; no such file")
    return value


def _number(table: Mapping[str, Any], key: str, default: float, least: float, most: float, where: str) -> float:
    value = table.get(key, default)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not least <= value <= most:
        raise SettingsError(f"{where}: {key} is {value!r}; allowed: {least:g} to {most:g}")
    return float(value)
