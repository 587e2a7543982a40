from __future__ import annotations

from opening import OpenPage

from tierwise.store import Store


def test_headline_is_what_the_queries_say(store: Store, open_page: OpenPage) -> None:
    """Spend, calls, unit cost and time come from the store."""
    (change,) = store.query("spend_change").to_pylist()

    app = open_page(range="all time")

    spend, calls, per_call, _ = app.metric
    assert spend.value == f"\\${change['spend_usd']:.2f}"
    assert calls.value == f"{change['calls'] / 1000:.2f}k"
    assert per_call.value == f"\\${change['cost_per_call_usd']:.4f}"


def test_change_is_against_the_period_before(populated_db: str, open_page: OpenPage) -> None:
    """Where the period before has calls, the figure says how it changed."""
    app = open_page(range="7 days")

    assert app.metric[1].delta
    assert app.metric[1].proto.delta_description == "to the 7 days before"


def test_use_cases_come_dearest_first_with_their_unit_cost(populated_db: str, open_page: OpenPage) -> None:
    """The table names what costs most, and calls without a use case or price are in it."""
    table = open_page().dataframe[0].value

    assert table["label"].tolist()[0] == "invoice-extraction"
    assert table["label"].tolist()[-1] == "no use case"
    assert table["spend_usd"].iloc[0] == table["spend_usd"].max()
    assert table["cost_per_call_usd"].isna().tolist() == [False] * 5 + [True]


def test_charts_can_be_read_aloud(populated_db: str, open_page: OpenPage) -> None:
    """Each chart has a text that says what it shows, with figures."""
    app = open_page(by="Use case")

    texts = [chart.proto.alt for chart in app.get("vega_lite_chart")]

    assert len(texts) == 2
    assert "by use case" in texts[0]
    assert "invoice-extraction $" in texts[0]
    assert "claude-opus-5-5 fresh input" in texts[1]
