"""What the library makes of the stored calls, cached like every other read."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import connection
import streamlit as st
from filters import Filters

from tierwise.alerts import Checked, check
from tierwise.evidence.estimate import Estimate, NotEnoughData
from tierwise.recommend import Recommendation
from tierwise.recommend.levers import Lever, find_levers
from tierwise.recommend.verify import Verification, verify
from tierwise.routing import policy
from tierwise.routing.policy import Policy
from tierwise.savings.cells import fits, read_cells
from tierwise.savings.flows import Flow, flows
from tierwise.savings.simulate import Simulation, WhatIf, shifted, simulate
from tierwise.savings.traffic import Traffic, read_traffic
from tierwise.store import Store

SEED = 20_261_124
"""Of every draw: the same question gets the same answer, on every redraw and for every reader."""
TTL_S = 30
"""How old a simulation or a verification may be."""

_Parameters = tuple[tuple[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Stored:
    """A recommendation, and when it last changed."""

    item: Recommendation
    updated_at: datetime


def forget() -> None:
    """Drop what depends on the policy in force, on budgets or on use cases, all of which a write may have changed."""
    _verifications.clear()
    _checked.clear()
    _traffic.clear()
    _simulation.clear()
    _flows.clear()
    _levers.clear()
    _recommended.clear()


def simulation(selected: Filters, proposed: Policy, *, quality_floor: float | None) -> Simulation:
    """What `proposed` would have cost on the selected traffic."""
    return _simulation(
        connection.source().url, _key(selected), policy.dump(proposed), quality_floor, connection.store()
    )


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
    return _flows(connection.source().url, _key(selected), policy.dump(proposed), connection.store())


def recommended() -> list[Stored]:
    """Every recommendation as last worked out, in the state it is in, newest first."""
    return _recommended(connection.source().url, connection.store())


def levers() -> list[Lever]:
    """Ways to save other than routing, from the last 30 days of all traffic."""
    return _levers(connection.source().url, connection.store())


def _key(selected: Filters) -> _Parameters:
    return tuple(sorted(selected.parameters.items()))


# Read from JSON once: hundreds of them take a second. Nobody changes what is in them.
@st.cache_resource(ttl=connection.TTL_S, max_entries=4, show_spinner=False)
def _recommended(url: str, _store: Store) -> list[Stored]:
    return [
        Stored(replace(Recommendation.from_dict(item), state=item["state"]), item["updated_at"])
        for item in connection.recommendations()
    ]


@st.cache_resource(ttl=TTL_S, max_entries=4, show_spinner=False)
def _traffic(url: str, parameters: _Parameters, by_size: bool, _store: Store) -> Traffic:
    selection = dict(parameters)
    if by_size:
        return read_traffic(_store.query("savings_calls", **selection))
    since = selection.pop("since") or datetime.fromtimestamp(0, UTC)
    return read_cells(_store, since=since, until=datetime.now(UTC), detail=True, **selection).traffic


@st.cache_data(ttl=TTL_S, max_entries=32, show_spinner="Simulating on your traffic…")
def _simulation(
    url: str, parameters: _Parameters, policy_text: str, quality_floor: float | None, _store: Store
) -> Simulation:
    selection = dict(parameters)
    proposed = policy.parse(policy_text, origin="the proposed policy")
    return simulate(
        proposed,
        _traffic(url, parameters, not fits(proposed), _store),
        _store.query("pairs", **selection),
        shadows=_store.query("shadows", **selection),
        as_of=datetime.now(UTC),
        seed=SEED,
        what_if=WhatIf(quality_floor=quality_floor),
    )


@st.cache_data(ttl=TTL_S, max_entries=16, show_spinner="Measuring what the rules did…")
def _verifications(url: str, since: datetime | None, _store: Store) -> list[Verification]:
    return verify(_store, now=datetime.now(UTC), since=since, seed=SEED)


@st.cache_data(ttl=TTL_S, max_entries=4, show_spinner="Adding up the month…")
def _checked(url: str, _store: Store) -> Checked:
    return check(_store, now=datetime.now(UTC), seed=SEED)


@st.cache_data(ttl=TTL_S, max_entries=16, show_spinner=False)
def _flows(url: str, parameters: _Parameters, policy_text: str, _store: Store) -> list[Flow]:
    proposed = policy.parse(policy_text, origin="the proposed policy")
    return flows(proposed, _traffic(url, parameters, not fits(proposed), _store))


@st.cache_data(ttl=TTL_S, max_entries=2, show_spinner="Looking at what else the calls show…")
def _levers(url: str, _store: Store) -> list[Lever]:
    return find_levers(_store, now=datetime.now(UTC), seed=SEED)
