from __future__ import annotations

from typing import Any

import pytest
from opening import OpenPage
from streamlit.testing.v1 import AppTest

from tierwise.store import Store


def tick(app: AppTest, use_case_id: str) -> AppTest:
    """The page with a use case of its table ticked."""
    table = app.dataframe[0].value
    row = table["use_case_id"].tolist().index(use_case_id)
    app.session_state["use_case_table"] = {"selection": {"rows": [row], "columns": [], "cells": []}}
    return app.run()


def found(store: Store) -> dict[str, dict[str, Any]]:
    return {row["use_case_id"]: row for row in store.query("use_cases").to_pylist()}


def test_the_table_is_what_the_query_says(store: Store, open_page: OpenPage) -> None:
    """One row a use case, dearest first."""
    app = open_page("use_cases", range="all time")

    shown = app.dataframe[0].value
    assert shown["use_case_id"].tolist() == [row["use_case_id"] for row in store.query("use_cases").to_pylist()]


@pytest.mark.parametrize("kind", ["rename", "label", "exclude", "merge", "split"])
def test_each_edit_is_carried_out_and_signed(kind: str, store: Store, open_page: OpenPage) -> None:
    """Ticked, asked, done: the edit is in the store with who and why, and the page says so."""
    app = tick(open_page("use_cases"), "uc_support")
    app.button(key=kind).click().run()
    match kind:
        case "rename":
            app.text_input(key="new_name").set_value("Replies")
        case "label":
            app.selectbox(key="new_task_type").set_value("summarization")
        case "merge":
            app.selectbox(key="merge_into").set_value("uc_triage")
        case _:
            pass
    app.text_input(key=f"{kind}_use_case_who").set_value("lin")
    app.button(key=f"{kind}_use_case_now").click().run()

    assert not app.exception
    assert app.success
    (edit,) = store.query("use_case_edits").to_pylist()
    assert (edit["kind"], edit["use_case_id"], edit["who"]) == (kind, "uc_support", "lin")
    rows = found(store)
    match kind:
        case "rename":
            assert rows["uc_support"]["label"] == "Replies"
        case "label":
            assert (rows["uc_support"]["task_type"], rows["uc_support"]["task_source"]) == ("summarization", "label")
        case "exclude":
            assert rows["uc_support"]["excluded"]
        case "merge":
            assert "uc_support" not in rows
        case _:
            assert "uc_support/globex" in rows


def test_an_edit_is_taken_back(store: Store, open_page: OpenPage) -> None:
    """What was said can be unsaid from the list of edits."""
    number = store.edit_use_case("rename", "uc_support", "Replies", who="ada", why="")
    app = open_page("use_cases")

    app.button(key=f"undo_{number}").click().run()

    assert found(store)["uc_support"]["label"] == "support-replies"


def test_second_of_two_people_is_told(store: Store, open_page: OpenPage) -> None:
    """An edit on a page that is out of date is refused, and the page shows how things stand."""
    app = tick(open_page("use_cases"), "uc_support")
    app.button(key="rename").click().run()
    app.text_input(key="new_name").set_value("Mine")
    store.edit_use_case("rename", "uc_support", "Theirs", who="ada", why="")

    app.button(key="rename_use_case_now").click().run()

    assert app.warning[0].proto.title == "Somebody changed it first; reloaded"
    assert found(store)["uc_support"]["label"] == "Theirs"
