from __future__ import annotations

from tierwise.routing.breaker import Breaker


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def _failing(breaker: Breaker, clock: Clock, times: int, every_s: float) -> list[bool]:
    tripped: list[bool] = []
    for _ in range(times):
        tripped.append(breaker.note_failure("r"))
        clock.now += every_s
    return tripped


def test_enough_failures_in_the_window_suspend_the_rule():
    """The last of them trips the breaker, and only for that rule."""
    clock = Clock()
    breaker = Breaker(failures=3, window_s=10, pause_s=100, clock=clock)

    assert _failing(breaker, clock, 3, every_s=1) == [False, False, True]

    assert breaker.suspended() == {"r"}


def test_failures_spread_out_do_not_count_together():
    """A failure now and then is no reason to stop."""
    clock = Clock()
    breaker = Breaker(failures=3, window_s=10, pause_s=100, clock=clock)

    assert _failing(breaker, clock, 20, every_s=6) == [False] * 20

    assert breaker.suspended() == frozenset()


def test_failures_that_are_few_among_the_answers_suspend_nothing():
    """A busy rule whose target fails once in a while goes on; the rule's own limit counts where it has one."""
    clock = Clock()
    breaker = Breaker(failures=3, window_s=10, pause_s=100, clock=clock)

    def rounds(rule_id: str, limit: float | None) -> list[bool]:
        tripped: list[bool] = []
        for _ in range(6):
            tripped.append(breaker.note_failure(rule_id, limit))
            for _ in range(9):
                breaker.note_answer(rule_id)
        return tripped

    assert not any(rounds("default", None))
    assert not any(rounds("lenient", 0.5))
    assert rounds("strict", 0.05)[:3] == [False, False, True]
    assert breaker.suspended() == {"strict"}


def test_after_the_pause_the_rule_is_tried_with_a_clean_count():
    """The suspension ends by itself; as many failures as before are needed to begin another."""
    clock = Clock()
    breaker = Breaker(failures=2, window_s=10, pause_s=100, clock=clock)
    _failing(breaker, clock, 2, every_s=0)

    clock.now += 99.9
    assert breaker.suspended() == {"r"}
    clock.now += 0.1

    assert breaker.suspended() == frozenset()
    assert breaker.note_failure("r") is False
    assert breaker.note_failure("r") is True
