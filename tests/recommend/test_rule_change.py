from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tierwise.errors import Conflict
from tierwise.recommend.rule_change import change_rule
from tierwise.routing.policy import parse

if TYPE_CHECKING:
    from tierwise.store import PolicyRecord
    from tierwise.store.duckdb import DuckDBStore

COMMENTED = """\
mode = "enforce"

[[rule]]  # the first
id = "a"
kind = "route"
to = "gpt-4o-mini"  # cheap

[[rule]]
id = "b"
kind = "route"
to = "gpt-4o-mini"
share = 0.1  # canary
[rule.guard]
min_retention = 0.95
"""
INLINE = 'rule = [{ id = "a", kind = "route", to = "x" }, { id = "b", kind = "route", to = "x", share = 0.1 }]\n'


def change(store: DuckDBStore, rule_id: str, key: str, value: Any) -> PolicyRecord | None:
    return change_rule(
        store,
        rule_id,
        key=key,
        value=value,
        unless=lambda rule: getattr(rule, key) == value,
        who="ada",
        why="",
        action="step_up",
    )


@pytest.mark.parametrize("text", [COMMENTED, INLINE])
@pytest.mark.parametrize("rule_id", ["a", "b"])
@pytest.mark.parametrize(("key", "value"), [("enabled", False), ("share", 0.25)])
def test_one_key_of_one_rule_changes(store: DuckDBStore, text: str, rule_id: str, key: str, value: Any) -> None:
    """The other rule, the other keys and every comment stay as they were."""
    store.put_policy(text, who="ada", why="", based_on=None)
    before = parse(text)

    record = change(store, rule_id, key, value)

    assert record is not None
    after = parse(record.text)
    assert getattr(after.rule(rule_id), key) == value
    assert [rule for rule in after.rules if rule.id != rule_id] == [rule for rule in before.rules if rule.id != rule_id]
    for comment in ("# the first", "# cheap", "# canary"):
        assert (comment in record.text) == (comment in text)


def test_twice_is_once(store: DuckDBStore) -> None:
    """A rule that is as it should be, or not there, is no new version."""
    store.put_policy(COMMENTED, who="ada", why="", based_on=None)

    assert change(store, "a", "enabled", False) is not None
    assert change(store, "a", "enabled", False) is None
    assert change(store, "gone", "enabled", False) is None
    assert len(store.policy_history()) == 2


def test_a_change_by_somebody_else_in_between_is_kept(store: DuckDBStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """The change is made again on what the other one wrote; a policy that never rests is a conflict."""
    store.put_policy(COMMENTED, who="ada", why="", based_on=None)
    put, others = store.put_policy, iter(range(1))

    def slow(text: str, **arguments: Any) -> PolicyRecord:
        for _ in others:
            put(COMMENTED.replace('"enforce"', '"shadow"'), who="bob", why="", based_on=1)
        return put(text, **arguments)

    monkeypatch.setattr(type(store), "put_policy", lambda self, text, **arguments: slow(text, **arguments))
    record = change(store, "b", "share", 0.5)

    assert record is not None
    assert parse(record.text).mode == "shadow"

    def never(self: object, text: str, **arguments: Any) -> PolicyRecord:
        raise Conflict("somebody was faster")

    monkeypatch.setattr(type(store), "put_policy", never)
    with pytest.raises(Conflict, match="changed each time"):
        change(store, "b", "share", 0.75)
