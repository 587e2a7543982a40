from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tierwise.evidence.estimate import Estimate
from tierwise.savings.pairs import read_pairs
from tierwise.savings.relocation import relocate
from tierwise.savings.traffic import read_traffic

if TYPE_CHECKING:
    from conftest import Worlds


def test_each_group_goes_to_its_model(worlds: Worlds) -> None:
    """Two groups, two models: each saves for itself, the rest stays, and the parts add up to the whole."""
    world = worlds.make(1, use_cases=3)
    traffic = read_traffic(world.calls)
    groups = [
        (traffic.use_case_id.equal(name).nonzero()[0], model)
        for name, model in (("uc_0", worlds.WEAK), ("uc_1", worlds.MIDDLE))
    ]

    found = relocate(traffic, groups, read_pairs(world.pairs), now=worlds.AS_OF, seed=1, draws=200)

    first, second, whole = found.saving(0), found.saving(1), found.saving()
    assert isinstance(first, Estimate)
    assert isinstance(second, Estimate)
    assert isinstance(whole, Estimate)
    assert np.isclose(first.value + second.value, whole.value)
    assert {move.to_model for move in found.plan} == {worlds.WEAK, worlds.MIDDLE}
    moved = np.concatenate([move.rows for move in found.plan])
    assert not traffic.use_case_id.equal("uc_2")[moved].any()


def test_the_saving_holds_the_truth(worlds: Worlds) -> None:
    """What moving everything really saves lies in the interval."""
    world = worlds.make(2)
    traffic = read_traffic(world.calls)

    found = relocate(
        traffic,
        [(np.arange(len(traffic)), worlds.WEAK)],
        read_pairs(world.pairs),
        now=worlds.AS_OF,
        seed=1,
    ).saving()

    assert isinstance(found, Estimate)
    assert found.low < world.saved_per_call * len(traffic) < found.high
