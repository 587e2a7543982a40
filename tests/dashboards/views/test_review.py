from __future__ import annotations

from pathlib import Path

import duckdb
import pytest
import roles
from opening import OpenPage
from streamlit.testing.v1 import AppTest

from tierwise.review.queue import read_queue
from tierwise.store import Store, open_store


@pytest.fixture(autouse=True)
def as_reviewer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever looks may review, and no more."""
    monkeypatch.setattr(roles, "role", lambda: "review")


def press(app: AppTest, key: str) -> AppTest:
    """Press a button of the page, as its key does."""
    app.button(f"review_{key}").click().run()
    assert not app.exception
    return app


def words(app: AppTest) -> str:
    return " ".join(item.value for item in [*app.markdown, *app.caption, *app.subheader, *app.text])


def standing(store: Store) -> list[tuple[str, str]]:
    """(verdict, reviewer) of the reviews that stand, oldest first."""
    rows = store.query("reviews").to_pylist()
    return [(row["verdict"], row["reviewer"]) for row in reversed(rows) if row["undone_at"] is None]


def test_every_verdict_has_a_key(populated_db: str, open_page: OpenPage) -> None:
    """The whole queue is worked by keyboard: each verdict and undo is a button with a shortcut."""
    app = open_page("review")

    shortcuts = {button.key: button.proto.shortcut for button in app.button if (button.key or "").startswith("review_")}

    assert shortcuts == {
        "review_a": "a",
        "review_b": "b",
        "review_tie": "t",
        "review_bad": "n",
        "review_skip": "s",
        "review_undo": "u",
    }


def test_a_verdict_is_recorded_and_the_next_pair_shown(store: Store, open_page: OpenPage) -> None:
    """A press scores both answers blind, with its propensity, in the audit log, and goes on to the next pair."""
    first, second = read_queue(store).waiting[:2]
    app = open_page("review")
    app.text_input("reviewer").set_value("grace").run()

    press(app, "a")

    (review,) = store.query("reviews").to_pylist()
    assert review["verdict"] == first.first == review["first"]
    assert (review["reviewer"], review["propensity"], review["shown"]) == ("grace", first.draw.propensity, "link")
    assert store.query("pairs", source="human").num_rows == 1
    assert store.audit_log()[0]["action"] == "review.recorded"
    press(app, "tie")
    assert standing(store)[1] == ("both_good", "grace")
    assert {row["shadow_span_id"] for row in store.query("reviews").to_pylist()} == {
        first.shadow_span_id,
        second.shadow_span_id,
    }


def test_undo_takes_the_last_verdict_back(store: Store, open_page: OpenPage) -> None:
    """Undo removes the scores and puts the pair back in front, and the same verdict can be given again."""
    app = open_page("review")
    waiting = len(read_queue(store).waiting)

    press(press(app, "b"), "undo")

    assert standing(store) == []
    assert store.query("pairs", source="human").num_rows == 0
    assert len(read_queue(store).waiting) == waiting
    press(app, "b")
    assert len(standing(store)) == 1


def test_undo_without_a_verdict_says_so(populated_db: str, open_page: OpenPage) -> None:
    """There is nothing to take back, and the page says it."""
    app = press(open_page("review"), "undo")

    assert "no review to take back" in app.error[0].value


def test_who_may_only_look_cannot_review(store: Store, monkeypatch: pytest.MonkeyPatch, open_page: OpenPage) -> None:
    """Without the role to review every button is dead, and undo with them."""
    monkeypatch.setattr(roles, "role", lambda: "look")

    app = open_page("review")

    assert all(button.disabled for button in app.button if (button.key or "").startswith("review_"))


def test_agreement_is_shown(store: Store, open_page: OpenPage) -> None:
    """After reviews the page says what people said and how far the check agrees, with n."""
    app = open_page("review")
    for choice in ("tie", "tie", "skip"):
        press(app, choice)

    table = app.dataframe[0].value.iloc[0]
    assert (table["scores"], table["source"], table["pairs"]) == ("answer_correct", "check", 2)
    cards = {metric.label: metric.value for metric in app.metric}
    assert (cards["Pairs reviewed"], cards["As good as each other"]) == ("3", "2")


def test_content_is_shown_where_it_is_stored(store: Store, populated_db: str, open_page: OpenPage) -> None:
    """A pair whose texts were captured shows question and answers, and neither model's name."""
    (item, *_) = read_queue(store).waiting
    store.close()
    with duckdb.connect(populated_db.removeprefix("duckdb:")) as connection:
        for trace_id, text in ((item.trace_id, "Paris."), (item.shadow_trace_id, "Lyon.")):
            parts = f'[{{"role":"assistant","parts":[{{"type":"text","content":"{text}"}}]}}]'
            asked = '[{"role":"user","parts":[{"type":"text","content":"The capital of France?"}]}]'
            connection.execute(
                'UPDATE llm_calls SET attributes = {"gen_ai.input.messages": ?, "gen_ai.output.messages": ?}::VARIANT'
                " WHERE trace_id = ?",
                [asked, parts, trace_id],
            )

    app = open_page("review")

    assert [text.value for text in app.text] == [
        "user: The capital of France?",
        *(("Paris.", "Lyon.") if item.first == "strong" else ("Lyon.", "Paris.")),
    ]
    shown = words(app)
    assert "haiku" not in shown
    assert "opus" not in shown


def test_without_content_there_is_a_link(
    populated_db: str, store: Store, monkeypatch: pytest.MonkeyPatch, open_page: OpenPage
) -> None:
    """Where no text is stored the user's own tool is linked, by template."""
    monkeypatch.setenv("TIERWISE_TRACE_URL", "https://apm.example.com/{trace_id}/{span_id}")
    (item, *_) = read_queue(store).waiting

    links = [link.proto.url for link in open_page("review").get("link_button")]

    assert f"https://apm.example.com/{item.trace_id}/{item.span_id}" in links
    assert len(links) == 2


def test_an_empty_store_says_what_to_do(empty_db: str, open_page: OpenPage) -> None:
    """Without a call there is nothing to review, and the page says how calls come in."""
    assert "No calls yet" in words(open_page("review"))


def test_a_selection_without_pairs(populated_db: str, open_page: OpenPage) -> None:
    """Calls without shadow calls leave no pair, and the page says where pairs come from."""
    app = open_page("review", use_case="support-replies")

    assert "No pair waits for review" in words(app)
    assert not [button for button in app.button if button.key == "review_a"]


def test_a_store_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, open_page: OpenPage) -> None:
    """A file that is no store is named, with a way to try again, and nothing else is drawn."""
    path = tmp_path / "broken.duckdb"
    path.write_bytes(b"not a database" * 1000)
    monkeypatch.setenv("TIERWISE_DB", f"duckdb:{path}")

    app = open_page("review")

    assert app.error[0].value
    assert app.button("try_again")


def test_a_newer_store_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, open_page: OpenPage) -> None:
    """A store of a newer tierwise is refused with the way to upgrade."""
    path = tmp_path / "newer.duckdb"
    open_store(f"duckdb:{path}").close()
    with duckdb.connect(str(path)) as connection:
        connection.execute("INSERT INTO schema_version VALUES (999, 'later', now()::TIMESTAMP_NS)")
    monkeypatch.setenv("TIERWISE_DB", f"duckdb:{path}")

    app = open_page("review")

    assert "newer tierwise" in app.error[0].value


def test_a_pair_that_somebody_else_decided_stays_reviewed_once(store: Store, open_page: OpenPage) -> None:
    """On a stale page a verdict on a pair decided elsewhere is kept beside the first, which goes on counting."""
    app = open_page("review")
    other = open_page("review")
    press(other, "tie")

    press(app, "bad")

    assert [verdict for verdict, _ in standing(store)] == ["both_good", "both_bad"]
    scores = store.query("reviewed_scores").to_pylist()
    assert {row["verdict"] for row in scores} == {"both_good"}
