"""The dashboard as a person sees it: read, narrowed down, decided in, and undone."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import populated
import pytest
from playwright.sync_api import FloatRect, Locator, expect

from tierwise.routing import policy

if TYPE_CHECKING:
    from tab import Tab

    from tierwise.ingest.serve import Collector
    from tierwise.store import PolicyRecord

pytestmark = pytest.mark.browser

PAGES = (
    "",
    "use_cases",
    "recommendations",
    "recommendations?layout=Table",
    "simulator",
    "review",
    "policy",
    "verify",
    "traces",
    "budgets",
    "coverage",
)
_STICKS_OUT = """() => Math.max(
    document.documentElement.scrollWidth,
    document.querySelector("[data-testid=stMain]").scrollWidth
)"""


def current(collector: Collector) -> PolicyRecord:
    record = collector.store.current_policy()
    assert record is not None
    return record


def in_mode(record: PolicyRecord) -> str:
    return policy.parse(record.text).mode


def _boxes(marks: Locator) -> list[FloatRect]:
    return [box for mark in marks.all() if (box := mark.bounding_box()) is not None]


def test_every_page_is_drawn_and_fits_a_phone(tab: Tab) -> None:
    """Each page shows its title, its coverage, and charts that really are drawn; at 390 pixels nothing sticks out."""
    charts = {"": 2, "simulator": 1, "verify": 2}

    for path in PAGES:
        tab.page.set_viewport_size({"width": 1280, "height": 900})
        tab.open(path)

        name = path.partition("?")[0] or "overview"
        assert tab.page.locator("h1").inner_text().lower().startswith(name.replace("_", " "))
        expect(tab.page.get_by_text("98.1% priced").first).to_be_visible()
        drawn = tab.page.locator("[data-testid=stVegaLiteChart] svg, [data-testid=stVegaLiteChart] canvas")
        for place in range(charts.get(path, 0)):
            expect(drawn.nth(place)).to_be_visible()
        if path == "":
            bars = tab.page.locator("[data-testid=stVegaLiteChart]").first.locator("path[aria-roledescription=bar]")
            expect(bars).not_to_have_count(0)
            assert all(box["width"] > 1 and box["height"] >= 0 for box in _boxes(bars))
        assert tab.errors == []

        tab.page.set_viewport_size({"width": 390, "height": 844})
        # Charts and tables take a moment to follow the screen.
        tab.page.wait_for_function(f"({_STICKS_OUT})() <= 390")


def test_filters_are_in_the_link_and_follow(tab: Tab) -> None:
    """A filter goes into the URL, along to other pages, and back out of a link that is opened."""
    tab.open()
    tab.page.get_by_label("Use case", exact=True).click()
    tab.page.get_by_role("option", name="code-review").click()
    tab.page.keyboard.press("Escape")
    tab.settle()

    expect(tab.page.get_by_test_id("stMetricValue").nth(1)).to_have_text("700")
    assert parse_qs(urlsplit(tab.page.url).query) == {"use_case": ["code-review"]}
    tab.page.get_by_role("link", name="Recommendations").click()
    tab.settle()
    expect(tab.page.get_by_role("heading", name="code-review")).to_be_visible()
    assert parse_qs(urlsplit(tab.page.url).query) == {"use_case": ["code-review"]}

    tab.open("?range=7+days&service=helpdesk")

    expect(tab.page.get_by_text("helpdesk", exact=True)).to_be_visible()
    expect(tab.page.get_by_text("to the 7 days before").first).to_be_visible()


def test_from_recommendation_to_policy_to_kill_switch_and_back(tab: Tab, collector: Collector) -> None:
    """A recommendation is applied, everything is switched off, and the version before is brought back: each step is a
    new version in the store and on the page."""
    before = current(collector)

    tab.open("recommendations")
    # By its card: the buttons of the page come in any order, and the first to come may be another's.
    card = tab.page.locator(f".st-key-card_{populated.INVOICE_ID}")
    card.get_by_role("button", name="Apply as canary").click()
    tab.page.get_by_role("button", name="Begin with 10%").click()
    expect(tab.page.get_by_role("spinbutton", name="Share of the calls, %")).to_have_value("10")
    tab.page.get_by_label("Who", exact=True).fill("lin")
    tab.page.get_by_label("Why", exact=True).fill("Certified, and cheap to undo")
    tab.page.get_by_role("button", name="Put in force").dblclick()
    expect(tab.page.get_by_text("is in force for 10% of its calls")).to_be_visible()

    applied = current(collector)
    assert (applied.version, applied.who, applied.why) == (before.version + 1, "lin", "Certified, and cheap to undo")
    assert "claude-haiku-5-5" in {rule.to for rule in policy.parse(applied.text).rules}
    states = {item["id"]: item["state"] for item in collector.store.recommendations()}
    assert states[populated.INVOICE_ID] == "enforced"
    tab.open("policy")
    expect(tab.page.get_by_role("heading", name=f"Version {applied.version}")).to_be_visible()

    tab.click("Switch routing off", exact=False)
    tab.click("Switch off now")
    expect(tab.page.get_by_text(f"Switched off · v{applied.version + 1}").first).to_be_visible()
    assert in_mode(current(collector)) == "off"
    tab.open("")
    expect(tab.page.get_by_text("Routing is switched off")).to_be_visible()

    tab.open("policy")
    tab.page.get_by_role("tab", name="History").click()
    tab.click(f"Roll back to version {applied.version}", exact=False)
    tab.page.get_by_role("dialog").get_by_role("button", name="Roll back").click()
    expect(tab.page.get_by_text(f"Enforcing · v{applied.version + 2}").first).to_be_visible()
    restored = current(collector)
    assert restored.action == "rollback"
    assert restored.content_hash == applied.content_hash
    actions = [entry["action"] for entry in collector.store.audit_log()]
    assert {"policy.apply", "policy.off", "policy.rollback", "recommendation.enforced"} <= set(actions)
