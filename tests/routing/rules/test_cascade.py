from __future__ import annotations

from tierwise.call import Request
from tierwise.routing.rule import Rule
from tierwise.routing.rules import cascade

REQUEST = Request("openai", "chat", "responses", "gpt-4.1", {}, complexity="high")


def test_a_cascade_begins_with_its_target():
    """A call goes to the rule's `to` first, with the requested model to follow."""
    rule = Rule("r", "cascade", to="gpt-4.1-mini")

    assert cascade.target(rule, REQUEST) == "gpt-4.1-mini"
    assert cascade.escalation(rule, REQUEST).models == ("gpt-4.1",)


def test_a_complex_request_has_no_target():
    """A request that skips the only cheaper model stays where it is."""
    rule = Rule("r", "cascade", to="gpt-4.1-mini", options={"escalate": {"on": ("complexity",)}})

    assert cascade.target(rule, REQUEST) is None
