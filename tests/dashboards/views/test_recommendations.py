from __future__ import annotations

from dataclasses import replace

import populated
from opening import OpenPage
from streamlit.testing.v1 import AppTest

from tierwise.evidence.estimate import Estimate, NotEnoughData
from tierwise.evidence.retention import Certificate
from tierwise.recommend import Recommendation
from tierwise.recommend.recommendation import JudgedEvidence
from tierwise.routing import policy
from tierwise.store import Store

INVOICE = populated.INVOICE_ID
TRIAGE = populated.TRIAGE_ID


def headings(app: AppTest) -> list[str]:
    return [heading.value for heading in app.subheader]


def state_of(store: Store, recommendation_id: str) -> str:
    return next(item["state"] for item in store.recommendations() if item["id"] == recommendation_id)


def current(store: Store) -> policy.Policy:
    record = store.current_policy()
    assert record is not None
    return policy.parse(record.text)


def sign(app: AppTest, action: str, who: str, why: str) -> None:
    app.text_input(key=f"{action}_who").set_value(who)
    app.text_area(key=f"{action}_why").set_value(why)


def test_card_holds_what_it_takes_to_decide(populated_db: str, open_page: OpenPage) -> None:
    """Scope, proposal, saving and quality with their intervals, evidence, and what is missing are on the card."""
    app = open_page("recommendations")

    card = app.container(key=f"card_{INVOICE}")
    text = " ".join(item.value for item in [*card.markdown, *card.caption])
    assert "`claude-opus-5-5` :material/arrow_forward: `claude-haiku-5-5`" in text
    assert "Certified" in text
    assert "pairs, scored by your check “answer\\_correct”" in text
    assert "e-value" in text
    labels = [metric.label for metric in card.metric]
    assert labels == ["Calls a month", "Saving a month", "Quality kept", "Time to answer"]
    intervals = [item.value for item in card.markdown if item.value.startswith(":small[")]
    assert all(" to " in interval for interval in intervals[1:])
    unproven = app.container(key=f"card_{_id_of(populated_db, 'support-replies')}")
    assert any("What is missing" in item.value for item in unproven.markdown)
    assert unproven.button[0].disabled


def _id_of(url: str, use_case: str) -> str:
    from connection import recommendations

    return next(item["id"] for item in recommendations() if item["scope"]["use_case_name"] == use_case)


def test_too_short_a_time_is_not_stretched_to_a_month(store: Store, open_page: OpenPage) -> None:
    """Below a day of traffic the card speaks of the time seen, not of a month."""
    content = next(item for item in store.recommendations() if item["id"] == INVOICE)
    store.save_recommendations([{**content, "monthly_calls": None, "monthly_spend_usd": None, "window_days": 0.2}])

    card = open_page("recommendations").container(key=f"card_{INVOICE}")

    assert [metric.label for metric in card.metric][:2] == ["Calls", "Saving in 4.8 hours"]


def test_certified_come_first(populated_db: str, open_page: OpenPage) -> None:
    """What can be applied is on top."""
    assert headings(open_page("recommendations"))[0] == "invoice-extraction"


def test_sql_is_shown_when_asked_for(populated_db: str, open_page: OpenPage) -> None:
    """The queries behind a card are one click away, and not drawn before."""
    app = open_page("recommendations")
    assert not any("selected_calls" in block.value or "FROM traffic" in block.value for block in app.code)

    app.session_state[f"sql_{INVOICE}"] = True
    app.run()

    assert any("FROM traffic" in block.value for block in app.code)
    assert any("uc_invoice" in block.value for block in app.code)


def test_evidence_is_drawn_when_asked_for(store: Store, open_page: OpenPage) -> None:
    """The quality kept has a chart with its bounds in words, and assumptions are listed."""
    app = open_page("recommendations")
    assert not app.get("vega_lite_chart")

    app.session_state[f"evidence_{INVOICE}"] = True
    app.session_state[f"assumptions_{INVOICE}"] = True
    app.run()

    (chart,) = app.get("vega_lite_chart")
    assert "claude-haiku-5-5" in chart.proto.alt
    assert "n=" in chart.proto.alt
    assumed = next(item["assumptions"] for item in store.recommendations() if item["id"] == INVOICE)
    assert any(item.value.count("\n- ") == len(assumed) - 1 for item in app.markdown)


def test_many_cards_come_on_pages(store: Store, open_page: OpenPage) -> None:
    """Ten cards are drawn at once; the rest are a click away."""
    content = next(item for item in store.recommendations() if item["id"] == INVOICE)
    store.save_recommendations([{**content, "id": f"rec_{number:012x}"} for number in range(12)])
    app = open_page("recommendations")
    assert len(headings(app)) == 10

    app.pagination(key="page").set_value(2).run()

    assert len(headings(app)) == 6
    assert headings(app)[-1] == "support-replies"


def test_share_and_cascade_are_said(store: Store, open_page: OpenPage) -> None:
    """A proposal for a part of the calls says which part, and a cascade what is still paid for the model asked for."""
    content = next(item for item in store.recommendations() if item["id"] == INVOICE)
    store.save_recommendations([{**content, "share": 0.6, "rule_kind": "cascade", "strong_share": 0.25}])

    card = open_page("recommendations").container(key=f"card_{INVOICE}")

    text = " ".join(item.value for item in card.markdown)
    assert "60% of calls" in text
    assert "as a cascade: 25% of what claude-opus-5-5 costs is still paid" in text


def test_nobody_applies_more_than_is_certified(store: Store, open_page: OpenPage) -> None:
    """The dialog offers the share that is certified, and takes no larger one."""
    content = next(item for item in store.recommendations() if item["id"] == INVOICE)
    store.save_recommendations([{**content, "share": 0.6}])
    app = open_page("recommendations")

    app.button(key=f"apply_{INVOICE}").click().run()

    share = app.number_input(key="apply_share")
    assert (share.value, share.max) == (60, 60)
    app.button(key="apply_now").click().run()
    assert current(store).rules[0].share == 0.6


def test_what_has_expired_is_not_applied(store: Store, open_page: OpenPage) -> None:
    """Out-of-date evidence is named, and the button is off until it is worked out again."""
    content = next(item for item in store.recommendations() if item["id"] == INVOICE)
    store.save_recommendations([{**content, "expires_at": "2026-01-01T00:00:00+00:00"}])

    app = open_page("recommendations")

    assert any("Expired 2026-01-01" in item.value for item in app.markdown)
    assert app.button(key=f"apply_{INVOICE}").disabled


def test_judged_evidence_is_shown(store: Store, open_page: OpenPage) -> None:
    """Where a judge scored and people reviewed, both and their agreement stand in the evidence."""
    content = next(item for item in store.recommendations() if item["id"] == INVOICE)
    item = Recommendation.from_dict(content)
    assert isinstance(item.certificate, Certificate)
    agreed = Estimate(0.91, 0.86, 0.95, 0.95, 120, 120.0, "Wilson", "share")
    little = NotEnoughData(3, 30, "reviewed pairs")
    judged = JudgedEvidence(
        "tone", 400, 390, 120, 4, 7, item.certificate, agreed, agreed, agreed, agreed, little, little, little
    )
    store.save_recommendations([replace(item, judged=judged).to_dict()])
    app = open_page("recommendations")

    app.session_state[f"evidence_{INVOICE}"] = True
    app.run()

    text = " ".join(block.value for block in app.markdown)
    assert "Judge “tone”: 400 pairs, 390 counted" in text
    assert "People: 120 pairs reviewed, 4 skipped, 7 waiting" in text
    assert "agree: 91.0% (86.0% to 95.0%)" in text
    assert "leniency: — (not enough data: 3 of 30)" in text


def test_table_holds_the_same_and_is_filtered(populated_db: str, open_page: OpenPage) -> None:
    """As a table every open recommendation is a row; states narrow it down; it can be downloaded."""
    app = open_page("recommendations", layout="Table")
    table = app.dataframe[0].value
    assert {"invoice-extraction", "support-replies"} <= set(table["use_case"])
    assert not app.get("vega_lite_chart")

    app.pills(key="table_states").set_value(["certified"]).run()

    narrowed = app.dataframe[0].value
    assert set(narrowed["state"]) == {"certified"}
    assert narrowed["use_case"].tolist()[0] == "invoice-extraction"
    low, value, high = narrowed[[f"monthly_saving_usd{end}" for end in ("_low", "", "_high")]].iloc[0]
    assert low < value < high


def test_apply_puts_a_rule_in_force(store: Store, open_page: OpenPage) -> None:
    """Applying writes one policy version with share, holdout, who and why, and moves the recommendation."""
    app = open_page("recommendations")
    app.button(key=f"apply_{INVOICE}").click().run()
    app.number_input(key="apply_share").set_value(20)
    app.number_input(key="apply_holdout").set_value(7)
    sign(app, "apply", "lin", "Looks safe")

    app.button(key="apply_now").click().run()

    assert not app.exception
    assert "is in force for 20% of its calls, 7% held out: policy version 3" in app.success[0].value
    record = store.current_policy()
    assert record is not None
    assert (record.version, record.who, record.why, record.action) == (3, "lin", "Looks safe", "apply")
    rule = current(store).rules[0]
    assert (rule.to, rule.share, rule.holdout) == ("claude-haiku-5-5", 0.2, 0.07)
    assert state_of(store, INVOICE) == "enforced"
    assert "invoice-extraction" not in headings(app)


def test_somebody_else_was_first(store: Store, open_page: OpenPage) -> None:
    """A decision made on a page that is out of date is not carried out, and the page is redrawn."""
    app = open_page("recommendations")
    app.button(key=f"apply_{INVOICE}").click().run()
    store.put_policy('mode = "off"', who="grace", why="Incident", based_on=2)

    app.button(key="apply_now").click().run()

    assert app.warning[0].proto.title == "Somebody changed it first; reloaded"
    assert "version 3" in app.warning[0].value
    assert state_of(store, INVOICE) == "certified"
    assert any("Switched off · v3" in item.value for item in app.markdown)


def test_dismiss_needs_a_reason(store: Store, open_page: OpenPage) -> None:
    """Without a reason nothing is dismissed."""
    app = open_page("recommendations")
    app.button(key=f"dismiss_{INVOICE}").click().run()

    app.button(key="dismiss_now").click().run()

    assert "Say why" in app.error[0].value
    assert state_of(store, INVOICE) == "certified"


def test_dismiss_and_reopen(store: Store, open_page: OpenPage) -> None:
    """A dismissed recommendation keeps its reason, and can be taken up again."""
    app = open_page("recommendations")
    app.button(key=f"dismiss_{INVOICE}").click().run()
    sign(app, "dismiss", "lin", "Contract forbids it")
    app.button(key="dismiss_now").click().run()
    assert state_of(store, INVOICE) == "dismissed"

    app.segmented_control(key="show").set_value("Put away").run()
    assert any("Contract forbids it" in item.value for item in app.markdown)
    app.button(key=f"reopen_{INVOICE}").click().run()

    assert state_of(store, INVOICE) == "certified"
    assert store.audit_log()[0]["who"] == "lin"


def test_snooze_ends(store: Store, open_page: OpenPage) -> None:
    """A snoozed recommendation says until when."""
    app = open_page("recommendations")
    app.button(key=f"snooze_{INVOICE}").click().run()
    app.segmented_control(key="snooze_for").set_value("1 week")
    app.button(key="snooze_now").click().run()

    assert state_of(store, INVOICE) == "snoozed"
    app.segmented_control(key="show").set_value("Put away").run()
    assert any("Put away until" in item.value for item in app.markdown)


def test_step_up_and_roll_back(store: Store, open_page: OpenPage) -> None:
    """A rule in force can be given more of the traffic, and taken out again."""
    app = open_page("recommendations", show="In force")
    app.button(key=f"step_up_{TRIAGE}").click().run()
    app.number_input(key="step_up_share").set_value(100)
    app.button(key="step_up_now").click().run()
    assert current(store).rules[0].share == 1.0

    app.button(key=f"rollback_{TRIAGE}").click().run()
    app.button(key="rollback_now").click().run()

    assert current(store).rules == ()
    assert state_of(store, TRIAGE) == "rolled_back"
    assert len(store.policy_history()) == 4


def test_name_is_remembered(populated_db: str, open_page: OpenPage) -> None:
    """Whoever signed once is offered the same name the next time."""
    app = open_page("recommendations")
    app.button(key=f"snooze_{INVOICE}").click().run()
    app.text_input(key="snooze_who").set_value("lin")
    app.button(key="snooze_now").click().run()

    app.segmented_control(key="show").set_value("In force").run()
    app.button(key=f"rollback_{TRIAGE}").click().run()

    assert app.text_input(key="rollback_who").value == "lin"


def test_recommendations_are_worked_out_on_demand(store: Store, open_page: OpenPage) -> None:
    """A click has the library look at calls and pairs again."""
    app = open_page("recommendations")

    app.button(key="refresh").click().run()

    assert "recommendations worked out" in app.success[0].value
    assert any("worked out just now" in item.value for item in app.caption)
