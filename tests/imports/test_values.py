from __future__ import annotations

from datetime import datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierwise.imports.values import count, hex_id, mapping, moment_ns, money, number, structured, text

AT_NS = 1_716_990_379_963_000_000


@pytest.mark.parametrize(
    "written",
    [
        "2024-05-29 13:46:19.963000",
        "2024-05-29T13:46:19.963Z",
        "2024-05-29T15:46:19.963+02:00",
        "2024-05-29 13:46:19.963 UTC",
        datetime(2024, 5, 29, 13, 46, 19, 963_000),  # noqa: DTZ001 - a log's time without a zone is meant
        datetime(2024, 5, 29, 15, 46, 19, 963_000, tzinfo=timezone(timedelta(hours=2))),
        1_716_990_379.963,
        1_716_990_379_963,
        1_716_990_379_963_000,
        AT_NS,
        str(AT_NS),
        "1716990379.963",
    ],
    ids=lambda written: f"{type(written).__name__} {written}",
)
def test_spellings_of_a_moment(written: object) -> None:
    """One moment is read from every spelling logs have; without a zone it is UTC."""
    assert moment_ns(written) == AT_NS


@pytest.mark.parametrize("written", ["", "soon", None, True, -5, 0, "13:46", float("nan"), 10**40, [], "0000-00-00"])
def test_what_is_no_moment(written: object) -> None:
    """Anything else is no time, and no error."""
    assert moment_ns(written) is None


@given(st.integers(10**17, 2**63 - 1))
def test_nanoseconds_keep_their_last_digit(moment: int) -> None:
    """A time in nanoseconds comes back as it is."""
    assert moment_ns(moment) == moment_ns(str(moment)) == moment


@pytest.mark.parametrize(
    ("value", "found"),
    [(12, 12), ("12", 12), (12.0, 12), ("12.0", 12), (0, 0), (12.5, None), (-1, None), ("x", None), (True, None)],
    ids=repr,
)
def test_counts(value: object, found: int | None) -> None:
    """A count is a whole number of at least 0, however it is spelled."""
    assert count(value) == found


def test_money_and_numbers() -> None:
    """Amounts become exact; what is not finite, negative or beyond belief is none."""
    assert money("0.0012") == Decimal("0.0012")
    assert [money(value) for value in (-1, "nan", 10**7, None)] == [None] * 4
    assert number("1e3") == 1000.0


def test_structures_in_cells() -> None:
    """JSON in a cell is decoded, broken JSON stays the text it is."""
    assert structured('[{"a": 1}]') == [{"a": 1}]
    assert structured("{broken") == "{broken"
    assert mapping('{"a": 1}') == {"a": 1}
    assert mapping("plain") == {}
    assert text(" x ") == "x"
    assert text("  ") is None


def test_ids() -> None:
    """An id of OpenTelemetry's size is taken, in a UUID's spelling too; all zeros and everything else are not."""
    assert hex_id("4bf92f35-77b3-4da6-a3ce-929d0e0e4736", 32) == "4bf92f3577b34da6a3ce929d0e0e4736"
    assert [hex_id(value, 16) for value in ("0" * 16, "xyz", None, "abc")] == [None] * 4
