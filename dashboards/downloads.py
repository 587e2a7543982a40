"""The rows behind a table or chart as a file, made when it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import connection
import pyarrow as pa
import streamlit as st

from tierwise.reports.table_files import MIME_TYPES, encoded, table_of

FORMATS = {"csv": "CSV", "json": "JSON", "parquet": "Parquet"}


def menu(
    rows: pa.Table | Sequence[Mapping[str, Any]], name: str, *, focus: connection.Parameters | None = None
) -> None:
    """Draw the button that opens the choice of formats.

    Args:
        rows: what is downloaded.
        name: of the file, after `tierwise-`; unique on the page.
        focus: parameters of the costs that FOCUS columns are offered for, too; None: they are not.
    """
    with st.popover("Download", icon=":material/download:", type="tertiary", key=f"download_{name}"):
        if not len(rows):
            st.caption("There is nothing to download.")
            return
        for form, label in FORMATS.items():
            _button(label, lambda form=form: encoded(_table(rows), form), f"{name}.{form}", MIME_TYPES[form])
        if focus is not None:
            _button(
                "FOCUS costs (CSV)",
                lambda: encoded(connection.store().query("focus_costs", **focus), "csv"),
                "focus.csv",
                MIME_TYPES["csv"],
            )


def _button(label: str, make: Callable[[], bytes], file_name: str, mime: str) -> None:
    st.download_button(
        label,
        make,
        file_name=f"tierwise-{file_name}",
        mime=mime,
        key=f"download_{file_name}",
        on_click="ignore",
        type="tertiary",
        width="stretch",
    )


def _table(rows: pa.Table | Sequence[Mapping[str, Any]]) -> pa.Table:
    return rows if isinstance(rows, pa.Table) else table_of(rows)
