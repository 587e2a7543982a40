"""What delivery by OTLP takes beside an exporter: the address, the headers that belong there, and quiet logs."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from tierwise.settings import DEFAULT_ENDPOINT, Settings

if TYPE_CHECKING:
    import requests

Signal = Literal["TRACES", "LOGS"]

_NOISY_LOGGERS = (
    "opentelemetry.exporter.otlp.common.http",
    "opentelemetry.exporter.otlp.proto.grpc.exporter",
    "opentelemetry.exporter.otlp.proto.http._log_exporter",
    "opentelemetry.exporter.otlp.proto.http.trace_exporter",
    "urllib3.connectionpool",
)


def is_disabled() -> bool:
    """Whether the user turned OpenTelemetry off."""
    return os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"


def is_off(signal: Signal) -> bool:
    """Whether the standard variables turn this signal's exporter off."""
    return os.environ.get(f"OTEL_{signal}_EXPORTER", "").strip().lower() == "none"


def standard_endpoint(signal: Signal) -> str | None:
    """The full URL that the standard variables give for a signal; None when they give none."""
    if own := os.environ.get(f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT"):
        return own
    base = os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT")
    return f"{base.rstrip('/')}/v1/{signal.lower()}" if base else None


def standard_headers(signal: Signal) -> dict[str, str]:
    """The headers that the standard variables name for a signal, in lower case."""
    from opentelemetry.util.re import parse_env_headers

    own = os.environ.get(f"OTEL_EXPORTER_OTLP_{signal}_HEADERS")
    return dict(parse_env_headers(own or os.environ.get("OTEL_EXPORTER_OTLP_HEADERS", ""), liberal=True))


def names_collector(settings: Settings) -> bool:
    """Whether the user said where a tierwise collector is, rather than leaving it at the default."""
    return bool(os.environ.get("TIERWISE_ENDPOINT")) or settings.endpoint != DEFAULT_ENDPOINT


def collector_headers(settings: Settings) -> dict[str, str]:
    """What a tierwise collector asks for."""
    return {"authorization": f"Bearer {settings.token}"} if settings.token else {}


def session_without_foreign_headers(own: Mapping[str, str], signal: Signal) -> requests.Session:
    """An HTTP session that drops what OTEL_EXPORTER_OTLP_HEADERS adds: keys meant for another backend."""
    import requests
    from opentelemetry.util.re import parse_env_headers

    given = (os.environ.get(f"OTEL_EXPORTER_OTLP_{part}HEADERS", "") for part in ("", f"{signal}_"))
    foreign = {name for text in given for name in parse_env_headers(text, liberal=True)} - own.keys()

    def drop_foreign(request: requests.PreparedRequest) -> requests.PreparedRequest:
        for name in foreign:
            request.headers.pop(name, None)
        return request

    session = requests.Session()
    session.auth = drop_foreign
    return session


class Quiet(logging.Filter):
    """Keeps back what the OTLP exporters log while one of ours exports on this thread, and remembers the last of it.

    They log each try; ours say it once, with the address and the way out.
    """

    def __init__(self) -> None:
        super().__init__()
        self._local = threading.local()

    def install(self) -> None:
        """Put the filter on the exporters' loggers; once is enough."""
        for name in _NOISY_LOGGERS:
            logging.getLogger(name).addFilter(self)

    def __enter__(self) -> None:
        self._local.exporting = True
        self._local.last = ""

    def __exit__(self, *_: object) -> None:
        self._local.exporting = False

    def filter(self, record: logging.LogRecord) -> bool:
        if not getattr(self._local, "exporting", False):
            return True
        if record.levelno >= logging.WARNING:
            self._local.last = record.getMessage()
        return False

    @property
    def last(self) -> str:
        """The last warning kept back on this thread; empty without any."""
        return self._local.last


quiet = Quiet()
