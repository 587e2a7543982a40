from __future__ import annotations

from tierwise.call import Request
from tierwise.routing.rule import Rule
from tierwise.routing.rules import pin


def test_a_pin_sends_nowhere():
    """A pinned call has no target, and a pin takes no key of its own."""
    request = Request(provider="openai", operation="chat", api="responses", model="gpt-4.1", body={})

    assert pin.target(Rule("r", "pin"), request) is None
    assert not pin.KEYS
    assert pin.describe(Rule("r", "pin")) == "stay on the model they ask for"
