"""What axe-core finds on every page, light and dark."""

from __future__ import annotations

import gzip
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tab import Tab

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
_AXE = gzip.decompress((Path(__file__).parent / "axe" / "axe-core-4.14.1.min.js.gz").read_bytes()).decode()
_RUN = """async () => {
    const found = await axe.run(document, {resultTypes: ["violations"]});
    return found.violations
        .filter(rule => ["serious", "critical"].includes(rule.impact))
        .flatMap(rule => rule.nodes.map(
            node => ({rule: rule.id, html: node.html.slice(0, 300), target: node.target.flat().join(" ")})
        ));
}"""
STREAMLITS_OWN = (
    # The sparkline of st.metric: the mark of its highlighted point, empty until a pointer is over it, has no name.
    ("svg-img-alt", "highlighted_points_marks"),
)
"""(rule, part of the target) of what Streamlit 1.67 itself draws so, one by one."""
_LATEST_S = 20.0


def violations(tab: Tab) -> list[dict[str, Any]]:
    """What is found once the page has come to rest: elements that fade in stand out from nothing."""
    tab.page.evaluate(_AXE)
    deadline = time.monotonic() + _LATEST_S
    while found := [item for item in tab.page.evaluate(_RUN) if not _streamlits_own(item)]:
        if time.monotonic() > deadline:
            break
        tab.page.wait_for_timeout(250)
    return found


def _streamlits_own(item: dict[str, Any]) -> bool:
    return any(item["rule"] == rule and part in item["target"] for rule, part in STREAMLITS_OWN)


@pytest.mark.parametrize("path", PAGES)
def test_no_serious_violation(path: str, tab: Tab) -> None:
    """A page can be read with a screen reader, and its text stands out from what is behind it, light and dark."""
    tab.page.emulate_media(color_scheme="light")
    tab.open(path)
    assert violations(tab) == []

    tab.page.emulate_media(color_scheme="dark")
    tab.open(path)

    assert in_the_dark(tab)
    assert violations(tab) == []


def in_the_dark(tab: Tab) -> bool:
    """Whether the page is drawn light on dark."""
    background = "getComputedStyle(document.querySelector('[data-testid=stApp]')).backgroundColor"
    red, green, blue, *_ = (float(part) for part in re.findall(r"[\d.]+", tab.page.evaluate(background)))
    return red + green + blue < 3 * 128
