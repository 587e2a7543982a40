"""What the lead, the engineer and the on-call come for, each from the first page to the last click."""

from __future__ import annotations

from collections.abc import Callable, Generator
from pathlib import Path
from typing import TYPE_CHECKING

import populated
import pytest
from playwright.sync_api import Browser, expect
from tab import Tab

from tierwise.routing import policy

if TYPE_CHECKING:
    from tierwise.ingest.serve import Collector
    from tierwise.store import PolicyRecord

pytestmark = pytest.mark.browser

Shot = Callable[[str], None]


@pytest.fixture
def shot(tab: Tab, tmp_path: Path) -> Shot:
    """Keeps a picture of the page, among what pytest keeps of its last runs."""

    def take(name: str) -> None:
        tab.page.screenshot(path=tmp_path / f"{name}.png", full_page=True)

    return take


@pytest.fixture
def phone(browser: Browser, dashboard: str) -> Generator[Tab]:
    """A tab on a screen of 390 by 844, with fingers."""
    context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    opened = Tab(context.new_page(), dashboard)
    opened.watch()
    yield opened
    errors, external = opened.errors, opened.external
    context.close()
    assert errors == []
    assert external == []


def current(collector: Collector) -> PolicyRecord:
    record = collector.store.current_policy()
    assert record is not None
    return record


def test_the_lead_approves_the_largest_saving(tab: Tab, collector: Collector, shot: Shot) -> None:
    """From what is spent to the largest saving, its evidence, a simulation, and a canary under the lead's name."""
    tab.open()
    expect(tab.page.get_by_text("Use cases by spend")).to_be_visible()
    shot("lead-1-overview")

    tab.page.get_by_role("link", name="Recommendations").click()
    tab.settle()
    card = tab.page.locator(f".st-key-card_{populated.INVOICE_ID}")
    expect(card.get_by_text("Certified").first).to_be_visible()
    card.get_by_text("Evidence, alternatives and compatibility").click()
    expect(card.locator("[data-testid=stVegaLiteChart]").first).to_be_visible()
    shot("lead-2-evidence")

    tab.page.get_by_role("link", name="Simulator").click()
    tab.settle()
    expect(tab.page.get_by_text("Where calls go")).to_be_visible()
    expect(tab.page.locator("[data-testid=stEChartsChart], .echarts-for-react, canvas").first).to_be_visible()
    shot("lead-3-simulation")

    before = current(collector)
    tab.page.get_by_role("link", name="Recommendations").click()
    tab.settle()
    card.get_by_role("button", name="Apply as canary").click()
    tab.page.get_by_role("button", name="Begin with 10%").click()
    expect(tab.page.get_by_role("spinbutton", name="Share of the calls, %")).to_have_value("10")
    tab.page.get_by_label("Who", exact=True).fill("lena")
    tab.page.get_by_label("Why", exact=True).fill("Largest saving, certified")
    tab.page.get_by_role("button", name="Put in force").click()
    expect(tab.page.get_by_text("is in force for 10% of its calls")).to_be_visible()
    shot("lead-4-canary")
    applied = current(collector)
    assert (applied.version, applied.who) == (before.version + 1, "lena")
    assert any(rule.to == "claude-haiku-5-5" and rule.share == 0.1 for rule in policy.parse(applied.text).rules)


def test_the_engineer_finds_a_failed_call_and_rolls_back(tab: Tab, collector: Collector, shot: Shot) -> None:
    """The rule on live traffic, a failed call in its trace with what each step cost, and the rule taken out."""
    tab.open("verify")
    expect(tab.page.get_by_role("heading", name="ticket-triage-")).to_be_visible()
    shot("engineer-1-rule")

    failed = collector.store.sql(
        "SELECT trace_id, span_id FROM llm_calls WHERE error_type IS NOT NULL AND rule_id IS NOT NULL LIMIT 1"
    ).to_pylist()[0]
    tab.open(f"traces?trace={failed['trace_id']}")
    expect(tab.page.get_by_role("heading", name="Waterfall")).to_be_visible()
    bars = tab.page.locator("[data-testid=stVegaLiteChart] path[aria-roledescription=bar]")
    expect(bars).not_to_have_count(0)
    shot("engineer-2-trace")

    tab.open("recommendations?show=In+force")
    card = tab.page.locator(f".st-key-card_{populated.TRIAGE_ID}")
    card.get_by_role("button", name="Roll back").click()
    tab.page.get_by_label("Who", exact=True).fill("enno")
    tab.page.get_by_role("dialog").get_by_role("button", name="Roll back").click()
    expect(tab.page.get_by_text("is rolled back: policy version")).to_be_visible()
    shot("engineer-3-rolled-back")
    states = {item["id"]: item["state"] for item in collector.store.recommendations()}
    assert states[populated.TRIAGE_ID] == "rolled_back"


def test_the_on_call_switches_everything_off_from_a_phone(phone: Tab, collector: Collector, tmp_path: Path) -> None:
    """On a phone the switch is found, asks once, and is thrown; every page says so."""
    phone.open("policy")
    switch = phone.page.get_by_role("button", name="Switch routing off")
    switch.scroll_into_view_if_needed()
    phone.page.screenshot(path=tmp_path / "on-call-1-policy.png")
    box = switch.bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 390
    switch.tap()
    phone.settle()

    phone.page.get_by_role("button", name="Switch off now").tap()

    expect(phone.page.get_by_text("Routing is switched off").first).to_be_visible()
    phone.page.screenshot(path=tmp_path / "on-call-2-off.png")
    assert policy.parse(current(collector).text).mode == "off"
    phone.open("budgets")
    expect(phone.page.get_by_text("Routing is switched off").first).to_be_visible()
