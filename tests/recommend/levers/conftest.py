"""Calls whose waste is known, in a store."""

from __future__ import annotations

from collections.abc import Callable, Generator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tierwise.recommend.levers import Lever, find_levers

if TYPE_CHECKING:
    from conftest import Worlds
    from tierwise.store.duckdb import DuckDBStore

Change = Callable[[str], None]


class Shop:
    """A store with one use case of single calls, and the levers found in it."""

    def __init__(self, worlds: Worlds, store: DuckDBStore) -> None:
        self.worlds, self.store = worlds, store

    def fill(self, *, seed: int = 1, conversations: int = 200, **columns: Any) -> None:
        world = self.worlds.make(seed, conversations=conversations, **columns)
        self.worlds.fill(self.store, world)

    def sql(self, statement: str) -> None:
        with self.store.cursor() as cursor:
            cursor.execute(statement)

    def one(self, statement: str) -> Any:
        with self.store.cursor() as cursor:
            return cursor.execute(statement).fetchone()[0]  # pyright: ignore[reportOptionalSubscript]

    def levers(self, kind: str, **options: Any) -> list[Lever]:
        return [lever for lever in find_levers(self.store, now=self.worlds.AS_OF, **options) if lever.kind == kind]

    def holds_its_sql(self, lever: Lever) -> None:
        """Every number with a statement is what the statement gives."""
        for name, statement in lever.sql.items():
            value = getattr(lever, name)
            value = value if name in ("calls", "spend_usd") else value.value
            assert float(self.one(statement)) == pytest.approx(float(value)), name

    @property
    def since(self) -> Any:
        return self.worlds.AS_OF - timedelta(days=30)


@pytest.fixture
def shop(worlds: Worlds) -> Generator[Shop]:
    """An empty one."""
    from tierwise.store.duckdb import DuckDBStore

    opened = DuckDBStore.open(None)
    yield Shop(worlds, opened)
    opened.close()
