from __future__ import annotations

from argparse import ArgumentTypeError
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from tierwise.cli.options import moment, port, positive, share

if TYPE_CHECKING:
    from cli.conftest import RunCommand


@pytest.mark.parametrize(
    ("parse", "text", "value"),
    [
        (share, "0.1", 0.1),
        (share, "10%", 0.1),
        (positive, "2.5", 2.5),
        (port, "0", 0),
        (moment, "2026-12-24", datetime(2026, 12, 24, tzinfo=UTC)),
        (moment, "2026-12-24T12:00:00+00:00", datetime(2026, 12, 24, 12, tzinfo=UTC)),
    ],
)
def test_argument_types(parse: Any, text: str, value: Any) -> None:
    """What a person types becomes a value."""
    assert parse(text) == pytest.approx(value) if isinstance(value, float) else parse(text) == value


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        (share, "1.5"),
        (share, "x"),
        (share, "nan"),
        (positive, "0"),
        (positive, "inf"),
        (port, "65536"),
        (moment, "soon"),
    ],
)
def test_values_of_no_use_are_refused(parse: Any, text: str) -> None:
    """The complaint repeats what was typed."""
    with pytest.raises(ArgumentTypeError, match=repr(text).strip("'")):
        parse(text)


def test_a_store_that_is_not_there_is_not_made_by_reading(run: RunCommand, tmp_path: Any) -> None:
    """Reading commands say that there is nothing yet, and do not leave an empty file behind."""
    path = tmp_path / "none.duckdb"

    found = run("verify", "--db", f"duckdb:{path}")

    assert found.code == 1
    assert "there is no store at" in found.err
    assert not path.exists()


def test_a_collector_that_does_not_answer_is_named(run: RunCommand) -> None:
    """A store behind a collector that is not there is an error with its address."""
    found = run("recommend", "--db", "http://127.0.0.1:9")

    assert found.code == 1
    assert "127.0.0.1:9" in found.err
