from __future__ import annotations

from typing import get_args

import lever_cards
from opening import OpenPage

from tierwise.recommend.levers import Kind


def test_every_kind_has_a_name() -> None:
    """A lever that the library finds can be shown."""
    assert set(lever_cards.NAMES) == set(get_args(Kind))


def test_levers_are_shown_when_asked_for(populated_db: str, open_page: OpenPage) -> None:
    """The toggle on the recommendations page shows cards with what was found and what it rests on."""
    app = open_page("recommendations")
    assert not any("Looked at one by one" in item.value for item in app.caption)

    app.toggle(key="other_ways").set_value(True).run()

    assert not app.exception
    assert any("Looked at one by one" in item.value for item in app.caption)
    assert any(item.value.startswith("Assumed: ") for item in app.caption)
