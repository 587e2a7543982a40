"""A cascade: one model after the other, until an answer passes its checks or the requested model has spoken.

Each SDK call stands alone in its `try`, as does the reading of a stream's body, which is the HTTP client's work. A
stream that has to be checked is read to its end first; the HTTP client then gives the same bytes to the SDK's stream
object, which goes to the caller as the SDK made it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from tierwise.firewall import swallow
from tierwise.instrumentation import threads
from tierwise.instrumentation.attempts import NOTHING, Ladder, Rung
from tierwise.instrumentation.streams import hide_usage

SdkRequest = Callable[..., Any]
"""The SDK's own `request`, bound to the user's client."""


def call(ladder: Ladder, request: SdkRequest) -> Any:
    """Make a call through a sync client. What the requested model raises is raised."""
    while True:
        rung = None
        try:
            rung = ladder.next()
        except Exception as error:
            swallow("beginning an attempt", error)
        if rung is None:
            return request(*ladder.original.args, **ladder.original.kwargs)
        answer = obtain(rung, request)
        if answer is NOTHING:
            continue
        try:
            rung.hand_out(answer)
        except Exception as error:
            swallow("reading an answer", error)
            if rung.is_last and ladder.hides_usage:
                hide_usage(answer, is_async=False)
        return answer


async def call_async(ladder: Ladder, request: SdkRequest) -> Any:
    """Make a call through an async client. What the requested model raises is raised."""
    while True:
        rung = None
        try:
            rung = ladder.next()
        except Exception as error:
            swallow("beginning an attempt", error)
        if rung is None:
            return await request(*ladder.original.args, **ladder.original.kwargs)
        answer = await obtain_async(rung, request)
        if answer is NOTHING:
            continue
        try:
            rung.hand_out(answer)
        except Exception as error:
            swallow("reading an answer", error)
            if rung.is_last and ladder.hides_usage:
                hide_usage(answer, is_async=True)
        return answer


# --- one attempt ------------------------------------------------------------------------------------------------------


def obtain(rung: Rung, request: SdkRequest) -> Any:
    """The answer of one attempt, or `NOTHING`; raises what the caller is to see."""
    arguments = None
    try:
        arguments = rung.enter()
    except Exception as error:
        swallow("preparing an attempt", error)
    if arguments is None:
        if not rung.is_last:
            return NOTHING
        arguments = rung.ladder.original
    try:
        answer = request(*arguments.args, **arguments.kwargs)
    except BaseException as error:
        try:
            rung.failed(error)
        except Exception as own_error:
            swallow("recording a failed attempt", own_error)
        if rung.is_last or not isinstance(error, Exception):
            raise
        return NOTHING
    body = None
    try:
        body = rung.leave(answer)
    except Exception as error:
        swallow("looking at an answer", error)
    if rung.is_last:
        return answer
    try:
        if body is not None:
            body.read()
    except BaseException as error:
        try:
            rung.failed(error)
        except Exception as own_error:
            swallow("recording a failed attempt", own_error)
        if not isinstance(error, Exception):
            raise
        return NOTHING
    found = NOTHING
    try:
        rung.read(answer)
        if rung.judge():
            while (sample := rung.next_sample()) is not None:
                obtain(sample, request)
            found = rung.settled()
    except Exception as error:
        swallow("checking an answer", error)
        try:
            rung.abandon()
        except Exception as own_error:
            swallow("recording a failed attempt", own_error)
    except BaseException as error:
        try:
            rung.failed(error)
        except Exception as own_error:
            swallow("recording a failed attempt", own_error)
        raise
    return found


async def obtain_async(rung: Rung, request: SdkRequest) -> Any:
    """The answer of one attempt, or `NOTHING`; raises what the caller is to see."""
    arguments = None
    try:
        arguments = rung.enter()
    except Exception as error:
        swallow("preparing an attempt", error)
    if arguments is None:
        if not rung.is_last:
            return NOTHING
        arguments = rung.ladder.original
    try:
        answer = await request(*arguments.args, **arguments.kwargs)
    except BaseException as error:
        try:
            rung.failed(error)
        except Exception as own_error:
            swallow("recording a failed attempt", own_error)
        if rung.is_last or not isinstance(error, Exception):
            raise
        return NOTHING
    body = None
    try:
        body = rung.leave(answer)
    except Exception as error:
        swallow("looking at an answer", error)
    if rung.is_last:
        return answer
    try:
        if body is not None:
            await body.aread()
    except BaseException as error:
        try:
            rung.failed(error)
        except Exception as own_error:
            swallow("recording a failed attempt", own_error)
        if not isinstance(error, Exception):
            raise
        return NOTHING
    found = NOTHING
    try:
        rung.read(answer)
        if await _off_the_loop(rung):
            while (sample := rung.next_sample()) is not None:
                await obtain_async(sample, request)
            found = rung.settled()
    except Exception as error:
        swallow("checking an answer", error)
        try:
            rung.abandon()
        except Exception as own_error:
            swallow("recording a failed attempt", own_error)
    except BaseException as error:
        try:
            rung.failed(error)
        except Exception as own_error:
            swallow("recording a failed attempt", own_error)
        raise
    return found


async def _off_the_loop(rung: Rung) -> bool:
    """`rung.judge()`, on a thread where it asks functions of the user's, which may take their time."""
    if not rung.asks_user:
        return rung.judge()
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        # Another async framework's loop.
        return rung.judge()
    done: asyncio.Future[bool] = loop.create_future()

    def settle(passes: bool) -> None:
        if not done.done():
            done.set_result(passes)

    def judge() -> None:
        passes = False
        try:
            passes = rung.judge()
        finally:
            loop.call_soon_threadsafe(settle, passes)

    if (slot := threads.take()) is None:
        return rung.judge()
    slot.run("checking an answer", judge)
    return await done
