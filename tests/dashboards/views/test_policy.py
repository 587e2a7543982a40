from __future__ import annotations

from opening import OpenPage

from tierwise.routing import policy
from tierwise.store import Store


def mode(store: Store) -> str:
    record = store.current_policy()
    assert record is not None
    return policy.parse(record.text).mode


def test_policy_in_force_is_shown_in_words_and_as_text(store: Store, open_page: OpenPage) -> None:
    """Who made the version and why, each rule in a sentence, and the file itself."""
    app = open_page("policy")

    text = " ".join(item.value for item in [*app.markdown, *app.caption])
    assert "by grace" in text
    assert "Pairs show equal quality" in text
    assert "go to gpt-6-luna for 90% of conversations" in text
    record = store.current_policy()
    assert record is not None
    assert record.text.strip() in [block.value for block in app.code]


def test_kill_switch_and_back(store: Store, open_page: OpenPage) -> None:
    """Off takes two clicks, is shown everywhere, and leaves the rules in place for on."""
    app = open_page("policy")
    app.button(key="switch_off").click().run()
    assert mode(store) == "enforce"
    app.text_area(key="switch_off_why").set_value("Incident 12")
    app.button(key="switch_off_now").click().run()

    assert mode(store) == "off"
    assert "Incident 12" in app.error[0].value
    app.switch_page("views/overview.py").run()
    assert "Routing is switched off (policy version 3)" in [alert.proto.title for alert in app.error]

    app.switch_page("views/policy.py").run()
    app.button(key="switch_on").click().run()
    app.button(key="switch_on_now").click().run()

    assert mode(store) == "enforce"
    assert [rule.to for rule in policy.parse(store.policy_history()[0].text).rules] == ["gpt-6-luna"]
    assert not app.error


def test_roll_back_shows_what_changes(store: Store, open_page: OpenPage) -> None:
    """Going back to a version is a new version, after its difference was shown."""
    app = open_page("policy")
    app.button(key="roll_back").click().run()
    assert any("mode: enforce becomes shadow" in item.value for item in app.markdown)

    app.text_input(key="roll_back_who").set_value("lin")
    app.button(key="roll_back_now").click().run()

    record = store.current_policy()
    assert record is not None
    assert (record.version, record.action, record.who) == (3, "rollback", "lin")
    assert mode(store) == "shadow"
    assert "version 3 says what version 1 said" in app.success[0].value


def test_roll_back_on_an_old_page_is_refused(store: Store, open_page: OpenPage) -> None:
    """Somebody who looks at version 2 does not undo version 3."""
    app = open_page("policy")
    app.button(key="roll_back").click().run()
    store.put_policy('mode = "off"', who="ada", why="", based_on=2)

    app.button(key="roll_back_now").click().run()

    assert app.warning[0].proto.title == "Somebody changed it first; reloaded"
    assert len(store.policy_history()) == 3


def test_any_two_versions_can_be_compared(store: Store, open_page: OpenPage) -> None:
    """The difference between two versions is told in sentences and as text."""
    store.put_policy('mode = "off"', who="ada", why="", based_on=2)

    app = open_page("policy", diff_from="1", diff_to="3")

    assert any("mode: shadow becomes off" in item.value for item in app.markdown)
    assert any("+++ version 3" in block.value for block in app.code)


def test_audit_log_is_listed_newest_first(populated_db: str, open_page: OpenPage) -> None:
    """Who did what and why can be read and taken along."""
    app = open_page("policy")

    log = app.dataframe[-1].value
    assert log["action"].tolist() == ["recommendation.enforced", "policy.apply", "policy.apply"]
    assert log["who"].tolist() == ["grace", "grace", "ada"]
