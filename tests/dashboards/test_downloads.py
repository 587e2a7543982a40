from __future__ import annotations

import io
import json

import downloads
import pyarrow as pa
from opening import OpenPage
from pyarrow import parquet
from streamlit.testing.v1 import AppTest

from tierwise.reports.table_files import encoded, table_of


def test_each_format_holds_the_rows() -> None:
    """CSV, JSON and Parquet of the same rows say the same."""
    rows = [{"model": "gpt", "usd": 0.5}, {"model": None, "usd": 1.0}]

    table = table_of(rows)

    assert encoded(table, "csv").decode() == "model,usd\ngpt,0.5\n,1.0\n"
    assert json.loads(encoded(table, "json")) == rows
    assert parquet.read_table(io.BytesIO(encoded(table, "parquet"))).to_pylist() == rows
    assert set(downloads.FORMATS) == {"csv", "json", "parquet"}


def test_nothing_to_download_is_said() -> None:
    """Without rows there is no file."""

    def page() -> None:
        import downloads as on_the_page
        import pyarrow

        on_the_page.menu(pyarrow.table({"a": []}), "nothing")

    app = AppTest.from_function(page).run()

    assert not app.exception
    assert [item.value for item in app.caption] == ["There is nothing to download."]
    assert pa.table({"a": []}).num_rows == 0


def test_tables_offer_every_format(populated_db: str, open_page: OpenPage) -> None:
    """Where a table is, its rows can be had, and costs in FOCUS columns beside use cases."""
    app = open_page("use_cases")

    labels = [button.proto.label for button in app.get("download_button")]
    assert {"CSV", "JSON", "Parquet", "FOCUS costs (CSV)"} <= set(labels)
