"""Stores filled with worlds."""

from __future__ import annotations

from collections.abc import Generator
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
