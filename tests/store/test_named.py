from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import duckdb
import pytest

from tierwise.errors import QueryError
from tierwise.store import named
from tierwise.store.duckdb import DuckDBStore
from tierwise.store.rollup import ROLLED


@pytest.mark.parametrize("name", named.names())
class TestEveryQuery:
    def test_header_says_what_it_takes(self, name: str) -> None:
        """A query begins with a comment that names its parameters, all of them and no other; those we give are not."""
        text = named.text(name)
        header = "\n".join(line for line in text.splitlines() if line.startswith("--"))
        (statement,) = duckdb.extract_statements(text)

        assert text.startswith("-- ")
        assert set(re.findall(r"\$(\w+)", header)) == set(statement.named_parameters) - ROLLED

    def test_header_names_every_column(self, name: str, untouched: DuckDBStore) -> None:
        """Every column is named in the header, with or without a prefix said there, unless it says "every column"."""
        header = " ".join(line for line in named.text(name).splitlines() if line.startswith("--"))

        columns = untouched.query(name).column_names

        words = set(re.findall(r"\w+", header))
        bare = [column.removeprefix("strong_").removeprefix("weak_") for column in columns]
        assert "every typed column" in header or [column for column in bare if column not in words] == []

    def test_empty_store_answers(self, name: str, untouched: DuckDBStore) -> None:
        """A query on an empty store answers, and with no figure made up: whatever is no count is NULL."""
        table = untouched.query(name)

        counts = {0, None}
        for row in table.to_pylist():
            assert {value for value in row.values() if not isinstance(value, str)} <= counts


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("since", datetime.fromtimestamp(5, UTC).replace(tzinfo=None)),
        ("since", "today"),
        ("model", 5),
        ("model", [1]),
        ("limit", {}),
    ],
)
def test_value_of_no_use_is_refused(key: str, value: Any) -> None:
    """A naive datetime, or a value of another kind, is refused with the parameter's name."""
    with pytest.raises(QueryError, match=key):
        named.portable(key, value)


@pytest.mark.parametrize(
    ("key", "value", "bound"),
    [
        ("since", datetime(1970, 1, 1, 0, 0, 1, 5, tzinfo=UTC), 1_000_005_000),
        ("until", 77, 77),
        ("model", "m1", ["m1"]),
        ("tenant", ("a", "b"), ["a", "b"]),
        ("limit", 10, 10),
        ("dimension", "model", "model"),
        ("since", None, None),
    ],
)
def test_value_is_made_portable(key: str, value: Any, bound: Any) -> None:
    """Times become nanoseconds, filters lists; what is JSON's own kind stays."""
    assert named.portable(key, value) == bound
