from __future__ import annotations

import pytest

from tierwise.ingest.spans import SpanRefused, checked_times, split_resource


@pytest.mark.parametrize(("start_ns", "end_ns", "kept"), [(1, 5, (1, 5)), (5, 1, (5, 5)), (5, 0, (5, 5))])
def test_span_never_ends_before_it_starts(start_ns: int, end_ns: int, kept: tuple[int, int]) -> None:
    """A span that ends before it starts, or never, is given no length."""
    assert checked_times(start_ns, end_ns) == kept


@pytest.mark.parametrize(("start_ns", "end_ns"), [(0, 5), (-1, 5), (2**63, 2**63), (1, 2**63), (1, -1)])
def test_impossible_time_is_refused(start_ns: int, end_ns: int) -> None:
    """A time that is missing or does not fit the store refuses the span."""
    with pytest.raises(SpanRefused, match="nanoseconds"):
        checked_times(start_ns, end_ns)


@pytest.mark.parametrize("name", [None, "", 5])
def test_service_without_a_name_is_unknown(name: object) -> None:
    """A resource whose service.name is missing or no text is OpenTelemetry's unknown_service."""
    assert split_resource({} if name is None else {"service.name": name})[0] == "unknown_service"


def test_sdk_is_left_out() -> None:
    """The resource's attributes are kept but for the service's name and the SDK's own."""
    resource = {"service.name": "a", "service.version": "2", "telemetry.sdk.language": "python"}

    assert split_resource(resource) == ("a", {"service.version": "2"})
