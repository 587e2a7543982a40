"""Makes any one function of tierwise raise, wherever it is referred to, and finds out which functions a call runs.

Functions are found in memory rather than listed, so new ones take part by being there. To make one raise, its code is
exchanged: that reaches every reference to it, those imported by name, kept in tables, bound, decorated or cached. For a
function defined inside another, the code it is made of is exchanged inside the other's.
"""

from __future__ import annotations

import gc
import inspect
import sys
import threading
from collections import defaultdict
from collections.abc import Callable, Collection, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import CodeType, FrameType, FunctionType
from typing import Any

import tierwise

_SOURCES = str(Path(tierwise.__file__).parent) + "/"
_ELSEWHERE = tuple(
    f"{_SOURCES}{room}/" for room in ("testing", "cli", "demo", "store", "ingest", "evidence", "savings", "recommend")
)
"""Rooms that no call comes to."""
_INLINE = frozenset({"<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>", "<module>"})
"""Code that is part of the function around it."""


class InjectedFault(Exception):
    """An error of ours, made on purpose."""


@dataclass(frozen=True, slots=True)
class Target:
    """A function that can be made to raise."""

    name: str
    """`instrumentation.streams:StreamWatch.add`"""
    code: CodeType


# --- which functions a call runs --------------------------------------------------------------------------------------


def is_ours(code: CodeType) -> bool:
    """Whether this is the code of a function of ours that may run in the user's process."""
    return (
        code.co_filename.startswith(_SOURCES)
        and not code.co_filename.startswith(_ELSEWHERE)
        and code.co_name not in _INLINE
    )


def target(code: CodeType) -> Target:
    """The function with this code."""
    module = code.co_filename.removeprefix(_SOURCES).removesuffix(".py").replace("/", ".")
    line = f" line {code.co_firstlineno}" if code.co_name == "<lambda>" else ""
    return Target(f"{module}:{code.co_qualname.replace('.<locals>', '')}{line}", code)


RunElsewhere = Callable[[Callable[[], None]], object]
"""Runs a function on another thread and waits for it."""


@contextmanager
def tracing(*threads: RunElsewhere) -> Generator[set[Target]]:
    """Collects the functions of ours that run inside the block, on this thread, new ones, and those given."""
    seen: set[CodeType] = set()
    found: set[Target] = set()

    def note(frame: FrameType, event: str, _: object) -> None:
        if event == "call":
            seen.add(frame.f_code)

    threading.setprofile(note)
    for run in threads:
        run(lambda: sys.setprofile(note))
    sys.setprofile(note)
    try:
        yield found
    finally:
        sys.setprofile(None)
        threading.setprofile(None)  # pyright: ignore[reportArgumentType] - None takes it off again
        for run in threads:
            run(lambda: sys.setprofile(None))
        found.update(target(code) for code in seen.copy() if is_ours(code))


# --- making one raise -------------------------------------------------------------------------------------------------


class Functions:
    """Every function of ours in memory, by its code. Make it anew after something was imported or patched."""

    def __init__(self) -> None:
        # Objects that were left out of garbage collection are not listed.
        frozen = gc.get_freeze_count() > 0
        gc.unfreeze()
        self._by_code: defaultdict[CodeType, list[FunctionType]] = defaultdict(list)
        for item in gc.get_objects():
            if isinstance(item, FunctionType) and item.__code__.co_filename.startswith(_SOURCES):
                self._by_code[item.__code__].append(item)
        if frozen:
            gc.freeze()

    def targets(self) -> set[Target]:
        """All of them, those they make included."""
        return {target(code) for outer in self._by_code for code in _with_inner(outer) if is_ours(code)}

    @contextmanager
    def raising(self, chosen: Target, error: type[BaseException] = InjectedFault) -> Generator[Callable[[], int]]:
        """`chosen` raises `error` as soon as it is called, inside the block; yields how often it did."""
        faults: list[None] = []

        class Fault(error):
            def __init__(self) -> None:
                super().__init__(f"injected into {chosen.name}")
                faults.append(None)

        Fault.__name__ = Fault.__qualname__ = error.__name__
        replaced: list[tuple[FunctionType, CodeType]] = []
        raising = _raising_code(chosen.code, Fault)
        for outer in self._holding(chosen.code):
            for function in self._by_code[outer]:
                replaced.append((function, outer))
                function.__code__ = _with_exchanged(outer, chosen.code, raising)
        try:
            yield lambda: len(faults)
        finally:
            for function, original in replaced:
                function.__code__ = original

    @cache  # noqa: B019 - an instance lasts as long as its session
    def _holding(self, code: CodeType) -> list[CodeType]:
        return [outer for outer in self._by_code if any(inner is code for inner in _with_inner(outer))]


def _with_inner(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _with_inner(constant)


def _with_exchanged(code: CodeType, old: CodeType, new: CodeType) -> CodeType:
    if code is old:
        return new
    constants = tuple(
        _with_exchanged(constant, old, new) if isinstance(constant, CodeType) else constant
        for constant in code.co_consts
    )
    return code.replace(co_consts=constants)


_MARK = "the exception"


def _raising_code(code: CodeType, error: type[BaseException]) -> CodeType:
    """Code that can stand in for `code`, of the same kind and with as many closure variables, and raises."""
    variables = [f"free{number}" for number in range(len(code.co_freevars))]
    is_async = code.co_flags & (inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR)
    yields = code.co_flags & (inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR)
    lines = [
        "def outer():",
        *(f"    {variable} = None" for variable in variables),
        f"    {'async ' if is_async else ''}def inner(*args, **kwargs):",
        f"        raise {_MARK!r}",
        *(["        yield"] if yields else []),
        *(f"        {variable}" for variable in variables),
    ]
    outer = next(part for part in compile("\n".join(lines), "<fault>", "exec").co_consts if isinstance(part, CodeType))
    inner = next(part for part in outer.co_consts if isinstance(part, CodeType))
    assert len(inner.co_freevars) == len(code.co_freevars)
    return inner.replace(
        co_consts=tuple(error if constant == _MARK else constant for constant in inner.co_consts), co_name=code.co_name
    )


# --- forgetting what was learned --------------------------------------------------------------------------------------


class Caches:
    """Every `lru_cache` of ours, so that a call can be made to run all it runs the first time."""

    def __init__(self) -> None:
        self._clear: list[Callable[..., object]] = []
        for name, module in list(sys.modules.items()):
            if name.partition(".")[0] != "tierwise":
                continue
            for value in _values(vars(module)):
                if callable(clear := getattr(value, "cache_clear", None)):
                    self._clear.append(clear)

    def forget(self) -> None:
        for clear in self._clear:
            clear()


def _values(namespace: Mapping[str, Any]) -> Collection[Any]:
    return [value for value in namespace.values() if hasattr(value, "cache_clear")]
