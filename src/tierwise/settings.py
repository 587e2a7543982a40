"""What the user set: `TIERWISE_*` variables over `tierwise.toml` over defaults, in one frozen value.

`OTEL_*` variables belong to OpenTelemetry and are read by its SDK; the two that decide whether tierwise may send at all
(`OTEL_SDK_DISABLED`, `OTEL_EXPORTER_OTLP_ENDPOINT`) are looked at in `tierwise.auto`.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, cast

from tierwise import destinations
from tierwise.errors import SettingsError

DEFAULT_ENDPOINT = "http://127.0.0.1:4318"
MODES = ("off", "shadow", "enforce")
Mode = Literal["off", "shadow", "enforce"]
ROLES = ("look", "review", "approve")
"""What one may do in the dashboard; each role holds those before it."""
EXPORT_PROFILES = ("langfuse", "mlflow", "openlit", "phoenix", "sentry")
"""Backends whose own attributes tierwise can add to what it exports to them."""
STRUCTURAL_CHECKS = ("language", "refusal", "schema", "truncation")
"""Checks of `tierwise.checks` that every answer can be scored by: those that need only request and answer."""


def data_home() -> Path:
    """Where tierwise keeps its data: `$XDG_DATA_HOME/tierwise`, by default `~/.local/share/tierwise`."""
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "tierwise"


def config_home() -> Path:
    """Where tierwise looks for `tierwise.toml` after the working folder: `$XDG_CONFIG_HOME/tierwise`."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "tierwise"


@dataclass(frozen=True, slots=True)
class Settings:
    """Every setting, resolved. The environment variable of a field is `TIERWISE_` and its name in capitals."""

    endpoint: str = DEFAULT_ENDPOINT
    """Collector's OTLP/HTTP base URL."""
    policy: str | None = None
    """Path or http(s) URL of the policy; None: no routing."""
    policy_key: str | None = field(default=None, repr=False)
    """Secret shared with whoever writes the policy; an application then takes only a policy signed with it, a collector
    signs what it serves, and the command line what it writes to a file. None: unsigned."""
    mode: Mode | None = None
    """Overrides the policy's own mode when set; `off` is the kill switch and beats everything."""
    capture_content: bool = False
    """Put prompt and completion text on spans. Off unless asked for."""
    redact: str | None = None
    """`module:function` that takes each text of captured content and gives back what of it may leave."""
    content_message_bytes: int = 32_768
    """Captured text of one message is cut to this size."""
    content_call_bytes: int = 131_072
    """Captured text of one call is cut to this size."""
    inject_usage: bool = True
    """Ask for usage on streams whose caller did not, at hosts known to take `stream_options.include_usage`; the extra
    chunk never reaches the caller. False: such streams are estimated."""
    export_profile: tuple[str, ...] = ()
    """Profiles of the backend that `OTEL_EXPORTER_OTLP_ENDPOINT` names: it gets its own attributes beside the standard
    ones. A tierwise collector never does."""
    db: str = field(default_factory=lambda: f"duckdb:{data_home() / 'tierwise.duckdb'}")
    """Store URL: `duckdb:PATH`, `http://HOST:PORT` of a collector, `clickhouse://HOST:PORT/DATABASE`, or `memory:`."""
    token: str | None = field(default=None, repr=False)
    """Bearer token between app, collector, dashboard and command line; None: loopback without one."""
    tls_cert: str | None = None
    """PEM file with the collector's certificate, and those between it and the one that clients trust; None: no TLS."""
    tls_key: str | None = None
    """PEM file with that certificate's private key, without a passphrase."""
    forward: tuple[destinations.Destination, ...] = ()
    """OTLP endpoints that a collector forwards every accepted request to."""
    retention_days: float | None = None
    """A collector deletes calls, spans and evaluations older than this; None: it keeps them."""
    retention_size: int | None = None
    """Bytes of data in the store past which a collector deletes the oldest; None: it keeps them."""
    structural_checks: tuple[str, ...] = ()
    """Checks that every answer is scored by, in the background; none: only those of pairs, and the user's own."""
    policy_poll_s: float = 3.0
    """Seconds between two looks at the policy file or URL."""
    tenant: str | None = None
    """Tenant of calls made outside any `use_case(tenant=…)`."""
    prices: str | None = None
    """TOML file of price overrides and discounts; None: the price list as it is."""
    trace_url: str | None = None
    """Address of a call in your own tool, with `{trace_id}` and `{span_id}` in it; None: no links out."""
    alert_webhook: str | None = field(default=None, repr=False)
    """http(s) URL that a collector and `tierwise budget check --notify` post new alerts to as JSON; None: nobody."""
    roles: tuple[tuple[str, str], ...] = ()
    """Who may do what in the dashboard: (role, e-mail pattern); see `ROLES`. Empty: without sign-in and on loopback
    everybody approves, else everybody looks."""
    seed: int | None = None
    """Makes the draws of shadow calls and of non-sticky rules repeatable, for tests and demos; None: they are not."""


def load(environ: Mapping[str, str] | None = None, *, file: Path | None = None) -> Settings:
    """The settings in force.

    Args:
        environ: variables to read, by default the process's own.
        file: a `tierwise.toml`; by default the first found in the working folder and in `config_home()`.

    Raises:
        SettingsError: a value cannot be used; the message names the setting and what is allowed.
    """
    variables = os.environ if environ is None else environ
    values = _file_values(file)
    for item in fields(Settings):
        name = f"TIERWISE_{item.name.upper()}"
        text = variables.get(name, "").strip()
        if text:
            values[item.name] = (text, name)
    return Settings(**{name: _parse(name, value, origin) for name, (value, origin) in values.items()})


def _file_values(file: Path | None) -> dict[str, tuple[Any, str]]:
    candidates = [file] if file is not None else [Path("tierwise.toml"), config_home() / "tierwise.toml"]
    path = next((candidate for candidate in candidates if candidate.is_file()), None)
    if path is None:
        if file is not None:
            raise SettingsError(f"{file}: no such settings file")
        return {}
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: not valid TOML: {error}") from error
    known = {item.name for item in fields(Settings)}
    for name in table:
        if name not in known:
            raise SettingsError(f"{path}: unknown setting {name!r}; known settings: {', '.join(sorted(known))}")
    return {name: (value, f"{path}: {name}") for name, value in table.items()}


def _names(value: Any, origin: str, known: tuple[str, ...]) -> tuple[str, ...]:
    """Some of the known names, as a text with commas or a list."""
    given = cast("list[Any]", value) if isinstance(value, list) else str(value).split(",")
    names = tuple(dict.fromkeys(str(name).strip().lower() for name in given if str(name).strip()))
    for name in names:
        if name not in known:
            raise SettingsError(f"{origin} is {value!r}; allowed: {', '.join(known)}, several with commas")
    return names


def _size(value: Any, origin: str) -> int:
    try:
        size = int(value)
    except (TypeError, ValueError):
        size = 0
    if not 1 <= size <= 16 * 1024 * 1024:
        raise SettingsError(f"{origin} is {value!r}; allowed: bytes from 1 to 16777216")
    return size


def _roles(value: Any, origin: str) -> tuple[tuple[str, str], ...]:
    """`approve: ada@acme.com, review: *@acme.com`, or a table of role = [patterns]."""
    if isinstance(value, Mapping):
        table = cast("Mapping[str, Any]", value)
        given = [
            (role, str(name))
            for role, names in table.items()
            for name in (names if isinstance(names, list) else [names])
        ]
    else:
        given = [
            (role.strip(), name.strip()) for part in str(value).split(",") for role, _, name in [part.partition(":")]
        ]
    for role, name in given:
        if role not in ROLES or not name:
            raise SettingsError(
                f"{origin} is {value!r}; allowed: 'approve: ada@acme.com, review: *@acme.com', roles {', '.join(ROLES)}"
            )
    return tuple((role, name.lower()) for role, name in given)


_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(MB|GB|TB)", re.IGNORECASE)
_SIZE_BYTES = {"MB": 10**6, "GB": 10**9, "TB": 10**12}


def _store_size(value: Any, origin: str) -> int:
    match = _SIZE.fullmatch(str(value).strip())
    size = round(float(match[1]) * _SIZE_BYTES[match[2].upper()]) if match else 0
    if size < 100 * 10**6:
        raise SettingsError(f"{origin} is {value!r}; allowed: a size such as '20GB', from '100MB'")
    return size


def _days(value: Any, origin: str) -> float:
    try:
        days = float(value)
    except (TypeError, ValueError):
        days = 0.0
    if not 1 <= days <= 36500:
        raise SettingsError(f"{origin} is {value!r}; allowed: days from 1 to 36500")
    return days


_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})


def _parse(name: str, value: Any, origin: str) -> Any:
    if name == "mode":
        if value not in MODES:
            raise SettingsError(f"{origin} is {value!r}; allowed: {', '.join(MODES)}")
        return value
    if name in ("capture_content", "inject_usage"):
        text = str(value).lower()
        if text not in _TRUE | _FALSE:
            raise SettingsError(f"{origin} is {value!r}; allowed: true, false")
        return text in _TRUE
    if name == "export_profile":
        return _names(value, origin, EXPORT_PROFILES)
    if name == "structural_checks":
        return _names(value, origin, STRUCTURAL_CHECKS)
    if name == "forward":
        return destinations.parse(value, origin, profiles=EXPORT_PROFILES)
    if name == "roles":
        return _roles(value, origin)
    if name == "retention_days":
        return _days(value, origin)
    if name == "retention_size":
        return _store_size(value, origin)
    if name == "policy_poll_s":
        try:
            seconds = float(value)
        except (TypeError, ValueError):
            seconds = -1.0
        if not 0.05 <= seconds <= 3600:
            raise SettingsError(f"{origin} is {value!r}; allowed: seconds from 0.05 to 3600")
        return seconds
    if name in ("content_message_bytes", "content_call_bytes"):
        return _size(value, origin)
    if name == "seed":
        try:
            return int(value)
        except (TypeError, ValueError):
            raise SettingsError(f"{origin} is {value!r}; a whole number is needed") from None
    if not isinstance(value, str):
        raise SettingsError(f"{origin} is {value!r}; a text is needed")
    if name == "trace_url" and ("{trace_id}" not in value or not value.startswith(("http://", "https://"))):
        raise SettingsError(f"{origin} is {value!r}; an http:// or https:// URL with {{trace_id}} in it is needed")
    if name == "alert_webhook" and not value.startswith(("http://", "https://")):
        raise SettingsError(f"{origin} is {value!r}; an http:// or https:// URL is needed")
    if name == "endpoint" and not value.startswith(("http://", "https://")):
        raise SettingsError(f"{origin} is {value!r}; an http:// or https:// URL is needed")
    return value.rstrip("/") if name == "endpoint" else value
