from __future__ import annotations

from datetime import UTC, datetime

from tierwise.reports.recommendation_rows import recommendation_rows


def test_a_row_is_flat() -> None:
    """Bounds become columns; what there is not enough data for is empty."""
    stored = {
        "id": "rec_1", "state": "candidate", "target": "gpt-6-luna", "monthly_calls": None, "monthly_spend_usd": "12.5",
        "scope": {
            "use_case_id": "uc_1", "use_case_name": None, "task_type": "extraction", "provider": "openai",
            "request_model": "gpt-6.1-sol",
        },
        "monthly_saving": {"value": 5.0, "low": 4.0, "high": 6.0},
        "certificate": {"kind": "not_enough_data", "n": 0, "needed": 1},
        "pair_count": 0, "evaluation": None, "evaluation_source": None, "missing": ["pairs", "time"],
        "as_of": "2026-11-24", "price_version": "list 1", "updated_at": datetime(2026, 11, 24, tzinfo=UTC),
    }  # fmt: skip

    (row,) = recommendation_rows([stored])

    assert (row["monthly_saving_usd_low"], row["monthly_saving_usd"], row["monthly_saving_usd_high"]) == (4.0, 5.0, 6.0)
    assert (row["retention"], row["retention_low"]) == (None, None)
    assert (row["missing"], row["monthly_spend_usd"]) == ("pairs; time", 12.5)
