from __future__ import annotations

from tierwise.ingest.metrics import Metrics


def test_counters_add_up_by_labels() -> None:
    """A counter has one line a set of labels."""
    metrics = Metrics()
    metrics.add("tierwise_requests_total", signal="traces", status="200")
    metrics.add("tierwise_requests_total", signal="traces", status="200")
    metrics.add("tierwise_requests_total", 3, status="503", signal="logs")

    lines = metrics.render().splitlines()

    assert 'tierwise_requests_total{signal="logs",status="503"} 3' in lines
    assert 'tierwise_requests_total{signal="traces",status="200"} 2' in lines
    assert metrics.value("tierwise_requests_total", status="200", signal="traces") == 2


def test_gauges_are_read_when_rendered() -> None:
    """A gauge shows the value of the moment."""
    metrics = Metrics()
    values = iter([1.0, 2.0])
    metrics.gauge("tierwise_backlog_bytes", lambda: next(values))

    assert "\ntierwise_backlog_bytes 1\n" in metrics.render()
    assert "\ntierwise_backlog_bytes 2\n" in metrics.render()


def test_answers_are_counted_by_protocol() -> None:
    """One request raises its protocol's counters, and that of retries when its sender was told to come back."""
    metrics = Metrics()
    metrics.answered("http", "traces", "200", 10, retry=False)
    metrics.answered("grpc", "traces", "UNAVAILABLE", 20, retry=True)

    lines = metrics.render().splitlines()

    assert 'tierwise_requests_total{protocol="http",signal="traces",status="200"} 1' in lines
    assert 'tierwise_requests_total{protocol="grpc",signal="traces",status="UNAVAILABLE"} 1' in lines
    assert 'tierwise_request_bytes_total{protocol="grpc",signal="traces"} 20' in lines
    assert [line for line in lines if line.startswith("tierwise_retries")] == [
        'tierwise_retries_asked_total{protocol="grpc"} 1'
    ]


def test_histogram_is_cumulative() -> None:
    """Each bucket counts everything up to its bound, the last everything."""
    metrics = Metrics()
    for seconds in (0.0005, 0.02, 99.0):
        metrics.acknowledged(seconds)

    lines = metrics.render().splitlines()

    assert 'tierwise_acknowledge_seconds_bucket{le="0.001"} 1' in lines
    assert 'tierwise_acknowledge_seconds_bucket{le="0.025"} 2' in lines
    assert 'tierwise_acknowledge_seconds_bucket{le="5.0"} 2' in lines
    assert 'tierwise_acknowledge_seconds_bucket{le="+Inf"} 3' in lines
    assert "tierwise_acknowledge_seconds_count 3" in lines


def test_every_series_has_its_type_before_it() -> None:
    """What is rendered is Prometheus' text: help and type once, before the samples."""
    text = Metrics().render()

    for line in text.splitlines():
        if not line.startswith("#"):
            name = line.partition("{")[0].partition(" ")[0]
            family = name.removesuffix("_bucket").removesuffix("_sum").removesuffix("_count")
            assert f"# TYPE {family} " in text[: text.index(line)]
