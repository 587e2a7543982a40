from __future__ import annotations

from datetime import UTC, datetime, timedelta

import filters
from opening import OpenPage

from tierwise.store import Store


def test_range_starts_on_the_border_of_a_bar() -> None:
    """The selected time begins where a bar of its charts begins, and reaches back at least as far as it says."""
    for time_range in filters.RANGES.values():
        since = filters._since(time_range)
        if time_range.length is None:
            assert since is None
            continue
        assert since is not None
        assert since.timestamp() % time_range.step.total_seconds() == 0
        assert time_range.length <= datetime.now(UTC) - since < time_range.length + 2 * time_range.step


def test_default_range_suits_what_is_there() -> None:
    """Minutes of calls are not shown on an axis of a month."""
    now = datetime.now(UTC)
    ages = (None, timedelta(minutes=5), timedelta(hours=5), timedelta(days=20), timedelta(days=80), timedelta(days=800))

    names = [filters._default_range(None if age is None else now - age) for age in ages]

    assert names == ["30 days", "1 hour", "24 hours", "30 days", "30 days", "30 days"]


def test_link_opens_with_its_filters(store: Store, open_page: OpenPage) -> None:
    """The filters in a URL are those that are applied; what is no value of a filter is left out."""
    since = filters._since(filters.RANGES["7 days"])
    (expected,) = store.query("overview_totals", since=since, use_case="invoice-extraction").to_pylist()

    app = open_page(range="7 days", use_case=["invoice-extraction"], task_type=["extraction", "math"])

    assert app.selectbox(key="range").value == "7 days"
    assert app.multiselect(key="use_case").value == ["invoice-extraction"]
    assert app.multiselect(key="task_type").value == ["extraction"]
    assert app.metric[1].value == str(expected["calls"])


def test_filters_follow_to_other_pages(populated_db: str, open_page: OpenPage) -> None:
    """Every page looks at the same selection."""
    app = open_page("recommendations", use_case=["contract-summary"])

    assert "contract-summary" in [heading.value for heading in app.subheader]
    assert "invoice-extraction" not in [heading.value for heading in app.subheader]


def test_selection_without_calls_offers_the_way_back(populated_db: str, open_page: OpenPage) -> None:
    """Filters that leave nothing say so, and one click widens them."""
    app = open_page(service=["ci"], use_case=["invoice-extraction"])
    assert "No calls match these filters" in [heading.value for heading in app.subheader]

    app.button(key="show_all_time").click().run()

    assert app.selectbox(key="range").value == "all time"
    assert app.multiselect(key="service").value == []
    assert app.metric[1].value == "8.58k"
