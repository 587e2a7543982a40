"""What the library makes of the stored calls, cached like every other read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Generic, TypeVar

import connection
import pyarrow as pa
import streamlit as st
from filters import Filters

from tierwise import prices
from tierwise.alerts import Checked, check
from tierwise.evidence.estimate import Estimate, NotEnoughData
from tierwise.price_overrides import Rates
from tierwise.recommend import Recommendation
from tierwise.recommend.guards import Trip, tripped
from tierwise.recommend.levers import Lever
from tierwise.recommend.recommendation import DECIDED
from tierwise.recommend.step_ups import StepUp, step_ups
from tierwise.recommend.verify import Verification, verify
from tierwise.routing import policy
from tierwise.routing.policy import Policy
from tierwise.savings.cells import read_cells
from tierwise.savings.flows import Flow, flows
from tierwise.savings.rates import PriceOverrides
from tierwise.savings.simulate import Simulation, WhatIf, shifted, simulate
from tierwise.savings.traffic import Traffic
from tierwise.store import Store
from tierwise.tariffs import times

SEED = 20_261_124
"""Of every draw: the same question gets the same answer, on every redraw and for every reader."""
TTL_S = 30
"""How old a verification or a look at budgets may be."""
SLOW_TTL_S = 300
"""How old a simulation may be while the number of calls stays about the same."""

_Parameters = tuple[tuple[str, Any], ...]


Item = TypeVar("Item", Recommendation, Lever)


@dataclass(frozen=True, slots=True)
class Stored(Generic[Item]):
    """A recommendation or a lever, and when it last changed."""

    item: Item
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Watched:
    """What is due for the rules in force."""

    step_ups: list[StepUp]
    """The next share of each rule that has one."""
    trips: list[Trip]
    """Rules that have passed a limit of their guard and are in force still."""


def forget() -> None:
    """Drop what depends on the policy in force, on budgets or on use cases, all of which a write may have changed."""
    _verifications.clear()
    _checked.clear()
    _traffic.clear()
    _rows.clear()
    _simulation.clear()
    _flows.clear()
    _levers.clear()
    _recommended.clear()
    _watched.clear()


_AS_IT_IS = WhatIf()


def simulation(selected: Filters, proposed: Policy, what_if: WhatIf = _AS_IT_IS) -> Simulation:
    """What `proposed` would have cost on the selected traffic."""
    return _simulation(
        connection.source().url, _key(selected), policy.dump(proposed), what_if, _size(selected), connection.store()
    )


def scaled_prices(factors: Mapping[tuple[str, str], float]) -> PriceOverrides:
    """Today's prices of models, each times a factor, as what-if prices; models without a price are left out.

    The prices are those of a request of no size: what a model asks for long contexts is not scaled but left out.

    Args:
        factors: (provider, model) → factor above 0.
    """
    now_ns = int(datetime.now(UTC).timestamp()) * 1_000_000_000
    scaled: dict[tuple[str, str], Rates] = {}
    for (provider, model), factor in factors.items():
        rates = prices.rates(provider, model, input_tokens=0, at_ns=now_ns)
        if rates is not None:
            scaled[provider, model] = times(rates, Decimal(str(factor)))
    return scaled


def simulated_cost(simulated: Simulation) -> Estimate | NotEnoughData:
    """What the selected traffic would have cost, in USD."""
    if isinstance(simulated.saving, NotEnoughData):
        return simulated.saving
    return shifted(simulated.saving.scaled(-1.0), float(simulated.baseline_usd))


def verifications(selected: Filters) -> list[Verification]:
    """What each rule did since it was put in force, within the selected time."""
    return _verifications(connection.source().url, selected.since, connection.store())


def checked() -> Checked:
    """Budgets of the month, and what stands out now."""
    return _checked(connection.source().url, connection.store())


def flowing(selected: Filters, proposed: Policy) -> list[Flow]:
    """Which model's calls `proposed` would send to which, on the selected traffic."""
    return _flows(connection.source().url, _key(selected), policy.dump(proposed), _size(selected), connection.store())


def recommended() -> list[Stored[Recommendation]]:
    """Every recommendation as last worked out, in the state it is in, newest first."""
    return _recommended(connection.source().url, connection.store())


def levers() -> list[Stored[Lever]]:
    """Ways to save other than routing, of all traffic, as last worked out, in the state they are in, best first."""
    return _levers(connection.source().url, connection.store())


def watched() -> Watched:
    """What is due for the rules in force."""
    return _watched(connection.source().url, connection.store())


def _key(selected: Filters) -> _Parameters:
    return tuple(sorted(selected.parameters.items()))


# Read from JSON once: hundreds of them take a second. Nobody changes what is in them.
@st.cache_resource(ttl=connection.TTL_S, max_entries=4, show_spinner=False)
def _recommended(url: str, _store: Store) -> list[Stored[Recommendation]]:
    return [
        Stored(replace(Recommendation.from_dict(item), state=item["state"]), item["updated_at"])
        for item in connection.recommendations()
    ]


@st.cache_resource(ttl=SLOW_TTL_S, max_entries=4, show_spinner=False)
def _traffic(
    url: str, parameters: _Parameters, looked_at: str, size: float, _proposed: Policy, _store: Store
) -> Traffic:
    selection = dict(parameters)
    since = selection.pop("since") or datetime.fromtimestamp(0, UTC)
    return read_cells(_store, since=since, until=datetime.now(UTC), policy=_proposed, **selection).traffic


def _traffic_for(proposed: Policy, url: str, parameters: _Parameters, size: float, store: Store) -> Traffic:
    """The calls added up, kept apart by what the rules look at: policies that differ in their shares read it once."""
    looked_at = {
        repr((when.min_input_tokens, when.max_input_tokens, when.window, sorted(when.attributes)))
        for when in (rule.when for rule in proposed.rules)
    }
    return _traffic(url, parameters, "\n".join(sorted(looked_at)), size, proposed, store)


@st.cache_resource(ttl=SLOW_TTL_S, max_entries=8, show_spinner=False)
def _rows(url: str, query: str, parameters: _Parameters, size: float, _store: Store) -> pa.Table:
    return _store.query(query, **dict(parameters))


def _size(selected: Filters) -> float:
    """How many calls are selected, to two digits: what was worked out holds until there are noticeably more."""
    return float(f"{connection.row('overview_totals', selected.parameters)['calls']:.2g}")


@st.cache_data(ttl=SLOW_TTL_S, max_entries=32, show_spinner="Simulating on your traffic…", hash_funcs={WhatIf: repr})
def _simulation(
    url: str, parameters: _Parameters, policy_text: str, what_if: WhatIf, size: float, _store: Store
) -> Simulation:
    proposed = policy.parse(policy_text, origin="the proposed policy")
    return simulate(
        proposed,
        _traffic_for(proposed, url, parameters, size, _store),
        _rows(url, "pairs", parameters, size, _store),
        shadows=_rows(url, "shadows", parameters, size, _store),
        as_of=datetime.now(UTC),
        seed=SEED,
        what_if=what_if,
    )


@st.cache_data(ttl=TTL_S, max_entries=16, show_spinner="Measuring what the rules did…")
def _verifications(url: str, since: datetime | None, _store: Store) -> list[Verification]:
    return verify(_store, now=datetime.now(UTC), since=since, seed=SEED)


@st.cache_data(ttl=TTL_S, max_entries=4, show_spinner="Adding up the month…")
def _checked(url: str, _store: Store) -> Checked:
    return check(_store, now=datetime.now(UTC), seed=SEED)


@st.cache_data(ttl=SLOW_TTL_S, max_entries=16, show_spinner=False)
def _flows(url: str, parameters: _Parameters, policy_text: str, size: float, _store: Store) -> list[Flow]:
    proposed = policy.parse(policy_text, origin="the proposed policy")
    return flows(proposed, _traffic_for(proposed, url, parameters, size, _store))


@st.cache_resource(ttl=connection.TTL_S, max_entries=4, show_spinner=False)
def _levers(url: str, _store: Store) -> list[Stored[Lever]]:
    found = [
        Stored(replace(Lever.from_dict(item), state=item["state"]), item["updated_at"])
        for item in connection.recommendations("lever")
    ]
    newest = max((entry.item.as_of for entry in found), default=None)
    # What the last look did not find any more is gone, unless a person has decided about it.
    kept = [entry for entry in found if entry.item.state in DECIDED or entry.item.as_of == newest]
    return sorted(kept, key=lambda entry: _worst_last(entry.item))


def _worst_last(lever: Lever) -> tuple[bool, bool, float]:
    saving = lever.window_saving
    return isinstance(saving, NotEnoughData), lever.at_most, -(saving.low if isinstance(saving, Estimate) else 0.0)


@st.cache_data(ttl=TTL_S, max_entries=4, show_spinner="Looking at the rules in force…")
def _watched(url: str, _store: Store) -> Watched:
    now = datetime.now(UTC)
    return Watched(step_ups(_store, now=now), tripped(_store, now=now))
