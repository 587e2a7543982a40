from __future__ import annotations

from typing import get_args

import lever_cards
import pytest
from opening import OpenPage
from streamlit.testing.v1 import AppTest

from tierwise.recommend.kept_levers import find_lever
from tierwise.recommend.levers import Kind, Lever
from tierwise.store import Store


@pytest.fixture
def lever(store: Store) -> Lever:
    """One that a person may take up."""
    found = [Lever.from_dict(item) for item in store.recommendations("lever")]
    return min((item for item in found if not item.at_most), key=lambda item: item.id)


def unfolded(open_page: OpenPage, **query: str | list[str]) -> AppTest:
    app = open_page("recommendations", **query)
    app.toggle(key="other_ways").set_value(True).run()
    assert not app.exception
    return app


def test_every_kind_has_a_name() -> None:
    """A lever that the library finds can be shown."""
    assert set(lever_cards.NAMES) == set(get_args(Kind))


def test_levers_are_shown_when_asked_for(lever: Lever, open_page: OpenPage) -> None:
    """The toggle on the recommendations page shows cards with state, what was found and what it rests on."""
    folded = open_page("recommendations")
    assert not any("looked at one by one" in item.value for item in folded.caption)

    card = unfolded(open_page).container(key=f"lever_{lever.id}")

    text = " ".join(item.value for item in [*card.markdown, *card.caption])
    assert "Assumed: " in text
    assert lever_cards.NAMES[lever.kind] in text
    assert lever_cards.STATES[lever.state][0] in text


def test_a_lever_is_taken_up_under_a_name(lever: Lever, store: Store, open_page: OpenPage) -> None:
    """Who takes it up stands in the audit log, and the card moves to those in force."""
    app = unfolded(open_page)
    app.button(key=f"claim_{lever.id}").click().run()
    app.text_input(key="claim_who").set_value("lin")
    app.text_area(key="claim_why").set_value("Batch job since Monday")

    app.button(key="claim_now").click().run()

    assert "is taken up by lin" in app.success[0].value
    assert find_lever(store, lever.id).state == "enforced"
    logged = store.audit_log()[0]
    assert (logged["who"], logged["why"]) == ("lin", "Batch job since Monday")
    taken = unfolded(open_page, show="In force").container(key=f"lever_{lever.id}")
    assert any("Taken up" in item.value for item in taken.markdown)


def test_a_lever_is_dismissed_and_reopened(lever: Lever, store: Store, open_page: OpenPage) -> None:
    """A dismissed lever keeps its reason, and comes back in the state of its evidence."""
    app = unfolded(open_page)
    app.button(key=f"dismiss_{lever.id}").click().run()
    app.text_area(key="dismiss_why").set_value("Contract forbids it")
    app.button(key="dismiss_now").click().run()
    assert find_lever(store, lever.id).decided_why == "Contract forbids it"

    app = unfolded(open_page, show="Put away")
    app.button(key=f"reopen_{lever.id}").click().run()

    assert find_lever(store, lever.id).state == lever.evidence_state


def test_who_was_first_with_a_lever_wins(lever: Lever, store: Store, open_page: OpenPage) -> None:
    """A click on a page that shows an older state changes nothing, and says so."""
    app = unfolded(open_page)
    app.button(key=f"snooze_{lever.id}").click().run()
    store.set_recommendation_state(lever.id, "dismissed", who="grace", why="no")

    app.button(key="snooze_now").click().run()

    assert app.warning[0].proto.title == "Somebody changed it first; reloaded"
    assert find_lever(store, lever.id).state == "dismissed"
