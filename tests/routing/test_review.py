from __future__ import annotations

import pytest

from tierwise.errors import PolicyError
from tierwise.routing.policy import dump, parse
from tierwise.routing.review import ReviewPlan

POLICY = """\
version = 1
mode = "enforce"

[[rule]]
id = "cheap"
when = {{ use_case = ["invoices"] }}
to = "claude-haiku-5-5"

[rule.review]
{keys}
"""


def test_a_rule_says_how_much_is_reviewed() -> None:
    """`[rule.review]` is read, kept when the policy is written again, and what it leaves out has a default."""
    policy = parse(POLICY.format(keys="sample = 0.05"))

    assert ReviewPlan(**policy.rules[0].options["review"]) == ReviewPlan(0.05, 0.3)
    assert parse(dump(policy)).rules[0].options["review"] == {"sample": 0.05}


def test_disagreements_are_never_drawn_less_often() -> None:
    """Where more of all pairs is drawn than of disagreements, disagreements are drawn as often."""
    assert ReviewPlan(sample=0.5).disagreements == 0.5


@pytest.mark.parametrize("keys", ["sample = 0.0", "sample = 1.5", 'sample = "all"', "share = 0.5"])
def test_a_plan_that_cannot_be_is_refused(keys: str) -> None:
    """A probability of 0, above 1 or of another kind is refused with its line, as is an unknown key."""
    with pytest.raises(PolicyError, match="line"):
        parse(POLICY.format(keys=keys))
