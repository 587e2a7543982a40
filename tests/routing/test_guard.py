from __future__ import annotations

from decimal import Decimal

import pytest

from tierwise.errors import PolicyError
from tierwise.routing.guard import Guard
from tierwise.routing.policy import dump, parse

RULE = '[[rule]]\nid = "a"\nkind = "route"\nto = "gpt-4o-mini"\n[rule.guard]\n'


def test_a_guard_reads_as_written():
    """Every limit comes back as the type it is kept in, and the file round-trips."""
    policy = parse(
        RULE + "min_retention = 0.9\nmax_failure_rate = 0.02\ndaily_budget_usd = 12.5\n"
        "auto_step_up = true\nmin_days = 1\nmin_calls = 50\n"
    )

    assert policy.rules[0].guard == Guard(0.9, 0.02, Decimal("12.5"), True, 1.0, 50)
    assert parse(dump(policy)) == policy


def test_a_guard_limits_nothing_that_it_does_not_name():
    """An empty guard has no limits, and steps up only by hand."""
    assert parse(RULE).rules[0].guard == Guard(None, None, None, auto_step_up=False)


@pytest.mark.parametrize(
    "line",
    ["min_retention = 1.5", "daily_budget_usd = 0", 'auto_step_up = "yes"', "min_calls = 1.5", "budget = 3"],
)
def test_a_limit_that_cannot_be_kept_is_refused(line: str):
    """A value out of range, of another type, or under a name nobody knows is refused with its line."""
    with pytest.raises(PolicyError, match="line 6"):
        parse(RULE + line)
