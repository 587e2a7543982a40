from __future__ import annotations

import pytest
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor

from tierwise.log_delivery import LogDelivery, exporters
from tierwise.settings import DEFAULT_ENDPOINT, Settings


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "OTEL_SDK_DISABLED",
        "OTEL_LOGS_EXPORTER",
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT",
        "OTEL_EXPORTER_OTLP_HEADERS",
        "TIERWISE_ENDPOINT",
    ):
        monkeypatch.delenv(name, raising=False)


def _endpoints(settings: Settings) -> list[str]:
    found = exporters(settings, "Records")
    for exporter in found:
        exporter.shutdown()
    return [vars(exporter)["_endpoint"] for exporter in found]


def test_addresses_follow_the_standard_variables(monkeypatch: pytest.MonkeyPatch):
    """OTEL's address alone is used when only it is named, both when ours is too, none when the SDK is disabled."""
    assert _endpoints(Settings()) == [f"{DEFAULT_ENDPOINT}/v1/logs"]

    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://apm.test:4318/")
    assert _endpoints(Settings()) == ["http://apm.test:4318/v1/logs"]
    assert _endpoints(Settings(endpoint="http://ours.test")) == [
        "http://apm.test:4318/v1/logs",
        "http://ours.test/v1/logs",
    ]

    monkeypatch.setenv("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "http://logs.test/custom")
    assert _endpoints(Settings()) == ["http://logs.test/custom"]

    monkeypatch.setenv("OTEL_LOGS_EXPORTER", "none")
    assert _endpoints(Settings()) == [f"{DEFAULT_ENDPOINT}/v1/logs"]

    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    assert _endpoints(Settings()) == []


def test_one_address_named_twice_gets_one_exporter(monkeypatch: pytest.MonkeyPatch):
    """OTEL_EXPORTER_OTLP_ENDPOINT pointing at our collector does not send everything twice."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://ours.test")

    assert _endpoints(Settings(endpoint="http://ours.test")) == ["http://ours.test/v1/logs"]


def test_a_given_provider_takes_the_records() -> None:
    """Records go through the LoggerProvider that was given, also after the process forked, and nowhere else."""
    exporter = InMemoryLogRecordExporter()
    provider = LoggerProvider(shutdown_on_exit=False)
    provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    delivery = LogDelivery(Settings(), "Records", logger_provider=provider)

    delivery.logger.emit(event_name="one")
    delivery.renewed().logger.emit(event_name="two")

    assert delivery.flush()
    assert [item.log_record.event_name for item in exporter.get_finished_logs()] == ["one", "two"]
