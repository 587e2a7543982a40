from __future__ import annotations

from typing import TYPE_CHECKING

from tierwise.evidence.estimate import Estimate
from tierwise.evidence.retention import Certificate

if TYPE_CHECKING:
    from recommend.levers.conftest import Shop


def test_a_model_as_good_everywhere_is_changed_outright(shop: Shop) -> None:
    """Certified over all use cases and weak in none: change the name in the code, with the saving of all its calls."""
    shop.fill(conversations=600, pair_share=0.4, use_cases=2)

    (lever,) = shop.levers("change_outright")

    assert isinstance(lever.certificate, Certificate)
    assert lever.certificate.certified
    assert lever.action.startswith("ask for claude-haiku-5-5")
    assert isinstance(lever.window_saving, Estimate)
    assert lever.calls == shop.one("SELECT count(*) FROM llm_calls WHERE shadow_of_span_id IS NULL")
    assert "100% of the spend" in lever.findings[1]
    shop.holds_its_sql(lever)


def test_one_weak_use_case_speaks_against_it(shop: Shop) -> None:
    """A use case that is too weak on its own is named, and the model is not to be changed as a whole."""
    shop.fill(conversations=900, pair_share=0.5, use_cases=3)
    shop.sql("""
        UPDATE evaluations SET score = 0
        FROM (SELECT span_id AS id FROM llm_calls WHERE shadow_of_span_id IS NOT NULL AND use_case_id = 'uc_1')
        WHERE span_id = id
    """)

    (lever,) = shop.levers("change_outright")

    assert lever.action.startswith("do not change the model as a whole")
    assert any("too weak on its own in uc_1" in line for line in lever.findings)


def test_without_pairs_nothing_is_said(shop: Shop) -> None:
    """No comparison, no advice."""
    shop.fill(pair_share=0.0)

    assert shop.levers("change_outright") == []
