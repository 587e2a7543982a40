from __future__ import annotations

import logging

import pytest
import requests

from tierwise import otlp_delivery
from tierwise.settings import Settings


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "TIERWISE_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)


def test_a_signals_own_variable_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    """The signal's own endpoint is taken as it is; the general one gets the signal's path."""
    assert otlp_delivery.standard_endpoint("LOGS") is None

    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://apm:4318/")
    assert otlp_delivery.standard_endpoint("LOGS") == "http://apm:4318/v1/logs"

    monkeypatch.setenv("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "http://logs/in")
    assert otlp_delivery.standard_endpoint("LOGS") == "http://logs/in"


def test_a_named_collector(monkeypatch: pytest.MonkeyPatch) -> None:
    """A collector is named by the variable or by settings, not by the default address."""
    assert not otlp_delivery.names_collector(Settings())
    assert otlp_delivery.names_collector(Settings(endpoint="http://collector:4318"))

    monkeypatch.setenv("TIERWISE_ENDPOINT", Settings().endpoint)
    assert otlp_delivery.names_collector(Settings())


def test_another_backends_keys_stay_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """Headers that the standard variables add for another backend do not reach our collector; ours do."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "dd-api-key=secret,x-ours=theirs")
    session = otlp_delivery.session_without_foreign_headers({"x-ours": "ours"}, "TRACES")
    request = requests.Request(
        "POST", "http://c/", headers={"dd-api-key": "secret", "x-ours": "ours"}, auth=session.auth
    )

    sent = request.prepare().headers

    assert "dd-api-key" not in sent
    assert sent["x-ours"] == "ours"


def test_quiet_keeps_back_only_our_own_noise(caplog: pytest.LogCaptureFixture) -> None:
    """While one of ours exports, the exporter's warnings are kept back and remembered; else they show."""
    otlp_delivery.quiet.install()
    noisy = logging.getLogger("urllib3.connectionpool")

    with otlp_delivery.quiet:
        noisy.warning("connection refused")
    noisy.warning("somebody else's")

    assert otlp_delivery.quiet.last == "connection refused"
    assert [record.getMessage() for record in caplog.records] == ["somebody else's"]
