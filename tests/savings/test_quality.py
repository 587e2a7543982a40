from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from tierwise.evidence.estimate import NotEnoughData
from tierwise.evidence.retention import Certificate
from tierwise.savings.pairs import read_pairs
from tierwise.savings.quality import certificate, scored_pairs

if TYPE_CHECKING:
    from conftest import Worlds


def evaluated(table: pa.Table, name: str, source: str) -> pa.Table:
    for column, value in (("evaluation_name", name), ("evaluation_source", source)):
        table = table.set_column(table.column_names.index(column), column, pa.array([value] * len(table)))
    return table


def test_the_most_trusted_source_with_enough_pairs_counts(worlds: Worlds) -> None:
    """People before judges before checks, as soon as they scored 30 pairs."""
    pairs = worlds.make(1).pairs
    checks = evaluated(pairs, "exact", "check")

    enough = scored_pairs(read_pairs(pa.concat_tables([checks, evaluated(pairs.slice(0, 30), "review", "human")])))
    too_few = scored_pairs(read_pairs(pa.concat_tables([checks, evaluated(pairs.slice(0, 29), "review", "human")])))

    assert enough is not None
    assert (enough.source, enough.evaluation, len(enough.pairs)) == ("human", "review", 30)
    assert too_few is not None
    assert (too_few.source, len(too_few.pairs)) == ("check", len(pairs))


def test_of_one_source_the_largest_evaluation_counts(worlds: Worlds) -> None:
    """Among checks the one that scored most pairs is taken, not the one with the best scores."""
    pairs = worlds.make(2).pairs
    both = pa.concat_tables([evaluated(pairs, "many", "check"), evaluated(pairs.slice(0, 40), "few", "check")])

    found = scored_pairs(read_pairs(both))

    assert found is not None
    assert found.evaluation == "many"
    assert len(found.rows) == len(found.pairs) == len(pairs)


def test_feedback_is_no_evidence(worlds: Worlds) -> None:
    """Scores that anybody may give do not count, nor do rows with only one score."""
    pairs = worlds.make(3, conversations=40).pairs
    one_sided = pairs.set_column(
        pairs.column_names.index("weak_score"), "weak_score", pa.nulls(len(pairs), pa.float64())
    )

    assert scored_pairs(read_pairs(evaluated(pairs, "thumbs", "feedback"))) is None
    assert scored_pairs(read_pairs(one_sided)) is None


def test_no_scores_prove_nothing(worlds: Worlds) -> None:
    """Without scored pairs there is no certificate, with them one over conversations."""
    found = certificate(scored_pairs(read_pairs(worlds.make(4).pairs)))

    assert isinstance(certificate(None), NotEnoughData)
    assert isinstance(found, Certificate)
    assert found.effective_n < found.n
