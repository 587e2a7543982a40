"""The use case, tenant and conversation that a person declared for the calls made inside a block or a function.

    with tierwise.use_case("invoice-extraction", task="extraction", tenant="acme"):
        client.chat.completions.create(...)

    @tierwise.use_case("support-replies")
    async def reply(ticket): ...

Kept in a context variable, so threads, tasks and nested blocks do not see each other's.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, replace
from functools import partial, wraps
from types import TracebackType
from typing import Any, ParamSpec, TypeVar, cast

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class DeclaredUseCase:
    """What the innermost `use_case` block says about the calls inside it."""

    name: str
    task: str | None = None
    tenant: str | None = None
    conversation: str | None = None
    attributes: Mapping[str, str] | None = None
    outer: DeclaredUseCase | None = None
    """The block around this one."""
    opened_by: object = None
    """The `use_case` that entered this block and may leave it."""


_innermost: ContextVar[DeclaredUseCase | None] = ContextVar("tierwise_use_case", default=None)


def current_use_case() -> DeclaredUseCase | None:
    """The innermost block this code runs in; None outside any."""
    return _innermost.get()


class use_case:
    """Name the use case of the calls made inside: a context manager, and a decorator of any kind of function.

    Decorated generators, sync or async, carry it while they run, not while their consumer does. Blocks nest: the inner
    one inherits tenant, conversation and attributes where it names none; name and task are its own.

    Args:
        name: what a person calls the use case; calls under the same name are one use case everywhere.
        task: the task type, such as "extraction"; otherwise it is inferred from each request.
        tenant: for whom the calls are made.
        conversation: identifier of the conversation the calls belong to; it becomes `gen_ai.conversation.id`.
        attributes: what else a rule of the policy may match on, such as `{"plan": "free"}`. They are compared as text,
            True as "true", and are on the spans of the calls: nothing secret belongs here.
    """

    __slots__ = ("_declared",)

    def __init__(
        self,
        name: str,
        *,
        task: str | None = None,
        tenant: str | None = None,
        conversation: str | None = None,
        attributes: Mapping[str, str | bool | int | float] | None = None,
    ) -> None:
        texts = {key: _attribute_text(value) for key, value in attributes.items()} if attributes else None
        self._declared = DeclaredUseCase(name, task, tenant, conversation, texts)

    def __enter__(self) -> None:
        outer = _innermost.get()
        declared = self._declared
        _innermost.set(
            replace(
                declared,
                tenant=declared.tenant or (outer.tenant if outer else None),
                conversation=declared.conversation or (outer.conversation if outer else None),
                attributes=_inherited(declared.attributes, outer.attributes if outer else None),
                outer=outer,
                opened_by=self,
            )
        )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        innermost = _innermost.get()
        # A generator that is closed from another context leaves a block which that context never entered.
        if innermost is not None and innermost.opened_by is self:
            _innermost.set(innermost.outer)

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        return cast("Callable[P, R]", wraps(function)(self._carrying(function)))

    def _carrying(self, function: Callable[..., Any]) -> Callable[..., Any]:
        if inspect.iscoroutinefunction(function):

            async def carry_coroutine(*args: Any, **kwargs: Any) -> Any:
                with self:
                    return await function(*args, **kwargs)

            return carry_coroutine
        if inspect.isgeneratorfunction(function):
            return _carrying_generator(self, function)
        if inspect.isasyncgenfunction(function):
            return _carrying_async_generator(self, function)

        def carry_call(*args: Any, **kwargs: Any) -> Any:
            with self:
                return function(*args, **kwargs)

        return carry_call


def _attribute_text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _inherited(own: Mapping[str, str] | None, outer: Mapping[str, str] | None) -> Mapping[str, str] | None:
    return {**outer, **own} if own and outer else own or outer


# What these two return are generator functions themselves: frameworks look (FastAPI at its dependencies, pytest at its
# fixtures), so returning a generator would not do.


def _carrying_generator(case: use_case, function: Callable[..., Any]) -> Callable[..., Any]:
    def carry_generator(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        generator: Generator[Any, Any, Any] = function(*args, **kwargs)
        resume: Callable[[], Any] = partial(next, generator)
        while True:
            try:
                with case:
                    item = resume()
            except StopIteration as stop:
                return stop.value
            try:
                sent = yield item
            except GeneratorExit:
                with case:
                    generator.close()
                raise
            except BaseException as error:  # noqa: BLE001 - it is the generator's to handle
                resume = partial(generator.throw, error)
            else:
                resume = partial(generator.send, sent)

    return carry_generator


def _carrying_async_generator(case: use_case, function: Callable[..., Any]) -> Callable[..., Any]:
    async def carry_async_generator(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        generator: AsyncGenerator[Any, Any] = function(*args, **kwargs)
        resume: Callable[[], Awaitable[Any]] = generator.__anext__
        while True:
            try:
                with case:
                    item = await resume()
            except StopAsyncIteration:
                return
            try:
                sent = yield item
            except GeneratorExit:
                with case:
                    await generator.aclose()
                raise
            except BaseException as error:  # noqa: BLE001 - it is the generator's to handle
                resume = partial(generator.athrow, error)
            else:
                resume = partial(generator.asend, sent)

    return carry_async_generator
