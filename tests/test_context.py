from __future__ import annotations

import asyncio
import contextvars
import inspect
import threading
from collections.abc import AsyncGenerator, Generator

import pytest

from tierwise.context import current_use_case, use_case


def declared() -> tuple[str, str | None, str | None, str | None] | None:
    """What is in force here: name, task, tenant and conversation."""
    case = current_use_case()
    return None if case is None else (case.name, case.task, case.tenant, case.conversation)


def test_block() -> None:
    """Inside the block the use case is in force, after it nothing is."""
    with use_case("invoices", task="extraction", tenant="acme", conversation="c1"):
        inside = declared()

    assert inside == ("invoices", "extraction", "acme", "c1")
    assert declared() is None


def test_nested_blocks() -> None:
    """An inner block inherits tenant and conversation, not the task, and the outer one comes back after it."""
    with use_case("outer", task="extraction", tenant="acme", conversation="c1"):
        with use_case("inner", conversation="c2"):
            inner = declared()
        outer = declared()

    assert inner == ("inner", None, "acme", "c2")
    assert outer == ("outer", "extraction", "acme", "c1")


def test_one_object_entered_twice() -> None:
    """A use_case may be entered again while it is in force, and is left one level at a time."""
    case = use_case("again", tenant="acme")

    with case:
        with case:
            pass
        inside = declared()

    assert inside == ("again", None, "acme", None)
    assert declared() is None


def test_error_leaves_the_block() -> None:
    """An exception passes unchanged and takes the use case with it."""
    with pytest.raises(KeyError, match="mine"), use_case("invoices"):
        raise KeyError("mine")

    assert declared() is None


def test_decorated_function() -> None:
    """A decorated function carries the use case, its result and its identity."""

    @use_case("invoices", tenant="acme")
    def read(number: int) -> tuple[int, object]:
        """Reads an invoice."""
        return number, declared()

    result = read(7)

    assert result == (7, ("invoices", None, "acme", None))
    assert (read.__name__, read.__doc__) == ("read", "Reads an invoice.")
    assert declared() is None


def test_decorated_coroutine_function() -> None:
    """Concurrent calls of a decorated coroutine function do not see each other's use case."""

    @use_case("a")
    async def first() -> object:
        await asyncio.sleep(0)
        return declared()

    @use_case("b")
    async def second() -> object:
        await asyncio.sleep(0)
        return declared()

    async def main() -> list[object]:
        return [*await asyncio.gather(first(), second(), first()), declared()]

    seen = asyncio.run(main())

    assert seen == [("a", None, None, None), ("b", None, None, None), ("a", None, None, None), None]
    assert inspect.iscoroutinefunction(first)


def test_decorated_generator() -> None:
    """A decorated generator carries the use case while it runs, and its consumer never sees it."""
    inside: list[object] = []

    @use_case("pages")
    def pages() -> Generator[int, str, str]:
        inside.append(declared())
        sent = yield 1
        inside.append((sent, declared()))
        try:
            yield 2
        except LookupError:
            inside.append(("thrown", declared()))
        return "done"

    running = pages()
    outside = [next(running), declared(), running.send("hello"), declared()]
    with pytest.raises(StopIteration) as stop:
        running.throw(LookupError())

    case = ("pages", None, None, None)
    assert inside == [case, ("hello", case), ("thrown", case)]
    assert outside == [1, None, 2, None]
    assert stop.value.value == "done"
    assert inspect.isgeneratorfunction(pages)


def test_closing_a_decorated_generator() -> None:
    """Closing a decorated generator runs its clean-up under the use case."""
    seen: list[object] = []

    @use_case("pages")
    def pages() -> Generator[int]:
        try:
            yield 1
        finally:
            seen.append(declared())

    running = pages()
    next(running)
    running.close()

    assert seen == [("pages", None, None, None)]


def test_decorated_async_generator() -> None:
    """A decorated async generator carries the use case while it runs, through send, throw and close."""
    inside: list[object] = []

    @use_case("pages")
    async def pages() -> AsyncGenerator[int, str]:
        try:
            sent = yield 1
            inside.append((sent, declared()))
            try:
                yield 2
            except LookupError:
                inside.append(("thrown", declared()))
            yield 3
        finally:
            inside.append(("closed", declared()))

    async def main() -> list[object]:
        running = pages()
        outside: list[object] = [await anext(running), declared(), await running.asend("hello"), declared()]
        outside += [await running.athrow(LookupError()), declared()]
        await running.aclose()
        return outside

    outside = asyncio.run(main())

    case = ("pages", None, None, None)
    assert inside == [("hello", case), ("thrown", case), ("closed", case)]
    assert outside == [1, None, 2, None, 3, None]


def test_exhausting_a_decorated_async_generator() -> None:
    """A decorated async generator ends when its function does."""

    @use_case("pages")
    async def pages() -> AsyncGenerator[int]:
        yield 1
        yield 2

    async def main() -> list[int]:
        return [page async for page in pages()]

    assert asyncio.run(main()) == [1, 2]
    assert inspect.isasyncgenfunction(pages)


def test_threads_start_without_one() -> None:
    """A thread does not see the use case of the block that started it."""
    seen: list[object] = []

    with use_case("invoices"):
        thread = threading.Thread(target=lambda: seen.append(declared()))
        thread.start()
        thread.join()

    assert seen == [None]


def test_leaving_in_another_context() -> None:
    """Leaving a block in a context that never entered it changes nothing there."""
    case = use_case("elsewhere")
    contextvars.copy_context().run(case.__enter__)

    with use_case("here"):
        case.__exit__(None, None, None)
        inside = declared()

    assert inside == ("here", None, None, None)


def test_attributes_are_text_and_inherited() -> None:
    """What is declared is compared as text; an inner block adds to what the outer one says and overrides it."""
    with use_case("outer", attributes={"plan": "free", "beta": True, "seats": 3}):
        with use_case("inner", attributes={"plan": "paid"}):
            inside = current_use_case()
        with use_case("plain"):
            inherited = current_use_case()

    assert inside is not None
    assert inside.attributes == {"plan": "paid", "beta": "true", "seats": "3"}
    assert inherited is not None
    assert inherited.attributes == {"plan": "free", "beta": "true", "seats": "3"}
