from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import anthropic._base_client
import openai._base_client
import pytest

from tierwise.instrumentation import sdk_support
from tierwise.instrumentation.sdk_support import (
    SUPPORTED,
    has_known_shape,
    installed_version,
    is_newer_than_tested,
    is_supported,
    is_too_old,
)


@pytest.fixture(autouse=True)
def nothing_said_yet() -> Iterator[None]:
    is_supported.cache_clear()
    sdk_support._say_unknown_shape.cache_clear()
    yield
    is_supported.cache_clear()
    sdk_support._say_unknown_shape.cache_clear()


@pytest.mark.parametrize("module", [openai._base_client, anthropic._base_client], ids=lambda module: module.__name__)
def test_installed_sdks(module: ModuleType, caplog: pytest.LogCaptureFixture) -> None:
    """The SDKs that the tests run with are within the range and of the known shape."""
    package = module.__name__.partition(".")[0]
    version = installed_version(package)

    assert version is not None
    assert not is_too_old(package, version)
    assert not is_newer_than_tested(package, version)
    assert is_supported(package)
    assert has_known_shape(module)
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("version", "too_old", "newer"),
    [
        ("0.28.1", True, False),
        ("1.25.9", True, False),
        ("1.26.0", False, False),
        ("2.0.0rc1", False, False),
        ("3.54.9", False, False),
        ("3.55.0", False, True),
        ("10.0", False, True),
        ("unknown", False, False),
    ],
)
def test_range(version: str, too_old: bool, newer: bool) -> None:
    """Versions are compared by their numbers; one that has none is taken as it is."""
    assert is_too_old("openai", version) is too_old
    assert is_newer_than_tested("openai", version) is newer


def test_too_old(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """An SDK older than the range is named once, with its version and the way out."""
    monkeypatch.setattr(sdk_support, "installed_version", lambda _: "0.28.1")

    assert not is_supported("openai")
    assert not is_supported("openai")

    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "openai 0.28.1 is older than 1.26" in record.getMessage()
    assert "pip install --upgrade openai" in record.getMessage()


def test_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A package of the SDK's name without a version, such as a stub, is taken as supported."""
    assert installed_version("no-such-package-anywhere") is None

    monkeypatch.setattr(sdk_support, "installed_version", lambda _: None)
    assert is_supported("openai")


def module_with(sync: Callable[..., Any] | None, asynchronous: Callable[..., Any] | None) -> ModuleType:
    module: Any = ModuleType("openai._base_client")
    for name, request in (("SyncAPIClient", sync), ("AsyncAPIClient", asynchronous)):
        setattr(module, name, type(name, (), {} if request is None else {"request": request}))
    return module


def known(self: Any, cast_to: Any, options: Any, *, stream: bool = False, stream_cls: Any = None) -> None: ...
def wrapper(*args: Any, **kwargs: Any) -> None: ...
def other(self: Any, request: Any) -> None: ...
def needs_more(self: Any, cast_to: Any, options: Any, context: Any, *, stream: bool, stream_cls: Any) -> None: ...


def test_known_shapes() -> None:
    """The SDK's own method is known, and so is one that somebody wrapped."""
    assert has_known_shape(module_with(known, known))
    assert has_known_shape(module_with(wrapper, known))


@pytest.mark.parametrize(
    "module",
    [
        module_with(None, known),
        module_with(known, None),
        module_with(known, other),
        module_with(needs_more, known),
        ModuleType("openai._base_client"),
    ],
    ids=["no method", "no async method", "other parameters", "one parameter more", "no classes"],
)
def test_unknown_shapes(module: ModuleType, caplog: pytest.LogCaptureFixture) -> None:
    """A method that has gone or takes something else is refused, once, by version and with the range that works."""
    assert not has_known_shape(module)
    assert not has_known_shape(module)

    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert f"openai {openai.__version__} is not built as tierwise knows it" in record.getMessage()
    assert str(SUPPORTED["openai"]) in record.getMessage()
