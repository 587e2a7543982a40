from __future__ import annotations

from importlib import metadata
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tierwise.cli import doctor
from tierwise.destinations import Destination
from tierwise.ingest.serve import running_collector
from tierwise.routing.signature import sign, signature_path
from tierwise.settings import Settings
from tierwise.store import open_store
from tierwise.store.duckdb import DuckDBStore

if TYPE_CHECKING:
    from cli.conftest import Outcome, RunCommand


def findings(outcome: Outcome) -> dict[str, tuple[str, str]]:
    return {item["subject"]: (item["status"], item["detail"]) for item in outcome.json}


def test_a_healthy_installation(run: RunCommand, db: str) -> None:
    """Versions, settings, prices, store, policy and coverage are found, and only the collector is missing."""
    found = run("doctor", "--json")

    seen = findings(found)
    assert found.code == 0
    assert seen["collector"][0] == "warning"
    for subject in ("tierwise", "genai-prices", "settings", "prices", "store", "policy in force", "calls", "priced"):
        assert seen[subject][0] == "ok", subject
    assert "100.0% of calls" in seen["priced"][1]
    assert "app by tierwise" in seen["source"][1]


def test_calls_that_are_not_observed_are_named(run: RunCommand, db: str) -> None:
    """Who uses WebSocket calls is told that their cost is missing, and where it is."""
    status, detail = findings(run("doctor", "--json"))["websocket calls"]

    assert status == "warning"
    assert "realtime.connect" in detail
    assert "platform.openai.com/usage" in detail


def test_a_table_for_people(run: RunCommand, db: str) -> None:
    """Without --json each finding is a line with a mark."""
    out = run("doctor").out

    assert "✓" in out
    assert "!" in out


def test_a_running_collector_answers(run: RunCommand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a collector running, it is found at the endpoint and its store is read through it."""
    with running_collector(tmp_path / "calls.duckdb") as collector:
        monkeypatch.setenv("TIERWISE_ENDPOINT", collector.url)
        monkeypatch.setenv("TIERWISE_DB", collector.url)
        seen = findings(run("doctor", "--json"))

    assert seen["collector"] == ("ok", f"answers at {collector.url}")
    assert seen["calls"][0] == "warning"


def test_what_is_wrong_fails(run: RunCommand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A policy file that is refused and a store that is not there are failures with their reasons; the rest goes on."""
    broken = tmp_path / "policy.toml"
    broken.write_text("mode = 'fast'\n")
    monkeypatch.setenv("TIERWISE_POLICY", str(broken))

    found = run("doctor", "--json")

    seen = findings(found)
    assert found.code == 1
    assert seen["policy file"][0] == "failed"
    assert "line 1" in seen["policy file"][1]
    assert seen["store"][0] == "failed"
    assert seen["prices"][0] == "ok"


def test_unpriced_models_and_the_kill_switch_are_told(
    run: RunCommand, db: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Calls that no price is known for are named with their model, and that routing is off is not overlooked."""
    from tierwise.store.duckdb import DuckDBStore

    store = DuckDBStore.open(db.removeprefix("duckdb:"))
    with store.cursor() as cursor:
        cursor.execute(
            "UPDATE llm_calls SET priced = false, cost_usd = NULL, unpriced_reason = 'no price for anthropic/x', "
            "request_model = 'x', task_type = 'unknown' WHERE hash(span_id) % 3 = 0"
        )
    store.close()
    monkeypatch.setenv("TIERWISE_MODE", "off")
    run("policy", "off")

    seen = findings(run("doctor", "--json"))

    assert seen["priced"][0] == "warning"
    assert "anthropic/x" in seen["unpriced"][1]
    assert "upgrade genai-prices" in seen["price list"][1]
    assert seen["mode"][0] == seen["policy in force"][0] == "warning"


def test_missing_packages_are_told(run: RunCommand, db: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that is not installed is a warning with what it is for."""
    from importlib.metadata import PackageNotFoundError

    from tierwise.cli import doctor

    def version(name: str) -> str:
        if name == "streamlit":
            raise PackageNotFoundError(name)
        return "1.0"

    monkeypatch.setattr(doctor, "version", version)

    seen: dict[str, Any] = findings(run("doctor", "--json"))

    assert seen["streamlit"] == ("warning", "not installed (the dashboard)")


@pytest.mark.parametrize(
    ("installed", "status", "detail"),
    [
        ("3.54.0", "ok", "3.54.0 (supported: 1.26 and newer, tested up to 3.54)"),
        ("1.10.0", "failed", "1.10.0 is not supported (1.26 and newer, tested up to 3.54): its calls are not observed"),
        ("4.0.0", "warning", "4.0.0 is newer than the newest tested"),
        (None, "warning", "not installed"),
    ],
)
def test_versions_of_the_sdks(
    installed: str | None, status: str, detail: str, run: RunCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The SDKs' versions are shown, with whether they are within the range that is supported."""

    def version(name: str) -> str:
        if name == "openai" and installed is None:
            raise PackageNotFoundError(name)
        return installed if name == "openai" and installed else metadata.version(name)

    monkeypatch.setattr(doctor, "version", version)

    found = findings(run("doctor", "--json"))

    assert found["openai"][0] == status
    assert detail in found["openai"][1]
    assert found["anthropic"][0] == "ok"
    assert "instrumentation" not in found


def test_forwarding_is_reported(run: RunCommand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each destination of the collector has a line; one that takes nothing says why."""
    destination = Destination("http://127.0.0.1:9")
    settings = Settings(forward=(destination,), token="secret")
    with running_collector(tmp_path / "calls.duckdb", settings=settings) as collector:
        monkeypatch.setenv("TIERWISE_ENDPOINT", collector.url)
        monkeypatch.setenv("TIERWISE_DB", collector.url)
        monkeypatch.setenv("TIERWISE_TOKEN", "secret")
        seen = findings(run("doctor", "--json"))

    assert seen["forwarding"] == ("ok", "http://127.0.0.1:9: 0 requests taken, 0.0 MB to go")


def test_destination_in_trouble_is_a_warning() -> None:
    """What was dropped, why, and the last error are in the finding."""
    label = 'destination="http://apm:4318"'
    metrics = (
        f"tierwise_forward_requests_total{{{label}}} 1200\n"
        f'tierwise_forward_dropped_total{{{label},reason="refused"}} 3\n'
        f"tierwise_forward_backlog_bytes{{{label}}} 2500000\n"
        f'tierwise_forward_last_error_timestamp_seconds{{{label},error="HTTP 400"}} 880\n'
    )

    (finding,) = doctor.forwarding_findings(metrics, now_s=1000)

    assert finding.status == "warning"
    assert finding.detail == (
        "http://apm:4318: 1,200 requests taken, 2.5 MB to go, 3 dropped (3 refused), last error HTTP 400 2 min ago"
    )


@pytest.mark.parametrize(("signer", "status"), [(None, "failed"), ("other", "failed"), ("secret", "ok")])
def test_an_unsigned_policy_is_seen(
    run: RunCommand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, signer: str | None, status: str
) -> None:
    """With a key a policy file that is unsigned, or signed with another, is a failure with its way out."""
    path = tmp_path / "policy.toml"
    path.write_bytes(b'mode = "off"')
    if signer is not None:
        signature_path(path).write_text(sign(b'mode = "off"', signer), encoding="ascii")
    monkeypatch.setenv("TIERWISE_POLICY", str(path))
    monkeypatch.setenv("TIERWISE_POLICY_KEY", "secret")

    found = findings(run("doctor", "--json"))["policy file"]

    assert found[0] == status
    assert "TIERWISE_POLICY_KEY" in found[1]


def test_a_policy_url_is_asked(run: RunCommand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A URL is read as an application reads it; one that does not answer is a warning, for the last policy holds."""
    with running_collector(tmp_path / "calls.duckdb", settings=Settings(policy_key="secret")) as collector:
        monkeypatch.setenv("TIERWISE_POLICY", f"{collector.url}/v1/policy")
        monkeypatch.setenv("TIERWISE_POLICY_KEY", "secret")
        empty = findings(run("doctor", "--json"))["policy file"]
        collector.store.put_policy('mode = "enforce"', who="ada", why="", based_on=None)
        served = findings(run("doctor", "--json"))["policy file"]
    gone = findings(run("doctor", "--json"))["policy file"]

    assert empty[0] == "warning"
    assert "answers 404" in empty[1]
    assert served[0] == "ok"
    assert served[1].endswith("version 1, mode enforce, 0 rules, signed with TIERWISE_POLICY_KEY")
    assert gone[0] == "warning"
    assert "cannot be reached" in gone[1]


def test_an_application_that_does_not_follow_is_seen(run: RunCommand, db: str) -> None:
    """Who still decides by an old version, long after a newer one came, is named."""
    in_step = findings(run("doctor", "--json"))["policy followed"]
    store = open_store(db)
    store.put_policy('mode = "enforce"', who="ada", why="", based_on=1)
    assert isinstance(store, DuckDBStore)
    with store.cursor() as cursor:
        cursor.execute("UPDATE policies SET created_at = created_at - INTERVAL 20 DAY WHERE version = 2")
    store.close()

    behind = findings(run("doctor", "--json"))["policy followed"]

    assert in_step[0] == "ok"
    assert behind[0] == "warning"
    assert "app decides by version 1, last call " in behind[1]
    assert "version 2 is in force since " in behind[1]
