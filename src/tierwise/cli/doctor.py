"""Look at what is installed, reachable, unpriced, unclassified and stale, and say what to do about each."""

from __future__ import annotations

import platform
import re
import time
import urllib.request
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Generator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Literal

from tierwise.cli.options import add_json, add_store, opened_store, policy_path, resolved
from tierwise.cli.terminal import print_json, print_table, usd
from tierwise.cli.up import answers
from tierwise.errors import TierwiseError

if TYPE_CHECKING:
    from tierwise.settings import Settings
    from tierwise.store import PolicyRecord, Store

EXAMPLES = """\
  tierwise doctor
  tierwise doctor --json
"""

Status = Literal["ok", "warning", "failed"]
_MARKS = {"ok": "✓", "warning": "!", "failed": "✗"}
_PACKAGES = {
    "opentelemetry-sdk": "spans",
    "opentelemetry-exporter-otlp-proto-http": "export to the collector",
    "wrapt": "instrumentation",
    "genai-prices": "prices",
    "duckdb": "the embedded store",
    "streamlit": "the dashboard",
}
_STALE_HOURS = 24.0
_LOW_SHARE = 0.9
_FOLLOWS_WITHIN = timedelta(minutes=5)
"""An application that decides by an older version so long after a newer one came does not follow it."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    subject: str
    status: Status
    detail: str


def configure(parser: ArgumentParser) -> None:
    add_store(parser)
    add_json(parser)


def run(options: Namespace) -> int:
    findings = list(_examine(options))
    if options.json:
        print_json(findings)
    else:
        print_table(["", "", ""], [[_MARKS[item.status], item.subject, item.detail] for item in findings])
    return 1 if any(item.status == "failed" for item in findings) else 0


def _examine(options: Namespace) -> Generator[Finding]:
    yield Finding("tierwise", "ok", f"{version('tierwise')}, Python {platform.python_version()}")
    yield from _sdks()
    yield from _packages()
    # Settings come first: when they cannot be used, nothing after them can be looked at.
    settings = resolved(options)
    yield Finding("settings", "ok", f"endpoint {settings.endpoint}, store {settings.db}")
    if settings.mode is not None:
        status: Status = "warning" if settings.mode == "off" else "ok"
        yield Finding("mode", status, f"TIERWISE_MODE={settings.mode} stands in for the policy's own mode")
    yield from _checked("policy file", lambda: _policy_file(options))
    yield from _checked("prices", lambda: _prices(settings.prices))
    if answers(settings.endpoint):
        yield Finding("collector", "ok", f"answers at {settings.endpoint}")
        yield from _checked("forwarding", lambda: _forwarding(settings))
    else:
        yield Finding("collector", "warning", f"nothing answers at {settings.endpoint}; `tierwise up` starts it")
    yield from _checked("store", lambda: _store(options))


def _forwarding(settings: Settings) -> Generator[Finding]:
    request = urllib.request.Request(f"{settings.endpoint}/metrics")
    if settings.token:
        request.add_header("Authorization", f"Bearer {settings.token}")
    try:
        with urllib.request.urlopen(request, timeout=2.0) as response:
            text = response.read().decode()
    except OSError as error:
        yield Finding("forwarding", "warning", f"the collector's /metrics cannot be read: {error}")
        return
    yield from forwarding_findings(text, now_s=time.time())


_SERIES = re.compile(
    r'^tierwise_forward_(\w+)\{destination="([^"]*)"(?:,(?:error|reason)="([^"]*)")?\} (\S+)$', re.MULTILINE
)


def forwarding_findings(metrics: str, *, now_s: float) -> Generator[Finding]:
    """A finding a destination, from the text of a collector's `/metrics`."""
    series: dict[str, dict[str, list[tuple[str, float]]]] = {}
    for name, destination, label, value in _SERIES.findall(metrics):
        series.setdefault(destination, {}).setdefault(name, []).append((label, float(value)))
    for destination, values in series.items():
        sent = sum(value for _, value in values.get("requests_total", []))
        backlog_bytes = sum(value for _, value in values.get("backlog_bytes", []))
        detail = f"{destination}: {sent:,.0f} requests taken, {backlog_bytes / 1e6:,.1f} MB to go"
        dropped = sum(value for _, value in values.get("dropped_total", []))
        if dropped:
            reasons = ", ".join(f"{value:,.0f} {label}" for label, value in values["dropped_total"])
            detail += f", {dropped:,.0f} dropped ({reasons})"
        for error, time_s in values.get("last_error_timestamp_seconds", []):
            detail += f", last error {error} {(now_s - time_s) / 60:,.0f} min ago"
        yield Finding("forwarding", "warning" if dropped or backlog_bytes > 1e6 else "ok", detail)


def _checked(subject: str, look: Callable[[], Generator[Finding]]) -> Generator[Finding]:
    try:
        yield from look()
    except TierwiseError as error:
        yield Finding(subject, "failed", str(error))


def _sdks() -> Generator[Finding]:
    from tierwise.instrumentation.sdk_support import SUPPORTED, is_newer_than_tested, is_too_old

    missing: list[str] = []
    for name, supported in SUPPORTED.items():
        try:
            found = version(name)
        except PackageNotFoundError:
            missing.append(name)
            yield Finding(name, "warning", f"not installed (its calls are instrumented when it is there: {supported})")
            continue
        if is_too_old(name, found):
            way_out = f"its calls are not observed; `pip install --upgrade {name}`"
            yield Finding(name, "failed", f"{found} is not supported ({supported}): {way_out}")
        elif is_newer_than_tested(name, found):
            yield Finding(name, "warning", f"{found} is newer than the newest tested ({supported}); upgrade tierwise")
        else:
            yield Finding(name, "ok", f"{found} (supported: {supported})")
    if len(missing) == len(SUPPORTED):
        yield Finding("instrumentation", "warning", "neither SDK is installed here: there is nothing to instrument")
    if "openai" not in missing:
        yield Finding(
            "websocket calls",
            "warning",
            "realtime.connect, live.connect and responses.connect are not observed: what they cost is on "
            "platform.openai.com/usage and in no figure here",
        )


def _packages() -> Generator[Finding]:
    for name, use in _PACKAGES.items():
        try:
            yield Finding(name, "ok", version(name))
        except PackageNotFoundError:
            yield Finding(name, "warning", f"not installed ({use})")


def _policy_file(options: Namespace) -> Generator[Finding]:
    from tierwise.routing import policy as policies
    from tierwise.routing.source import SourceUnavailable, policy_source

    settings = resolved(options)
    if settings.policy is None:
        yield Finding("policy file", "ok", "TIERWISE_POLICY is not set: nothing is routed")
        return
    path = policy_path(options)
    where = str(path or settings.policy)
    try:
        found = policy_source(where, token=settings.token, key=settings.policy_key).read_if_changed()
    except SourceUnavailable as error:
        status: Status = "failed" if path is not None else "warning"
        yield Finding("policy file", status, f"{error}; applications keep the last one they have read")
        return
    if found is None:
        return
    policy = policies.parse(found.text, origin=found.origin)
    signed = "" if settings.policy_key is None else ", signed with TIERWISE_POLICY_KEY"
    detail = f"{where}: version {policy.version}, mode {policy.mode}, {len(policy.rules)} rules{signed}"
    yield Finding("policy file", "ok", detail)


def _prices(overrides: str | None) -> Generator[Finding]:
    from tierwise import prices

    prices.configure(overrides)
    prices.load()
    yield Finding("prices", "ok", prices.price_version())


def _store(options: Namespace) -> Generator[Finding]:
    with opened_store(options) as store:
        yield Finding("store", "ok", store.url)
        current = store.current_policy()
        if current is not None:
            from tierwise.routing import policy as policies

            policy = policies.parse(current.text)
            status: Status = "warning" if policy.mode == "off" else "ok"
            yield Finding("policy in force", status, f"version {current.version}, mode {policy.mode}, by {current.who}")
            yield from _applications(store, current)
        yield from _calls(store)


def _applications(store: Store, current: PolicyRecord) -> Generator[Finding]:
    """Which version each application decides by, and whether that is an old one."""
    from tierwise.cli.policy import age

    for row in store.query("policy_versions", since=datetime.now(UTC) - timedelta(days=1)).to_pylist():
        newest = row["newest_call_time"].replace(tzinfo=UTC)
        is_stale = row["policy_version"] < current.version and newest > current.created_at + _FOLLOWS_WITHIN
        detail = f"{row['service_name']} decides by version {row['policy_version']}, {age(row)}"
        if is_stale:
            detail += f"; version {current.version} is in force since {current.created_at:%Y-%m-%d %H:%M} UTC"
        yield Finding("policy followed", "warning" if is_stale else "ok", detail)


def _calls(store: Store) -> Generator[Finding]:
    (totals,) = store.query("overview_totals").to_pylist()
    if not totals["calls"]:
        yield Finding("calls", "warning", "none stored yet; `import tierwise.auto` in an application sends them")
        return
    newest: datetime = totals["newest_call_time"].replace(tzinfo=UTC)
    hours = (datetime.now(UTC) - newest).total_seconds() / 3600
    status: Status = "warning" if hours > _STALE_HOURS else "ok"
    yield Finding("calls", status, f"{totals['calls']:,}, {usd(totals['spend_usd'])}; the newest {hours:.1f} h ago")
    for source in store.query("sources").to_pylist():
        yield Finding(
            "source", "ok", f"{source['service_name']} by {source['instrumentation']}: {source['calls']:,} calls"
        )
    yield _share("priced", totals["priced_share"], "of calls")
    unpriced = store.query("unpriced").to_pylist()
    for row in unpriced[:5]:
        yield Finding(
            "unpriced",
            "warning",
            f"{row['provider']}/{row['model']}: {row['calls']:,} calls, {row['unpriced_reason']}",
        )
    if any(row["unpriced_reason"].startswith("no price for") for row in unpriced):
        yield Finding(
            "price list",
            "warning",
            "does not know these models: upgrade genai-prices, or give their prices in the file TIERWISE_PRICES names",
        )
    yield _share("classified", totals["classified_spend_share"], "of spend has a task type")
    yield _share("reported usage", None if (part := totals["estimated_share"]) is None else 1 - part, "of calls")


def _share(subject: str, share: float | None, what: str) -> Finding:
    if share is None:
        return Finding(subject, "warning", "unknown: no calls with a cost")
    return Finding(subject, "ok" if share >= _LOW_SHARE else "warning", f"{share:.1%} {what}")
