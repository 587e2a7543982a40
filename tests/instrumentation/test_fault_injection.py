from __future__ import annotations

from collections import Counter
from collections.abc import Generator

import pytest
from call_surfaces import SURFACES
from fault_injection import Target
from fault_trials import CARRIERS, CASES, PLAIN, Case, Trials

TRIALS_OF_A_FUNCTION = 2
EDGES = ("calls:", "streams:", "bodies:", "observation:Observation.finish", "observation:BeingMade")
"""Modules whose functions are called right beside the SDK's; they are tried wherever they run."""

SYNC = tuple(case for case in CASES if not case.surface.is_async)
ASYNC = tuple(case for case in CASES if case.surface.is_async and case.surface.name.removeprefix("async ") in PLAIN)


@pytest.fixture(scope="module")
def trials() -> Generator[Trials]:
    with Trials() as running:
        yield running


@pytest.fixture(scope="module")
def plan(trials: Trials) -> dict[Case, list[Target]]:
    """What to try where: each function on a few of the cases that run it. `benchmarks/faults.py` tries all on all."""
    times: Counter[Target] = Counter()
    planned: dict[Case, list[Target]] = {}
    for case in SYNC + ASYNC:
        planned[case] = []
        for target in trials.functions_called(case):
            is_edge = target.name.removeprefix("instrumentation.").startswith(EDGES) and not case.surface.is_async
            if is_edge or times[target] < TRIALS_OF_A_FUNCTION:
                times[target] += 1
                planned[case].append(target)
    return planned


def named(cases: tuple[Case, ...]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        "case", cases, ids=[case.name.replace(", ", "-").replace(" ", "_") for case in cases]
    )


@named(CASES)
def test_the_caller_sees_the_sdk(case: Case, trials: Trials) -> None:
    """With everything switched on, the caller gets what the SDK alone gives: answers, chunks, errors and types."""
    assert trials.observed(case) == trials.bare(case)


@named(SYNC + ASYNC)
def test_our_errors_stay_ours(case: Case, trials: Trials, plan: dict[Case, list[Target]]) -> None:
    """Whichever function of ours raises, and wherever, the caller gets what the SDK alone gives."""
    run = [trials.attempt(case, target) for target in plan[case]]

    assert [trial.target.name for trial in run if not trial.is_identical] == []
    # What a background thread is in the middle of goes on with the code it has.
    assert len([trial.target.name for trial in run if not trial.raised]) <= 1 + 0.1 * len(run)


def test_every_function_has_its_turn(plan: dict[Case, list[Target]]) -> None:
    """A trial runs the functions that read requests, decide, watch streams, price, and record."""
    tried = {target.name for targets in plan.values() for target in targets}

    assert len(tried) > 200
    assert {
        "instrumentation.request:read_outgoing",
        "routing.decide:decide",
        "routing.compat:adapt",
        "instrumentation.streams:StreamWatch.end",
        "instrumentation.observation:Observation.fell_back",
        "instrumentation.shadow_call:_make",
        "tasks.infer:infer",
        "attributes:to_attributes",
        "evaluations:schedule",
    } <= tried


def test_what_carries_the_call_is_named(trials: Trials) -> None:
    """Functions that cannot be skipped are those that stand in for the SDK's, and every one of them still exists."""
    assert {target.name for target in trials.functions.targets()} >= CARRIERS


@pytest.mark.parametrize("name", sorted(CARRIERS & {"instrumentation.calls:call", "instrumentation.bodies:_pieces"}))
def test_a_fault_would_be_noticed(name: str, trials: Trials) -> None:
    """A function that carries the call and raises does reach the caller, so the trials above can fail."""
    (case,) = [case for case in SYNC if (case.surface.name, case.models) == ("chat raw stream", "routed")]
    (carrier,) = [target for target in trials.functions.targets() if target.name == name]

    trial = trials.attempt(case, carrier)

    assert trial.raised
    assert not trial.is_identical


@pytest.mark.parametrize(
    ("surface", "name"),
    [
        ("chat", "instrumentation.request:read_outgoing"),
        ("chat", "instrumentation.openai:_read_chat"),
        ("chat stream", "instrumentation.openai:ChatAccumulator.add"),
        ("messages stream", "instrumentation.streams:StreamWatch.end"),
        ("chat raw stream", "instrumentation.bodies:EventReader.feed"),
    ],
)
def test_an_interrupt_is_the_users(surface: str, name: str, trials: Trials) -> None:
    """Ctrl-C that arrives while a function of ours runs stops the program, as it would anywhere else."""
    (case,) = [case for case in SYNC if (case.surface.name, case.models) == (surface, "routed")]
    (target,) = [target for target in trials.functions.targets() if target.name == name]

    trial = trials.attempt(case, target, KeyboardInterrupt)

    assert trial.raised
    assert "KeyboardInterrupt" in str(trial.saw)


def test_surfaces_have_names_of_their_own() -> None:
    """No surface hides another in the report."""
    assert len({surface.name for surface in SURFACES}) == len(SURFACES)
