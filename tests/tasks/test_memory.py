from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from tierwise.tasks.memory import TaskMemory, Verdict

SURE = Verdict("math", None, 0.8)


def test_calls_that_agree_complete_a_ballot():
    """After the set number of calls their mean is given, and no earlier."""
    memory = TaskMemory(calls=2)

    assert memory.vote("uc_a", [0.9, 0.1]) is None
    assert memory.vote("uc_a", [0.7, 0.3]) == pytest.approx([0.8, 0.2])


def test_calls_that_disagree_start_again():
    """Unrelated prompts under one identifier never get one verdict."""
    memory = TaskMemory(calls=2, agreement=0.7)

    assert memory.vote("uc_a", [0.9, 0.1]) is None
    assert memory.vote("uc_a", [0.1, 0.9]) is None
    assert memory.vote("uc_a", [0.9, 0.1]) is None


def test_a_verdict_stands_once_settled():
    """What was settled is what the next call gets."""
    memory = TaskMemory()

    memory.settle("uc_a", SURE)

    assert memory.verdict("uc_a") == SURE
    assert memory.verdict("uc_b") is None


def test_the_oldest_verdict_goes_first():
    """Memory holds no more use cases than its capacity."""
    memory = TaskMemory(capacity=2)

    for name in ("uc_a", "uc_b", "uc_c"):
        memory.settle(name, SURE)

    assert memory.verdict("uc_a") is None
    assert memory.verdict("uc_c") == SURE


def test_the_oldest_ballot_goes_first():
    """A flood of one-off use cases cannot grow the memory."""
    memory = TaskMemory(calls=2, capacity=2)

    for name in ("uc_a", "uc_b", "uc_c"):
        memory.vote(name, [1.0, 0.0])

    assert memory.vote("uc_a", [1.0, 0.0]) is None
    assert memory.vote("uc_c", [1.0, 0.0]) == [1.0, 0.0]


def test_votes_from_many_threads_are_all_counted():
    """No vote is lost or counted twice: one ballot in ten completes."""
    memory = TaskMemory(calls=10)

    with ThreadPoolExecutor(8) as pool:
        completed = list(pool.map(lambda _: memory.vote("uc_a", [1.0, 0.0]), range(1_000)))

    assert sum(means is not None for means in completed) == 100


def test_clearing_forgets_everything():
    """After it a use case is as unknown as in a new process."""
    memory = TaskMemory(calls=2)
    memory.settle("uc_a", SURE)
    memory.vote("uc_b", [1.0, 0.0])

    memory.clear()

    assert memory.verdict("uc_a") is None
    assert memory.vote("uc_b", [1.0, 0.0]) is None
