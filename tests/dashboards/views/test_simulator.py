from __future__ import annotations

from opening import OpenPage
from streamlit.testing.v1 import AppTest

from tierwise.store import Store


def figures(app: AppTest) -> dict[str, str]:
    return {metric.label: metric.value for metric in app.metric}


def test_certified_rules_are_simulated_at_first(populated_db: str, open_page: OpenPage) -> None:
    """The page opens with what could be applied today, each figure with its interval."""
    app = open_page("simulator")

    assert list(figures(app)) == ["As billed", "Saving", "Of the bill", "Net of evaluation", "Payback"]
    intervals = [item.value for item in app.markdown if item.value.startswith(":small[:green[")]
    assert len(intervals) == 3
    assert all(" to " in interval for interval in intervals)
    rules = app.dataframe[0].value
    assert rules["rule"].tolist()[0].startswith("invoice-extraction-")
    for low, saving, high in rules[["low", "saving", "high"]].to_numpy().tolist():
        assert low <= saving <= high


def test_smaller_share_saves_less(populated_db: str, open_page: OpenPage) -> None:
    """The knobs reach the simulation."""
    app = open_page("simulator")
    full = app.dataframe[0].value["saving"].iloc[0]

    app.slider(key="share").set_value(50).run()

    assert 0 < app.dataframe[0].value["saving"].iloc[0] < 0.6 * full


def test_quality_floor_leaves_rules_out_and_says_why(populated_db: str, open_page: OpenPage) -> None:
    """A floor above what is certified empties the simulation, with the reason in the table."""
    app = open_page("simulator")

    app.select_slider(key="floor").set_value(1.0).run()

    reasons = app.dataframe[0].value["left_out"].tolist()
    assert all("below the quality floor of 100%" in reason for reason in reasons)


def test_dearer_target_saves_less(populated_db: str, open_page: OpenPage) -> None:
    """A price that a person supposes reaches the simulation, and is said to be supposed."""
    app = open_page("simulator")
    today = app.dataframe[0].value["saving"].iloc[0]

    app.slider(key="price_anthropic_claude-haiku-5-5").set_value(300).run()

    assert not app.exception
    assert app.dataframe[0].value["saving"].iloc[0] < today


def test_kept_cache_saves_more(store: Store, open_page: OpenPage) -> None:
    """What the target's cache is supposed to serve makes its calls cheaper."""
    text = """mode = "enforce"
[[rule]]
id = "support"
kind = "route"
when = { use_case = ["support-replies"], provider = ["openai"] }
to = "gpt-6-luna"
share = 1.0
"""
    store.put_policy(text, who="ada", why="", based_on=2)
    app = open_page("simulator")
    app.multiselect(key="simulated_rules").set_value(["support"]).run()
    cold = app.dataframe[0].value["saving"].iloc[0]

    app.slider(key="cache_kept").set_value(100).run()

    assert app.dataframe[0].value["saving"].iloc[0] > cold


def test_no_rule_moves_nothing(populated_db: str, open_page: OpenPage) -> None:
    """Without rules the page says that nothing is assumed."""
    app = open_page("simulator")

    app.multiselect(key="simulated_rules").set_value([]).run()

    assert any("every call stays where it is" in item.value for item in app.caption)


def in_editor(open_page: OpenPage) -> AppTest:
    app = open_page("simulator")
    app.button(key="to_editor").click().run()
    assert not app.exception
    return app


def test_knobs_fill_the_editor(populated_db: str, open_page: OpenPage) -> None:
    """What the knobs make can be taken on as text, with its difference to what is in force."""
    app = in_editor(open_page)

    assert "claude-haiku-5-5" in str(app.text_area(key="policy_text").value)
    assert app.success
    assert any("is new" in item.value for item in app.markdown)


def test_text_is_checked_as_it_is_typed(populated_db: str, open_page: OpenPage) -> None:
    """A text that is no policy is refused with line and way out, and cannot be put in force."""
    app = in_editor(open_page)

    app.text_area(key="policy_text").set_value('mode = "enforced"').run()

    assert app.error[0].proto.title == "This is not a policy yet"
    assert "off, shadow, enforce" in app.error[0].value
    assert "apply_text" not in [button.key for button in app.button]


def test_text_can_be_simulated(populated_db: str, open_page: OpenPage) -> None:
    """The text has the same figures as the knobs it came from."""
    app = open_page("simulator")
    by_knobs = figures(app)
    app.button(key="to_editor").click().run()

    app.toggle(key="simulate_text").set_value(True).run()

    assert figures(app) == by_knobs


def test_text_is_put_in_force(store: Store, open_page: OpenPage) -> None:
    """A policy that a person wrote becomes the next version, signed."""
    app = in_editor(open_page)
    app.text_area(key="policy_text").set_value('mode = "shadow"\n').run()
    app.button(key="apply_text").click().run()
    app.text_input(key="apply_text_who").set_value("lin")
    app.button(key="apply_text_now").click().run()

    record = store.current_policy()
    assert record is not None
    assert (record.version, record.who) == (3, "lin")
    assert 'mode = "shadow"' in record.text
    assert "Policy version 3 is in force" in app.success[0].value
