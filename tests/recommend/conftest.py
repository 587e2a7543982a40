"""Stores filled with worlds."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import World, Worlds
    from tierwise.store.duckdb import DuckDBStore


@pytest.fixture
def store() -> Generator[DuckDBStore]:
    """An empty store in memory."""
    from tierwise.store.duckdb import DuckDBStore

    opened = DuckDBStore.open(None)
    yield opened
    opened.close()


@pytest.fixture
def proven(worlds: Worlds, store: DuckDBStore) -> World:
    """A world with plenty of pairs of equal quality, put into `store`."""
    world = worlds.make(1, conversations=600, pair_share=0.4)
    worlds.fill(store, world)
    return world


@pytest.fixture
def add_verdicts() -> Callable[[DuckDBStore], None]:
    """Adds, to a store, a structural check that finds nine in ten of the cheap answers that are wrong, and no other."""

    def add(store: DuckDBStore) -> None:
        with store.cursor() as cursor:
            cursor.execute(
                """
                INSERT INTO evaluations BY NAME
                SELECT scores.trace_id, scores.span_id, 'schema' AS name, 'structural' AS source, scores.time,
                       (score > 0 OR hash(scores.span_id) % 10 = 0)::INTEGER::DOUBLE AS score
                FROM evaluations AS scores JOIN llm_calls USING (trace_id, span_id)
                WHERE shadow_of_span_id IS NOT NULL
                """
            )

    return add
