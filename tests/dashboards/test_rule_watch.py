from __future__ import annotations

from dataclasses import replace

import populated
import pytest
from opening import OpenPage

from tierwise.routing import policy
from tierwise.routing.policy import Policy
from tierwise.store import Store
from tierwise.store.duckdb import DuckDBStore

RULE = populated.to_rule_id(populated.TRIAGE_ID)


def in_force(store: Store) -> Policy:
    record = store.current_policy()
    assert record is not None
    return policy.parse(record.text)


def change(store: Store, *, share: float, **guard: float) -> None:
    """Have the rule at another share and with other limits for the last ten days."""
    assert isinstance(store, DuckDBStore)
    current = in_force(store)
    (rule,) = current.rules
    changed = replace(rule, share=share, options={**rule.options, "guard": guard})
    store.put_policy(policy.dump(replace(current, rules=(changed,))), who="grace", why="smaller", based_on=2)
    with store.cursor() as cursor:
        cursor.execute("UPDATE policies SET created_at = created_at - INTERVAL 10 DAY WHERE version = 3")


def test_a_rule_that_has_earned_it_is_stepped_up(store: Store, open_page: OpenPage) -> None:
    """The next share is proposed on the policy page, and taken under a name."""
    change(store, share=0.5)
    app = open_page("policy")

    app.button(key=f"take_{RULE}").click().run()
    app.text_input(key="take_who").set_value("lin")
    app.text_area(key="take_why").set_value("Ten good days")
    app.button(key="take_now").click().run()

    assert "now takes 100%: policy version 4" in app.success[0].value
    assert in_force(store).rules[0].share == 1.0
    record = store.policy_history()[0]
    assert (record.action, record.who, record.why) == ("step_up", "lin", "Ten good days")


def test_a_step_that_waits_says_for_what(store: Store, open_page: OpenPage) -> None:
    """Too few days at a share leave the button off, with the reason beside it."""
    change(store, share=0.5, min_days=30)

    app = open_page("policy")

    assert app.button(key=f"take_{RULE}").disabled
    assert any("Waits for 20" in item.value and "more days" in item.value for item in app.caption)


def test_a_step_up_on_an_old_page_is_refused(store: Store, open_page: OpenPage) -> None:
    """Who looks at version 3 does not step up what version 4 says."""
    change(store, share=0.5)
    app = open_page("policy")
    app.button(key=f"take_{RULE}").click().run()
    store.put_policy('mode = "off"', who="ada", why="", based_on=3)

    app.button(key="take_now").click().run()

    assert app.warning[0].proto.title == "Somebody changed it first; reloaded"
    assert store.policy_history()[0].version == 4


def test_a_rule_past_its_limit_is_taken_out(store: Store, open_page: OpenPage) -> None:
    """A passed limit is named with its numbers; one click disables the rule, which is listed from then on."""
    change(store, share=0.9, daily_budget_usd=0.000001)
    app = open_page("policy")
    assert any("above its budget of" in item.value.replace("\\", "") for item in app.error)

    app.button(key=f"trip_now_{RULE}").click().run()

    assert f"{RULE} is disabled" in app.success[0].value.replace("\\", "")
    assert not in_force(store).rules[0].enabled
    assert not app.error
    (trips,) = [item.value for item in app.dataframe if "limit" in item.value]
    assert trips["rule"].tolist() == [RULE]
    assert trips["limit"].tolist() == ["Budget of a day"]


def test_who_may_only_look_takes_nothing_out(
    store: Store, open_page: OpenPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A limit is shown to everybody; the button is for who approves."""
    change(store, share=0.9, daily_budget_usd=0.000001)
    monkeypatch.setenv("TIERWISE_ROLES", "look: *")

    app = open_page("policy")

    assert app.button(key=f"trip_now_{RULE}").disabled
