"""A browser tab that knows when Streamlit has finished drawing."""

from __future__ import annotations

from dataclasses import dataclass, field

from playwright.sync_api import Page, Request


@dataclass
class Tab:
    """One browser tab on the dashboard."""

    page: Page
    url: str
    external: list[str] = field(default_factory=list[str])
    """Requests to anybody but the dashboard."""

    def watch(self) -> None:
        self.page.on("request", self._note)

    def _note(self, request: Request) -> None:
        local = (self.url, self.url.replace("http", "ws", 1), "data:", "blob:")
        if not request.url.startswith(local):
            self.external.append(request.url)

    def open(self, path: str = "") -> None:
        """Go to a page of the dashboard and wait until it is drawn."""
        self.page.goto(f"{self.url}/{path}")
        self.page.wait_for_selector("h1")
        self.settle()

    def settle(self) -> None:
        """Wait until the page's script has run to its end."""
        self.page.wait_for_timeout(150)
        self.page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]")

    def click(self, name: str, *, exact: bool = True) -> None:
        """Press the first button of that name, and wait for what it does."""
        self.page.get_by_role("button", name=name, exact=exact).first.click()
        self.settle()

    @property
    def errors(self) -> list[str]:
        """What an exception box says, of which there should be none."""
        return self.page.get_by_test_id("stException").all_inner_texts()
