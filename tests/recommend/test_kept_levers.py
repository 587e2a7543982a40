from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from tierwise.errors import Conflict, StoreError
from tierwise.recommend.kept_levers import (
    claim_lever,
    dismiss_lever,
    find_lever,
    refresh_levers,
    reopen_lever,
    snooze_lever,
)
from tierwise.recommend.levers import Lever
from tierwise.recommend.timing import VALID_FOR

if TYPE_CHECKING:
    from conftest import World, Worlds
    from tierwise.store.duckdb import DuckDBStore


@pytest.fixture
def lever(worlds: Worlds, store: DuckDBStore, proven: World) -> Lever:
    """The advice to change the model outright, kept in the store."""
    found = refresh_levers(store, now=worlds.AS_OF)
    return next(item for item in found if item.kind == "change_outright")


def stored_state(store: DuckDBStore, lever: Lever) -> str:
    return find_lever(store, lever.id).state


def test_levers_are_kept_beside_recommendations(worlds: Worlds, store: DuckDBStore, lever: Lever) -> None:
    """A lever is stored with its state, expiry and reason, comes back the same, and is no recommendation of a model."""
    found = find_lever(store, lever.id[:8])

    assert found == lever
    assert found.content_hash == lever.content_hash
    assert (lever.state, lever.expires_at) == ("certified", worlds.AS_OF + VALID_FOR)
    assert "there are enough pairs now to certify it" in lever.why_now
    assert store.recommendations() == []


def test_what_is_only_a_bound_is_unproven(worlds: Worlds, store: DuckDBStore) -> None:
    """A saving that is at most so much is no candidate: nobody knows how much of it there is."""
    worlds.fill(store, worlds.make(1, pair_share=0.0))
    with store.cursor() as cursor:
        cursor.execute("UPDATE llm_calls SET error_type = 'timeout' WHERE hash(span_id) % 5 = 0")

    (failed,) = (item for item in refresh_levers(store, now=worlds.AS_OF) if item.kind == "failed_calls")

    assert (failed.at_most, failed.state) == (True, "unproven")


def test_what_is_taken_up_stays_as_it_was(worlds: Worlds, store: DuckDBStore, lever: Lever) -> None:
    """A claimed lever keeps its content when it is worked out again, and is not listed twice."""
    claim_lever(store, lever.id, who="ada", why="since Monday", now=worlds.AS_OF)

    again = refresh_levers(store, now=worlds.AS_OF + timedelta(days=1))

    (kept,) = (item for item in again if item.id == lever.id)
    assert (kept.state, kept.decided_why) == ("enforced", "since Monday")
    assert kept.content_hash == find_lever(store, lever.id).content_hash == lever.content_hash
    with pytest.raises(Conflict, match="is taken up; reopen it first"):
        dismiss_lever(store, lever.id, reason="", who="ada")
    with store.cursor() as cursor:
        row = cursor.execute("SELECT who, why FROM audit_log WHERE action = 'recommendation.enforced'").fetchone()
    assert row == ("ada", "since Monday")


def test_what_is_put_away_stays_away(worlds: Worlds, store: DuckDBStore, lever: Lever) -> None:
    """A dismissed lever stays dismissed when found again, until somebody takes it up."""
    dismiss_lever(store, lever.id, reason="contract", who="ada")

    again = refresh_levers(store, now=worlds.AS_OF)
    reopen_lever(store, lever.id, who="ada", why="")

    (found,) = (item for item in again if item.id == lever.id)
    assert (found.state, found.decided_why) == ("dismissed", "contract")
    assert stored_state(store, lever) == "certified"


def test_a_snooze_ends(worlds: Worlds, store: DuckDBStore, lever: Lever) -> None:
    """A snoozed lever comes back by itself when its time has come, with a row in the audit log."""
    snooze_lever(store, lever.id, until=worlds.AS_OF + timedelta(days=2), who="ada", why="after the release")

    refresh_levers(store, now=worlds.AS_OF + timedelta(days=1))
    asleep = stored_state(store, lever)
    refresh_levers(store, now=worlds.AS_OF + timedelta(days=2))

    assert (asleep, stored_state(store, lever)) == ("snoozed", "certified")


def test_what_has_expired_is_not_claimed(worlds: Worlds, store: DuckDBStore, lever: Lever) -> None:
    """A lever worked out weeks ago is to be worked out again first."""
    with pytest.raises(Conflict, match="has expired"):
        claim_lever(store, lever.id, who="ada", why="", now=worlds.AS_OF + VALID_FOR)

    assert stored_state(store, lever) == "certified"


def test_unknown_levers_are_errors(store: DuckDBStore, lever: Lever) -> None:
    """An id that none has, and content that is no lever, say so."""
    with pytest.raises(StoreError, match="0 levers begin with 'lev_nope'"):
        find_lever(store, "lev_nope")
    with pytest.raises(StoreError, match="has no 'kind'"):
        Lever.from_dict({"id": "lev_1"})


def test_the_hash_is_of_what_it_says(lever: Lever) -> None:
    """Decisions do not change the content hash; another number does."""
    assert replace(lever, state="dismissed", decided_why="no").content_hash == lever.content_hash
    assert replace(lever, calls=1).content_hash != lever.content_hash
