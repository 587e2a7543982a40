from __future__ import annotations

from tierwise.call import Request
from tierwise.routing.rule import Rule
from tierwise.routing.rules import speculative


def test_a_speculative_rule_has_one_target_and_patience():
    """A call goes to the rule's `to`, and to the requested model when that takes longer than the patience."""
    rule = Rule("r", "speculative", to="gpt-4.1-mini", options={"speculate": {"patience_s": 0.5}})
    request = Request("openai", "chat", "responses", "gpt-4.1", {})

    escalation = speculative.escalation(rule, request)

    assert speculative.target(rule, request) == "gpt-4.1-mini"
    assert (escalation.models, escalation.patience_s) == (("gpt-4.1",), 0.5)
