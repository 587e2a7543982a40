"""How a test opens a page of the dashboard in this process."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from streamlit.testing.v1 import AppTest

APP = Path(__file__).parents[2] / "dashboards" / "app.py"


class OpenPage(Protocol):
    """Draws a page, by the name of its file, with the filters of a URL."""

    def __call__(self, page: str = "overview", **query: str | list[str]) -> AppTest: ...


def open_page(page: str = "overview", **query: str | list[str]) -> AppTest:
    """The page, drawn without an exception."""
    app = AppTest.from_file(str(APP), default_timeout=60)
    for key, value in query.items():
        app.query_params[key] = value
    app.switch_page(f"views/{page}.py")
    app.run()
    assert not app.exception, app.exception[0].value
    return app
