"""A speculative rule: a cheaper model first and, when patience runs out, the requested model beside it.

The first acceptable answer goes to the caller: the cheaper model's when it passes its checks, or the requested model's.
Whichever comes second is stopped where that can be done, and paid for either way. When the cheaper model is done for
before patience runs out, the requested model is simply the next one of a cascade.

Async attempts are tasks of the caller's loop. Sync ones are daemon threads, since nothing else can leave a call that
blocks; one that is overtaken runs to its end in the background.
"""

from __future__ import annotations

import asyncio
import threading
import time
from queue import Empty, SimpleQueue
from typing import Any

from tierwise.firewall import firewall, swallow
from tierwise.instrumentation import cascade, threads
from tierwise.instrumentation.attempts import NOTHING, Ladder, Rung
from tierwise.instrumentation.cascade import SdkRequest, obtain, obtain_async
from tierwise.instrumentation.streams import hide_usage

_LOOK_AGAIN_S = 1.0
"""How often a caller that waits makes sure that somebody is still at work."""


def call(ladder: Ladder, request: SdkRequest) -> Any:
    """Make a call through a sync client. What the requested model raises is raised."""
    race = None
    try:
        race = Race(ladder, request)
        race.run()
    except Exception as error:
        swallow("speculating", error)
    except BaseException as error:
        try:
            if race is not None:
                race.leave(error)
        except Exception as own_error:
            swallow("speculating", own_error)
        raise
    if race is None or race.winner is None:
        return cascade.call(ladder, request)
    if race.error is not None:
        raise race.error
    if race.winner.is_last and ladder.hides_usage and not race.is_handed_out:
        hide_usage(race.answer, is_async=False)
    return race.answer


async def call_async(ladder: Ladder, request: SdkRequest) -> Any:
    """Make a call through an async client. What the requested model raises is raised."""
    race = None
    try:
        race = AsyncRace(ladder, request)
        await race.run()
    except Exception as error:
        swallow("speculating", error)
    except BaseException as error:
        try:
            if race is not None:
                race.leave(error)
        except Exception as own_error:
            swallow("speculating", own_error)
        raise
    if race is None or race.winner is None:
        return await cascade.call_async(ladder, request)
    if race.error is not None:
        raise race.error
    if race.winner.is_last and ladder.hides_usage and not race.is_handed_out:
        hide_usage(race.answer, is_async=True)
    return race.answer


class _Ending:
    """How a race ended. Without a winner the call goes on as a cascade."""

    def __init__(self, ladder: Ladder, request: SdkRequest) -> None:
        self.ladder = ladder
        self.request = request
        self.winner: Rung | None = None
        self.answer: Any = NOTHING
        self.error: BaseException | None = None
        """Of the requested model, when nobody has an answer."""
        self.is_handed_out = False
        self._failed: Rung | None = None

    def begin_second(self) -> Rung:
        """Begin the attempt of the requested model, because the first takes long."""
        ladder = self.ladder
        ladder.rejection = ("late", f"{ladder.models[0]} had no accepted answer within {ladder.patience_s:g} s")
        rung = ladder.next()
        rung.is_beside = True
        return rung

    def wins(self, rung: Rung, answer: Any) -> None:
        """This answer goes to the caller."""
        self.winner, self.answer = rung, answer
        with firewall("reading an answer"):
            rung.hand_out(answer)
            self.is_handed_out = True
        if self._failed is not None and self.error is not None:
            self._failed.erred(self.error, is_callers=False)
        self.error = None

    def fails(self, rung: Rung, error: BaseException) -> None:
        """The requested model has no answer: its error goes to the caller, unless the cheaper one has an answer yet."""
        self._failed, self.error = rung, error

    def ends(self) -> None:
        """Nobody is left."""
        if self._failed is not None and self.error is not None:
            self.winner = self._failed
            self._failed.erred(self.error, is_callers=True)


# --- threads ----------------------------------------------------------------------------------------------------------


class Contender:
    """One attempt on a thread of its own. Its end is told once: to the race, or to nobody who still waits."""

    def __init__(self, rung: Rung, request: SdkRequest, ended: SimpleQueue[Contender], slot: threads.Slot) -> None:
        self.rung = rung
        self.answer: Any = NOTHING
        self.error: BaseException | None = None
        self._request = request
        self._ended = ended
        self._lock = threading.Lock()
        self._has_ended = False
        self.thread = slot.run("a speculative call", self._work)

    def _work(self) -> None:
        try:
            self.answer = obtain(self.rung, self._request)
        except BaseException as error:
            self.error = error
        with self._lock:
            self._has_ended = True
            is_overtaken = self.rung.is_overtaken
        if is_overtaken:
            self._discard()
        else:
            self._ended.put(self)

    def overtake(self) -> None:
        """Another attempt's answer goes to the caller."""
        with self._lock:
            self.rung.is_overtaken = True
            has_ended = self._has_ended
        if has_ended:
            self._discard()

    def _discard(self) -> None:
        response = None
        with firewall("recording an attempt that was overtaken"):
            response = self.rung.discard(self.answer)
        if response is not None:
            with firewall("closing a response that was overtaken"):
                response.close()


class Race(_Ending):
    """Two attempts of a sync client."""

    def __init__(self, ladder: Ladder, request: SdkRequest) -> None:
        super().__init__(ladder, request)
        self._ended: SimpleQueue[Contender] = SimpleQueue()
        self._running: list[Contender] = []

    def run(self) -> None:
        """Race until an answer can be handed out, or nobody is left who could have one."""
        if (slot := threads.take()) is None:
            return
        self._running.append(Contender(self.ladder.next(), self.request, self._ended, slot))
        ended = self._next(self.ladder.patience_s)
        if ended is None and self._is_anyone_at_work() and (slot := threads.take()) is not None:
            self._running.append(Contender(self.begin_second(), self.request, self._ended, slot))
        while ended is not None or (ended := self._next()) is not None:
            if ended.answer is not NOTHING:
                self.wins(ended.rung, ended.answer)
                self._running.remove(ended)
                self.leave()
                return
            self._running.remove(ended)
            if ended.error is not None and ended.rung.is_last:
                self.fails(ended.rung, ended.error)
            ended = None
        self.ends()

    def leave(self, stopped_by: BaseException | None = None) -> None:
        """Let those still at work end by themselves."""
        for contender in self._running:
            if stopped_by is not None and contender is self._running[0]:
                contender.rung.stopped(stopped_by)
            contender.overtake()

    def _next(self, within_s: float | None = None) -> Contender | None:
        """Whoever ends next; None when nobody does within this time, or is left."""
        until_s = None if within_s is None else time.monotonic() + within_s
        while self._running:
            left_s = _LOOK_AGAIN_S if until_s is None else min(_LOOK_AGAIN_S, until_s - time.monotonic())
            was_at_work = self._is_anyone_at_work()
            try:
                return self._ended.get(timeout=max(left_s, 0.0))
            except Empty:
                if left_s <= 0 or not was_at_work:
                    return None
        return None

    def _is_anyone_at_work(self) -> bool:
        return any(contender.thread.is_alive() for contender in self._running)


# --- tasks ------------------------------------------------------------------------------------------------------------

_tasks: set[asyncio.Task[Any]] = set()
"""Of attempts that were overtaken; a loop itself holds its tasks weakly."""


class AsyncContender:
    """One attempt as a task of its own."""

    def __init__(self, rung: Rung, request: SdkRequest) -> None:
        self.rung = rung
        self.task = asyncio.create_task(obtain_async(rung, request), name="tierwise: a speculative call")

    def overtake(self) -> None:
        """Another attempt's answer goes to the caller."""
        self.rung.is_overtaken = True
        _tasks.add(self.task)
        self.task.cancel()
        self.task.add_done_callback(self._discard)

    def _discard(self, task: asyncio.Task[Any]) -> None:
        _tasks.discard(task)
        if task.cancelled() or task.exception() is not None:
            return
        with firewall("recording an attempt that was overtaken"):
            if (response := self.rung.discard(task.result())) is not None:
                closing = task.get_loop().create_task(_close(response))
                _tasks.add(closing)
                closing.add_done_callback(_tasks.discard)


async def _close(response: Any) -> None:
    with firewall("closing a response that was overtaken"):
        await response.aclose()


class AsyncRace(_Ending):
    """Two attempts of an async client."""

    def __init__(self, ladder: Ladder, request: SdkRequest) -> None:
        super().__init__(ladder, request)
        self._running: list[AsyncContender] = []

    async def run(self) -> None:
        """Race until an answer can be handed out, or nobody is left who could have one."""
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            # Another async framework's loop, whose tasks are not ours to start.
            return
        first = AsyncContender(self.ladder.next(), self.request)
        self._running.append(first)
        ended, _ = await asyncio.wait({first.task}, timeout=self.ladder.patience_s)
        if not ended:
            self._running.append(AsyncContender(self.begin_second(), self.request))
        while self._running:
            ended, _ = await asyncio.wait(
                [contender.task for contender in self._running], return_when=asyncio.FIRST_COMPLETED
            )
            for contender in [contender for contender in self._running if contender.task in ended]:
                error = asyncio.CancelledError() if contender.task.cancelled() else contender.task.exception()
                if error is None and contender.task.result() is not NOTHING:
                    self.wins(contender.rung, contender.task.result())
                    self._running.remove(contender)
                    self.leave()
                    return
                self._running.remove(contender)
                if error is not None and contender.rung.is_last:
                    self.fails(contender.rung, error)
        self.ends()

    def leave(self, stopped_by: BaseException | None = None) -> None:
        """Stop those still at work."""
        for contender in self._running:
            if stopped_by is not None and contender is self._running[0]:
                contender.rung.stopped(stopped_by)
            contender.overtake()
