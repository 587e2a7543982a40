"""What can be done with a resource of an SDK, and what the caller gets from it, as plain data that can be compared.

Answers with their types and fields, chunks in order, exceptions with their chains.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from trial_provider import SAYS, Models, answer, scripted

from tierwise.testing import Fault, LoopbackProvider

Outcome = Any
"""What a caller saw, as plain data."""

# --- what a caller saw ------------------------------------------------------------------------------------------------


def seen(value: Any) -> Outcome:
    """What a caller sees of a value."""
    if isinstance(value, BaseException):
        return {
            "raised": _kind(value),
            "text": _without_ids(str(value)),
            "chain": [_kind(error) for error in _chain(value)],
        }
    if isinstance(value, list | tuple):
        return [seen(item) for item in value]
    if callable(dump := getattr(value, "model_dump", None)):
        return {"type": _kind(value), "fields": _without_ids(dump(warnings=False))}
    return {"type": _kind(value), "value": _without_ids(value)}


def _kind(value: object) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}"


def _chain(error: BaseException) -> Iterator[BaseException]:
    cause = error.__cause__ or error.__context__
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


def _without_ids(value: Any) -> str:
    # The provider numbers its answers, and a call that fell back gets its second.
    return re.sub(r"_?\b\w*?[-_]?0{6,}\d+\w*", "<id>", re.sub(r"127\.0\.0\.1:\d+", "<server>", repr(value)))


def raised_by(call: Callable[[], Any]) -> Outcome:
    """What a call raises; what it returns if it does not."""
    try:
        returned = call()
    except BaseException as error:  # noqa: BLE001 - the outcome is what it is, Ctrl-C included
        return seen(error)
    return {"returned": seen(returned)}


# --- ways of calling --------------------------------------------------------------------------------------------------


class Way:
    """One thing to do with a resource, by sync and async clients."""

    def __init__(self, resource: str, arguments: Callable[[Models], dict[str, Any]], **more: Any) -> None:
        self.resource = resource
        self.arguments = lambda models: {**arguments(models), **more}

    def sync(self, resource: Any, arguments: Mapping[str, Any], provider: LoopbackProvider) -> Outcome:
        raise NotImplementedError

    async def asynchronous(self, resource: Any, arguments: Mapping[str, Any], provider: LoopbackProvider) -> Outcome:
        raise NotImplementedError


class Create(Way):
    """`create(…)`."""

    def sync(self, resource: Any, arguments: Mapping[str, Any], provider: LoopbackProvider) -> Outcome:
        return seen(resource.create(**arguments))

    async def asynchronous(self, resource: Any, arguments: Mapping[str, Any], provider: LoopbackProvider) -> Outcome:
        return seen(await resource.create(**arguments))


class Parse(Way):
    """`parse(…)`."""

    def sync(self, resource: Any, arguments: Mapping[str, Any], provider: LoopbackProvider) -> Outcome:
        return seen(resource.parse(**arguments))

    async def asynchronous(self, resource: Any, arguments: Mapping[str, Any], provider: LoopbackProvider) -> Outcome:
        return seen(await resource.parse(**arguments))


class Read(Way):
    """`create(…, stream=True)`, read to the end, closed, and read on."""

    def sync(self, resource: Any, arguments: Mapping[str, Any], provider: LoopbackProvider) -> Outcome:
        stream = resource.create(**arguments, stream=True)
        chunks = list(stream)
        stream.close()
        return [_kind(stream), *seen(chunks), seen(next(stream, "nothing more"))]

    async def asynchronous(self, resource: Any, arguments: Mapping[str, Any], provider: LoopbackProvider) -> Outcome:
        stream = await resource.create(**arguments, stream=True)
        chunks = [chunk async for chunk in stream]
        await stream.close()
        return [_kind(stream), *seen(chunks), seen(await anext(stream, "nothing more"))]


class Leave(Way):
    """`create(…, stream=True)`, left after two chunks: by closing, by its block, by letting go."""

    def sync(self, resource: Any, arguments: Mapping[str, Any], provider: LoopbackProvider) -> Outcome:
        closed = resource.create(**arguments, stream=True)
        outcome = [seen(next(closed)), seen(next(closed))]
        closed.close()
        with resource.create(**arguments, stream=True) as stream:
            outcome += [seen(next(stream)), seen(next(stream))]
        for chunk in resource.create(**arguments, stream=True):
            outcome.append(seen(chunk))
            break
        return [*outcome, closed.response.is_closed, stream.response.is_closed]

    async def asynchronous(self, resource: Any, arguments: Mapping[str, Any], provider: LoopbackProvider) -> Outcome:
        closed = await resource.create(**arguments, stream=True)
        outcome = [seen(await anext(closed)), seen(await anext(closed))]
        await closed.close()
        async with await resource.create(**arguments, stream=True) as stream:
            outcome += [seen(await anext(stream)), seen(await anext(stream))]
        async for chunk in await resource.create(**arguments, stream=True):
            outcome.append(seen(chunk))
            break
        return [*outcome, closed.response.is_closed, stream.response.is_closed]


class Help(Way):
    """The `stream(…)` helpers."""

    def sync(self, resource: Any, arguments: Mapping[str, Any], provider: LoopbackProvider) -> Outcome:
        with resource.stream(**arguments) as helper:
            events = [seen(event) for event in helper]
            return [*events, *(seen(getattr(helper, name)()) for name in _finals(helper))]

    async def asynchronous(self, resource: Any, arguments: Mapping[str, Any], provider: LoopbackProvider) -> Outcome:
        async with resource.stream(**arguments) as helper:
            events = [seen(event) async for event in helper]
            return [*events, *[seen(await getattr(helper, name)()) for name in _finals(helper)]]


def _finals(helper: Any) -> list[str]:
    known = ("get_final_completion", "get_final_response", "get_final_message", "get_final_text")
    return [name for name in known if hasattr(helper, name)]


class Texts(Way):
    """The texts of anthropic's helper, and what it makes of them."""

    def sync(self, resource: Any, arguments: Mapping[str, Any], provider: LoopbackProvider) -> Outcome:
        with resource.stream(**arguments) as helper:
            return [*helper.text_stream, seen(helper.get_final_message())]

    async def asynchronous(self, resource: Any, arguments: Mapping[str, Any], provider: LoopbackProvider) -> Outcome:
        async with resource.stream(**arguments) as helper:
            return [*[text async for text in helper.text_stream], seen(await helper.get_final_message())]


class Raw(Way):
    """`with_raw_response`, parsed twice."""

    def sync(self, resource: Any, arguments: Mapping[str, Any], provider: LoopbackProvider) -> Outcome:
        response = resource.with_raw_response.create(**arguments)
        return [*_response(response), seen(response.parse()), seen(response.parse()), _without_ids(response.text)]

    async def asynchronous(self, resource: Any, arguments: Mapping[str, Any], provider: LoopbackProvider) -> Outcome:
        response = await resource.with_raw_response.create(**arguments)
        parsed = response.parse()
        parsed = await parsed if asyncio.iscoroutine(parsed) else parsed
        return [*_response(response), seen(parsed)]


def _response(response: Any) -> list[Any]:
    names = ("content-type", "server", "openai-version", "anthropic-organization-id")
    return [_kind(response), response.status_code, {name: response.headers.get(name) for name in names}]


class RawStream(Way):
    """`with_raw_response` of a stream."""

    def sync(self, resource: Any, arguments: Mapping[str, Any], provider: LoopbackProvider) -> Outcome:
        response = resource.with_raw_response.create(**arguments, stream=True)
        stream = response.parse()
        return [*_response(response), _kind(stream), *seen(list(stream))]

    async def asynchronous(self, resource: Any, arguments: Mapping[str, Any], provider: LoopbackProvider) -> Outcome:
        response = await resource.with_raw_response.create(**arguments, stream=True)
        stream = response.parse()
        stream = await stream if asyncio.iscoroutine(stream) else stream
        return [*_response(response), _kind(stream), *[seen(chunk) async for chunk in stream]]


class Streamed(Way):
    """`with_streaming_response`, in lines, parsed, and left unread."""

    def sync(self, resource: Any, arguments: Mapping[str, Any], provider: LoopbackProvider) -> Outcome:
        with resource.with_streaming_response.create(**arguments) as response:
            outcome = [*_response(response), *map(_without_ids, response.iter_lines())]
        with resource.with_streaming_response.create(**arguments) as response:
            parsed = response.parse()
            outcome.append(seen(list(parsed)) if arguments.get("stream") else seen(parsed))
        with resource.with_streaming_response.create(**arguments) as response:
            return [*outcome, response.status_code]

    async def asynchronous(self, resource: Any, arguments: Mapping[str, Any], provider: LoopbackProvider) -> Outcome:
        async with resource.with_streaming_response.create(**arguments) as response:
            outcome = [*_response(response), *[_without_ids(line) async for line in response.iter_lines()]]
        async with resource.with_streaming_response.create(**arguments) as response:
            parsed = await response.parse()
            outcome.append(seen([chunk async for chunk in parsed]) if arguments.get("stream") else seen(parsed))
        async with resource.with_streaming_response.create(**arguments) as response:
            return [*outcome, response.status_code]


class Fail(Way):
    """A call that the provider refuses."""

    def sync(self, resource: Any, arguments: Mapping[str, Any], provider: LoopbackProvider) -> Outcome:
        with scripted(provider, Fault.http_status(429, "slow down"), Fault.disconnect()):
            return [raised_by(lambda: resource.create(**arguments)), raised_by(lambda: resource.create(**arguments))]

    async def asynchronous(self, resource: Any, arguments: Mapping[str, Any], provider: LoopbackProvider) -> Outcome:
        with scripted(provider, Fault.http_status(429, "slow down"), Fault.disconnect()):
            return [await _raised(resource.create(**arguments)), await _raised(resource.create(**arguments))]


class Break(Way):
    """A stream whose connection breaks, and one with an error event."""

    FAULTS = (Fault.disconnect_mid_stream(SAYS, after_chunks=4), Fault.error_mid_stream(SAYS, after_chunks=3))

    def sync(self, resource: Any, arguments: Mapping[str, Any], provider: LoopbackProvider) -> Outcome:
        with scripted(provider, *self.FAULTS):
            outcome: list[Any] = []
            for _ in self.FAULTS:
                stream = resource.create(**arguments, stream=True)
                outcome.append(raised_by(lambda stream=stream: outcome.extend(map(seen, stream))))
            return outcome

    async def asynchronous(self, resource: Any, arguments: Mapping[str, Any], provider: LoopbackProvider) -> Outcome:
        with scripted(provider, *self.FAULTS):
            outcome: list[Any] = []
            for _ in self.FAULTS:
                stream = await resource.create(**arguments, stream=True)
                outcome.append(await _raised(_extend(outcome, stream)))
            return outcome


async def _extend(outcome: list[Any], stream: AsyncIterator[Any]) -> None:
    async for chunk in stream:
        outcome.append(seen(chunk))


async def _raised(call: Any) -> Outcome:
    try:
        returned = await call
    except BaseException as error:  # noqa: BLE001 - the outcome is what it is
        return seen(error)
    return {"returned": seen(returned)}


class Interrupt(Way):
    """Ctrl-C while a request is sent, or a task that is cancelled: before the answer, and in mid-stream."""

    def sync(self, resource: Any, arguments: Mapping[str, Any], provider: LoopbackProvider) -> Outcome:
        return raised_by(lambda: resource.create(**arguments))

    async def asynchronous(self, resource: Any, arguments: Mapping[str, Any], provider: LoopbackProvider) -> Outcome:
        provider.answer(lambda _: replace(SAYS, latency_s=0.3))
        before = asyncio.ensure_future(resource.create(**arguments))
        while not provider.requests and not before.done():
            await asyncio.sleep(0.001)
        provider.answer(lambda _: Fault.stall(0.3, SAYS, after_chunks=1))
        chunks: list[Any] = []
        during = asyncio.ensure_future(_extend(chunks, await resource.create(**arguments, stream=True)))
        while not chunks and not during.done():
            await asyncio.sleep(0.001)
        for task in (before, during):
            task.cancel()
        await asyncio.wait([before, during])
        provider.answer(answer)
        return [before.cancelled(), during.cancelled(), chunks]


class Free(Way):
    """What nobody bills."""

    def sync(self, resource: Any, arguments: Mapping[str, Any], provider: LoopbackProvider) -> Outcome:
        counted = {name: value for name, value in arguments.items() if name != "max_tokens"}
        return seen(resource.count_tokens(**counted))

    async def asynchronous(self, resource: Any, arguments: Mapping[str, Any], provider: LoopbackProvider) -> Outcome:
        counted = {name: value for name, value in arguments.items() if name != "max_tokens"}
        return seen(await resource.count_tokens(**counted))
