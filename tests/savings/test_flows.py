from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tierwise.routing.policy import parse
from tierwise.savings.flows import flows
from tierwise.savings.traffic import read_traffic

if TYPE_CHECKING:
    from conftest import Worlds

HALF = """
version = 1
mode = "enforce"
[[rule]]
id = "half"
kind = "route"
when = {{ request_model = ["{model}"] }}
to = "tiny"
share = 0.5
holdout = 0.2
allow_unknown_target = true
"""


def test_without_a_rule_calls_stay(worlds: Worlds) -> None:
    """Every call goes to the model it asks for, and the flows hold all that was billed."""
    traffic = read_traffic(worlds.make(1).calls)

    found = flows(parse('version = 1\nmode = "enforce"'), traffic)

    assert all(flow.model == flow.requested_model for flow in found)
    assert sum(flow.calls for flow in found) == pytest.approx(traffic.count())
    assert sum(flow.billed_usd for flow in found) == pytest.approx(float(traffic.total_usd()))


def test_a_share_of_the_calls_moves(worlds: Worlds) -> None:
    """Half of what the holdout leaves goes to the target, in expectation; nothing is lost on the way."""
    traffic = read_traffic(worlds.make(1).calls)
    model = traffic.requested_model[0]

    found = flows(parse(HALF.format(model=model)), traffic)

    by_models = {(flow.requested_model, flow.model): flow for flow in found}
    moved, asked = by_models[model or "", "tiny"], traffic.requested_model.equal(model)
    assert moved.calls == pytest.approx(0.4 * traffic.calls[asked].sum())
    assert sum(flow.calls for flow in found) == pytest.approx(traffic.count())
    assert sum(flow.billed_usd for flow in found) == pytest.approx(float(traffic.total_usd()))
