from __future__ import annotations

from opening import OpenPage

from tierwise.store import Store


def test_measured_is_held_against_predicted(populated_db: str, open_page: OpenPage) -> None:
    """Each rule has its measured saving with interval and arms, and whether that was predicted."""
    app = open_page("verify")

    text = " ".join(item.value for item in [*app.markdown, *app.caption])
    assert "predicted" in text
    assert "in the holdout" in text
    assert [metric.label for metric in app.metric] == ["Saved per call", "Saved in all", "Score change", "Failures"]
    row = app.dataframe[0].value.iloc[0]
    assert row["saved_low"] < row["saved_per_call"] < row["saved_high"]
    assert row["expected_low"] < row["predicted_per_call"] < row["expected_high"]
    assert row["n_treated"] > 1000
    assert row["n_holdout"] > 100
    assert len(app.get("vega_lite_chart")) == 2


def test_short_time_is_not_enough_data(populated_db: str, open_page: OpenPage) -> None:
    """Few calls in an arm give an answer in words, not a figure."""
    app = open_page("verify", range="1 hour")

    assert app.metric[0].value == "—"
    assert any("not enough data" in item.value for item in app.markdown)
    assert any("No rule has enough" in item.value for item in app.caption)


def test_rule_that_was_taken_out_is_still_verified(store: Store, open_page: OpenPage) -> None:
    """What a rule did stays measured after it has left the policy."""
    store.put_policy('mode = "shadow"', who="ada", why="", based_on=2)

    app = open_page("verify")

    assert any("Not in force" in item.value for item in app.markdown)
    assert app.metric[0].value.startswith("\\$")
