"""Counts of what the collector did, in Prometheus' text format."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Final, Literal

_HELP: Final = {
    "tierwise_requests_total": "OTLP requests by protocol, signal and status (HTTP's number or gRPC's name).",
    "tierwise_request_bytes_total": "Bytes of OTLP requests as they came, by protocol and signal.",
    "tierwise_retries_asked_total": "OTLP requests answered with come back later, by protocol.",
    "tierwise_spans_received_total": "Spans in acknowledged requests.",
    "tierwise_spans_refused_total": "Spans refused in a partial success: no valid ids or times.",
    "tierwise_spans_unreadable_total": "Spans whose attributes could not be read; kept as plain spans.",
    "tierwise_requests_repeated_total": "Requests acknowledged again because the same bytes came before.",
    "tierwise_calls_landed_total": "Calls added to the store.",
    "tierwise_calls_repeated_total": "Calls left out because they are stored already.",
    "tierwise_calls_merged_total": "Calls that became one row with another instrumentation's view.",
    "tierwise_spans_landed_total": "Plain spans added to the store.",
    "tierwise_evaluations_landed_total": "Evaluations added to the store.",
    "tierwise_dead_letters_total": "Acknowledged requests set aside because they could not be landed.",
    "tierwise_landings_total": "Transactions that landed something.",
    "tierwise_landing_seconds_total": "Time spent landing.",
    "tierwise_landing_failures_total": "Landings that failed and will be tried again.",
    "tierwise_backlog_bytes": "Decompressed bytes acknowledged or being read, and not landed.",
    "tierwise_wal_bytes": "Bytes in write-ahead segments.",
    "tierwise_held_bytes": "Bytes of requests being received or waiting to be read.",
    "tierwise_forward_requests_total": "Requests that a destination took.",
    "tierwise_forward_bytes_total": "Bytes of requests that a destination took.",
    "tierwise_forward_rejected_total": "Spans and log records that a destination left out of requests it took.",
    "tierwise_forward_dropped_total": "Requests that a destination will not get, by reason.",
    "tierwise_forward_retries_total": "Attempts that a destination did not take, and that are made again.",
    "tierwise_forward_backlog_bytes": "Bytes in write-ahead segments that a destination has still to get.",
    "tierwise_forward_last_error_timestamp_seconds": "When a destination last did not take a request, and why.",
    "tierwise_ready": "1 while requests are taken and landed, otherwise 0.",
    "tierwise_acknowledge_seconds": "Time from the last byte of a request to its acknowledgement.",
}

_BUCKETS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class Metrics:
    """The collector's counters, one histogram, and gauges that are read when asked for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[tuple[str, str], float] = {}
        self._gauges: dict[str, Callable[[], float | Mapping[str, float]]] = {}
        self._ack_buckets = [0] * (len(_BUCKETS_S) + 1)
        self._ack_seconds = 0.0

    def add(self, name: str, amount: float = 1, **labels: str) -> None:
        """Raise a counter."""
        key = (name, ",".join(f'{label}="{value}"' for label, value in sorted(labels.items())))
        with self._lock:
            self._counts[key] = self._counts.get(key, 0) + amount

    def gauge(self, name: str, read: Callable[[], float | Mapping[str, float]]) -> None:
        """Ask `read` for the value, or for one by labels, whenever the metrics are rendered."""
        self._gauges[name] = read

    def acknowledged(self, seconds: float) -> None:
        """Count one acknowledgement and how long it took."""
        bucket = next((i for i, bound in enumerate(_BUCKETS_S) if seconds <= bound), len(_BUCKETS_S))
        with self._lock:
            self._ack_buckets[bucket] += 1
            self._ack_seconds += seconds

    def answered(self, protocol: Literal["http", "grpc"], signal: str, status: str, size: int, *, retry: bool) -> None:
        """Count one OTLP request of `size` bytes, and whether its sender was told to come back."""
        self.add("tierwise_requests_total", protocol=protocol, signal=signal, status=status)
        self.add("tierwise_request_bytes_total", size, protocol=protocol, signal=signal)
        if retry:
            self.add("tierwise_retries_asked_total", protocol=protocol)

    def value(self, name: str, **labels: str) -> float:
        """A counter's value; 0 when it was never raised."""
        key = (name, ",".join(f'{label}="{value}"' for label, value in sorted(labels.items())))
        with self._lock:
            return self._counts.get(key, 0)

    def render(self) -> str:
        """Everything, in Prometheus' text format, version 0.0.4."""
        with self._lock:
            counts = dict(self._counts)
            buckets, seconds = list(self._ack_buckets), self._ack_seconds
        lines: list[str] = []
        for name, help_text in _HELP.items():
            kind = "gauge" if name in self._gauges else "counter"
            if name == "tierwise_acknowledge_seconds":
                lines += [f"# HELP {name} {help_text}", f"# TYPE {name} histogram"]
                total = 0
                for bound, count in zip((*_BUCKETS_S, "+Inf"), buckets, strict=True):
                    total += count
                    lines.append(f'{name}_bucket{{le="{bound}"}} {total}')
                lines += [f"{name}_sum {seconds:g}", f"{name}_count {total}"]
                continue
            lines += [f"# HELP {name} {help_text}", f"# TYPE {name} {kind}"]
            if name in self._gauges:
                value = self._gauges[name]()
                series = sorted(value.items()) if isinstance(value, Mapping) else [("", value)]
                lines += [
                    f"{name}{{{labels}}} {value:.12g}" if labels else f"{name} {value:.12g}" for labels, value in series
                ]
                continue
            series = sorted((labels, value) for (counter, labels), value in counts.items() if counter == name)
            lines += [f"{name}{{{labels}}} {value:g}" if labels else f"{name} {value:g}" for labels, value in series]
        return "\n".join(lines) + "\n"
