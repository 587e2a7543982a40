from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tierwise.recommend.rule_life import rule_lives
from tierwise.store import PolicyRecord

START = datetime(2026, 11, 1, tzinfo=UTC)
RULE = 'mode = "enforce"\n[[rule]]\nid = "r"\nkind = "route"\nto = "small"\nshare = 0.1\n'


def day(number: int) -> datetime:
    return START + timedelta(days=number)


def history(*texts: str) -> list[PolicyRecord]:
    """One version a day, newest first."""
    records = [PolicyRecord(place + 1, text, "", "ada", "", "apply", day(place)) for place, text in enumerate(texts)]
    return records[::-1]


def test_a_new_share_goes_on_with_the_same_rule() -> None:
    """Evidence counts from the rule's beginning, the canary's days from its share."""
    life = rule_lives(history(RULE, RULE, RULE.replace("0.1", "0.25"), RULE.replace("0.1", "0.25")))["r"]

    assert (life.began, life.share_since, life.in_force) == (day(0), day(2), True)


def test_another_target_begins_anew() -> None:
    """What was measured on one model says nothing about another."""
    life = rule_lives(history(RULE, RULE.replace("small", "tiny")))["r"]

    assert (life.rule.to, life.began, life.share_since) == ("tiny", day(1), day(1))


def test_a_rule_that_was_away_begins_anew() -> None:
    """Disabled or taken out and put back, it is counted from when it came back."""
    away = ('mode = "enforce"\n', RULE + "enabled = false\n")

    assert [rule_lives(history(RULE, text, RULE))["r"].began for text in away] == [day(2), day(2)]


def test_in_force_is_said_by_the_newest_version() -> None:
    """Disabled, gone, off or in shadow mode: none of them is in force, and the life is still told."""
    versions = (
        RULE + "enabled = false\n",
        'mode = "enforce"\n',
        RULE.replace("enforce", "off"),
        RULE.replace("enforce", "shadow"),
    )

    lives = [rule_lives(history(RULE, text))["r"] for text in versions]

    assert [life.in_force for life in lives] == [False] * 4
    assert [life.began for life in lives] == [day(0)] * 4


def test_rules_that_send_nowhere_have_no_life() -> None:
    """A pin has nothing to be measured by."""
    assert rule_lives(history('[[rule]]\nid = "p"\nkind = "pin"\n')) == {}
