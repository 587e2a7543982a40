from __future__ import annotations

import pytest
from opening import OpenPage

from tierwise.store import Store


def a_trace(store: Store) -> str:
    return store.query("traces", limit=1).to_pylist()[0]["trace_id"]


def test_the_list_is_in_the_order_asked_for(store: Store, open_page: OpenPage) -> None:
    """Newest, dearest or slowest first, and a link keeps which."""
    app = open_page("traces", order="Dearest", range="all time")

    assert app.dataframe[0].value["trace_id"].tolist()[:5] == [
        row["trace_id"] for row in store.query("traces", order="dearest", limit=5).to_pylist()
    ]


def test_a_link_opens_one_trace(store: Store, open_page: OpenPage) -> None:
    """`?trace=ID` shows its steps and what it cost in all."""
    trace = a_trace(store)

    app = open_page("traces", trace=trace)

    steps = store.query("trace_steps", trace_id=trace).to_pylist()
    assert "Waterfall" in [item.value for item in app.subheader]
    assert app.dataframe[0].value["span_id"].tolist() == [step["span_id"] for step in steps]


def test_the_way_out_names_the_trace(store: Store, open_page: OpenPage, monkeypatch: pytest.MonkeyPatch) -> None:
    """With an address template there is a link to the same trace in the user's own tool, and none without."""
    trace = a_trace(store)
    without = open_page("traces", trace=trace)
    monkeypatch.setenv("TIERWISE_TRACE_URL", "https://apm.example.com/t/{trace_id}?s={span_id}")

    app = open_page("traces", trace=trace)

    assert not without.get("link_button")
    (link,) = app.get("link_button")
    assert link.proto.url.startswith(f"https://apm.example.com/t/{trace}?s=")


def test_an_unknown_trace_says_so(populated_db: str, open_page: OpenPage) -> None:
    """A trace that is not stored is no error."""
    app = open_page("traces", trace="0" * 32)

    assert "No such trace" in [item.value for item in app.subheader]
