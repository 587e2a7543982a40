from __future__ import annotations

import pytest

from tierwise.call import Request
from tierwise.routing.rule import Rule
from tierwise.routing.rules import route


def test_a_route_sends_to_its_target():
    """A routed call has the rule's `to` as its target."""
    request = Request(provider="openai", operation="chat", api="responses", model="gpt-4.1", body={})

    assert route.target(Rule("r", "route", to="gpt-4.1-mini"), request) == "gpt-4.1-mini"


@pytest.mark.parametrize(("share", "words"), [(1, "100%"), (0.1, "10%"), (0.005, "0.5%"), (1 / 3, "33.33%")])
def test_a_share_reads_as_a_percentage(share: float, words: str):
    """Shares are shown without digits that say nothing."""
    assert route.percent(share) == words


def test_units_follow_stickiness():
    """What a share counts (conversations, use cases, calls) is said by name."""
    rule = Rule("r", "route", to="m", share=0.5, sticky="use_case")

    assert route.describe(rule) == "go to m for 50% of use cases"
