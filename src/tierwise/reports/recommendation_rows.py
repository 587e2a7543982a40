"""Recommendations as flat rows, one each, for spreadsheets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def recommendation_rows(stored: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One row a recommendation as `Store.recommendations()` gives it."""
    return [
        {
            "id": item["id"],
            "state": item["state"],
            **{name: item["scope"][name] for name in ("use_case_id", "use_case_name", "task_type", "provider")},
            "request_model": item["scope"]["request_model"],
            "target": item["target"],
            "monthly_calls": item["monthly_calls"],
            "monthly_spend_usd": None if item["monthly_spend_usd"] is None else float(item["monthly_spend_usd"]),
            **_figure("monthly_saving_usd", item["monthly_saving"]),
            **_figure("retention", item["certificate"]),
            "pairs": item["pair_count"],
            "evaluation": item["evaluation"],
            "evaluation_source": item["evaluation_source"],
            "missing": "; ".join(item["missing"]),
            "as_of": item["as_of"],
            "price_version": item["price_version"],
            "updated_at": item["updated_at"].isoformat(),
        }
        for item in stored
    ]


def _figure(name: str, figure: Mapping[str, Any]) -> dict[str, Any]:
    """Value and bounds of a stored estimate or certificate; None each when there is not enough data."""
    return {f"{name}{ending}": figure.get(key) for ending, key in (("", "value"), ("_low", "low"), ("_high", "high"))}
