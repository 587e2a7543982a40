from __future__ import annotations

import numpy as np
import pytest

from tierwise.evidence._inputs import cluster_codes, effective_size, numbers, scores, weights


def test_a_score_outside_the_unit_interval_is_refused_with_its_place_and_the_way_out():
    """A score outside [0, 1] raises a message with the value, the position and what to do."""
    with pytest.raises(ValueError, match=r"weak is 4\.0 at position 1; .*divide grades"):
        scores("weak", [0.5, 4.0])


def test_a_missing_number_is_refused():
    """NaN is not silently carried into a result."""
    with pytest.raises(ValueError, match="values is nan at position 0"):
        numbers("values", [float("nan")])


def test_a_table_is_refused():
    """A two-dimensional array is not flattened."""
    with pytest.raises(ValueError, match="shape"):
        numbers("values", [[1.0, 2.0]])


def test_weights_are_positive():
    """A weight of 0 is refused: such a pair could not have been sampled."""
    with pytest.raises(ValueError, match=r"weight is 0\.0 at position 1"):
        weights([1.0, 0.0], 2)


def test_no_weights_means_equal_weights():
    """None gives weight 1 to each row."""
    assert weights(None, 3).tolist() == [1.0, 1.0, 1.0]


def test_clusters_are_numbered_by_first_appearance():
    """Cluster ids of any kind become codes in the order in which they first appear."""
    code, clusters = cluster_codes(["b", "a", "b", "c"], 4)

    assert code.tolist() == [0, 1, 0, 2]
    assert clusters == 3


def test_a_cluster_id_per_row_is_required():
    """Too few cluster ids are refused."""
    with pytest.raises(ValueError, match="cluster has 1 rows where the others have 2"):
        cluster_codes(["a"], 2)


def test_effective_size_counts_equally_weighted_rows():
    """Equal weights count fully, one dominating weight counts as about one row, no rows as none."""
    assert effective_size(np.full(7, 3.0)) == pytest.approx(7.0)
    assert effective_size(np.array([1000.0, 1.0, 1.0])) == pytest.approx(1.0, abs=0.01)
    assert effective_size(np.zeros(0)) == 0.0
