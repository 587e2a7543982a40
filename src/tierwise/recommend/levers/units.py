"""Rows of the levers' queries by use case, and their amounts by group of conversations."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from tierwise.recommend.levers.lever import View
from tierwise.savings.traffic import Floats

UNITS = 400
"""Groups that conversations are dealt into."""

Key = tuple[str, str, str]
"""Provider, model sent, use case."""


def by_use_case(table: pa.Table) -> dict[Key, list[dict[str, Any]]]:
    """The rows of each use case."""
    found: dict[Key, list[dict[str, Any]]] = {}
    for row in table.to_pylist():
        found.setdefault((row["provider"], row["request_model"], row["use_case_id"]), []).append(row)
    return found


def spend_of(view: View) -> dict[Key, dict[str, Any]]:
    """The row of `lever_use_cases` of each use case that has cost something."""
    table = view.rows_of("lever_use_cases")
    return {
        (row["provider"], row["request_model"], row["use_case_id"]): row
        for row in table.to_pylist()
        if row["use_case_id"] is not None and row["spend_usd"]
    }


def amounts(rows: list[dict[str, Any]], name: str, *, conversations: int) -> Floats:
    """The amounts of a column by group of conversations: 0 in those that have no row."""
    values = np.zeros(max(min(conversations, UNITS), len(rows)))
    values[: len(rows)] = [row[name] for row in rows]
    return values
