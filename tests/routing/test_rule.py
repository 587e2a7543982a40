from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from tierwise.call import Request
from tierwise.routing.guard import Guard
from tierwise.routing.rule import Rule, ShadowPlan, When
from tierwise.routing.window import DAYS

TUESDAY_NOON_NS = 1_795_521_600 * 10**9
"""2026-11-24T12:00 UTC."""


def _request(**fields: object) -> Request:
    known: dict[str, object] = {
        "provider": "openai",
        "operation": "chat",
        "api": "responses",
        "model": "gpt-4.1",
        "body": {},
        "task_type": "extraction",
        "use_case_id": "uc_1",
        "use_case_name": "invoices",
        "tenant": "acme",
        "complexity": "low",
        "input_tokens_estimate": 100,
        "attributes": {"plan": "free", "beta": "true"},
        "at_ns": TUESDAY_NOON_NS,
    }
    return Request(**(known | fields))  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("when", "other"),
    [
        (When(task_type=("math", "extraction")), {"task_type": "translation"}),
        (When(use_case=("uc_1",)), {"use_case_id": "uc_2"}),
        (When(use_case=("invoices",)), {"use_case_name": None}),
        (When(request_model=("gpt-4.1",)), {"model": "gpt-4.1-2025-04-14"}),
        (When(tenant=("acme",)), {"tenant": None}),
        (When(provider=("openai",)), {"provider": "azure.ai.openai"}),
        (When(complexity=("low",)), {"complexity": "unknown"}),
        (When(min_input_tokens=100), {"input_tokens_estimate": 99}),
        (When(max_input_tokens=100), {"input_tokens_estimate": 101}),
        (When(attributes={"plan": ("trial", "free")}), {"attributes": {"plan": "paid"}}),
        (When(attributes={"plan": ("free",), "beta": ("true",)}), {"attributes": {"plan": "free"}}),
        (When(attributes={"plan": ("free",)}), {"attributes": None}),
        (When(hours="12:00-13:00"), {"at_ns": TUESDAY_NOON_NS - 1}),
        (When(days=("tue",)), {"at_ns": TUESDAY_NOON_NS + 12 * 3600 * 10**9}),
        (When(hours="13:00-14:00", timezone="Europe/Berlin"), {"at_ns": TUESDAY_NOON_NS + 3600 * 10**9}),
    ],
)
def test_each_matcher_tells_calls_apart(when: When, other: dict[str, object]):
    """A matcher matches the call it describes and not one that differs in that respect."""
    assert when.matches(_request())
    assert not when.matches(_request(**other))


def test_all_matchers_must_match():
    """Two matchers of which one fails do not match."""
    assert not When(task_type=("extraction",), tenant=("other",)).matches(_request())


def test_no_matcher_matches_every_call():
    """An empty `when` is about all calls, and says so."""
    assert When().matches(_request())
    assert When().describe() == "all calls"


def test_a_time_window_goes_by_the_clock_of_the_call():
    """Without a moment of its own a call is made now."""
    always, never = When(hours="00:00-24:00"), When(days=(DAYS[(datetime.now(UTC).weekday() + 3) % 7],))

    assert always.matches(_request(at_ns=None))
    assert not never.matches(_request(at_ns=None))


def test_attributes_and_hours_are_said():
    """describe() names what must be declared and when the rule holds."""
    when = When(attributes={"plan": ("free", "trial")}, hours="22:00-06:00", days=("fri", "sat"), timezone="Asia/Tokyo")

    assert when.describe() == "calls with plan free or trial from 22:00 to 06:00 on fri or sat (Asia/Tokyo)"


def test_a_rule_reads_as_a_sentence():
    """describe() names scope, target, share and holdout, and that a rule is disabled."""
    rule = Rule("r", "route", When(min_input_tokens=1000, max_input_tokens=2000), to="gpt-4.1-mini", enabled=False)
    drawn = Rule(
        "r", "route", When(task_type=("math",), use_case=("a", "b")), to="m", share=0.005, sticky="none", holdout=0.5
    )

    assert (
        rule.describe()
        == "Disabled: Calls of at least 1,000 input tokens and at most 2,000 input tokens go to gpt-4.1-mini."
    )
    assert (
        drawn.describe()
        == "Math calls of use case a or b go to m for 0.5% of calls, with 50% of calls kept back to measure by."
    )
    assert Rule("r", "pin", When(complexity=("high", "medium"))).describe() == (
        "Calls of high or medium complexity stay on the model they ask for."
    )


def test_guard_limits_come_from_the_rules_own_table():
    """A limit that is not set is None, not 0."""
    assert Rule("r", "route", to="m", options={"guard": {"min_retention": 0.9}}).guard == Guard(0.9, None)


def test_a_shadow_plan_reads_as_a_sentence():
    """describe() says how much is shadowed, for how much, by whom, and that nothing is when nothing is."""
    assert ShadowPlan().describe() == "No call is shadowed."
    assert ShadowPlan(0.25, Decimal("2.5")).describe() == (
        "25% of eligible calls are shadowed, for at most $2.50 a day and process: "
        "by the target of the rule that matches."
    )
