from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from tierwise import PolicyError, SettingsError, evaluations, prices
from tierwise.instrumentation import _wrap, flush, instrument, uninstrument
from tierwise.routing.policy import parse
from tierwise.settings import Settings
from tierwise.testing import LoopbackProvider

if TYPE_CHECKING:
    from .conftest import Caller, Spans

POLICY = """
version = 3
mode = "enforce"
[[rule]]
id = "cheaper"
kind = "route"
to = "gpt-4o-mini"
when = { request_model = ["gpt-4o"] }
"""


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    yield
    uninstrument()
    prices.configure(None)


@pytest.fixture
def policy_file(tmp_path: Path) -> Path:
    path = tmp_path / "policy.toml"
    path.write_text(POLICY)
    return path


def running() -> Any:
    runtime = _wrap.active_runtime()
    assert runtime is not None
    return runtime


def test_policy_from_a_file(policy_file: Path, spans: Spans, chat: Caller, provider: LoopbackProvider) -> None:
    """A policy given by path is in force from the first call on."""
    instrument(policy_file, settings=Settings(), tracer_provider=spans.tracer_provider)

    chat.create()

    assert [request.model for request in provider.requests] == ["gpt-4o-mini"]
    assert spans.only.attributes["tierwise.route.policy_version"] == 3


def test_policy_of_the_settings(policy_file: Path, spans: Spans, chat: Caller, provider: LoopbackProvider) -> None:
    """Without one given, the settings' policy is."""
    instrument(settings=Settings(policy=str(policy_file)), tracer_provider=spans.tracer_provider)

    chat.create()

    assert [request.model for request in provider.requests] == ["gpt-4o-mini"]


@pytest.mark.parametrize("off", [{"mode": "off"}, {"settings": Settings(mode="off")}])
def test_kill_switch(off: Any, spans: Spans, chat: Caller, provider: LoopbackProvider) -> None:
    """`mode="off"` beats every policy: calls go out as they are, and are still observed."""
    arguments: dict[str, Any] = {"settings": Settings(), **off}
    instrument(parse(POLICY), tracer_provider=spans.tracer_provider, **arguments)

    chat.create()

    assert [request.model for request in provider.requests] == ["gpt-4o"]
    assert "tierwise.route.decision" not in spans.only.attributes


def test_shadow_mode(spans: Spans, chat: Caller, provider: LoopbackProvider) -> None:
    """A mode that is given stands in for the policy's own."""
    instrument(parse(POLICY), "shadow", settings=Settings(), tracer_provider=spans.tracer_provider)

    chat.create()

    assert [request.model for request in provider.requests] == ["gpt-4o"]
    assert spans.only.attributes["tierwise.route.decision"] == "would_route"


def test_again_without_arguments(spans: Spans) -> None:
    """Asking again without arguments keeps what is running."""
    instrument(settings=Settings(), tracer_provider=spans.tracer_provider)
    before = running()

    instrument()

    assert running() is before


def test_again_with_arguments(spans: Spans, chat: Caller, provider: LoopbackProvider) -> None:
    """Asking again with arguments starts over with those."""
    instrument(parse(POLICY), settings=Settings(), tracer_provider=spans.tracer_provider)
    instrument(settings=Settings(), tracer_provider=spans.tracer_provider)

    chat.create()

    assert [request.model for request in provider.requests] == ["gpt-4o"]
    assert len(spans.ended) == 1


def test_unknown_mode() -> None:
    """A mode that does not exist is refused, with those that do."""
    with pytest.raises(SettingsError, match="mode is 'on'; allowed: off, shadow, enforce"):
        instrument(mode=cast("Any", "on"), settings=Settings())

    assert _wrap.active_runtime() is None


def test_bad_policy(tmp_path: Path) -> None:
    """A policy that is refused raises at the start, and nothing is instrumented."""
    path = tmp_path / "policy.toml"
    path.write_text("version = 'seven'")

    for bad in (path, tmp_path / "missing.toml"):
        with pytest.raises(PolicyError):
            instrument(bad, settings=Settings())

    assert _wrap.active_runtime() is None


def test_bad_policy_later(spans: Spans, tmp_path: Path, chat: Caller) -> None:
    """A policy that is refused on a second call leaves what is running as it is."""
    instrument(parse(POLICY), settings=Settings(), tracer_provider=spans.tracer_provider)
    before = running()

    with pytest.raises(PolicyError):
        instrument(tmp_path / "missing.toml", settings=Settings())

    assert running() is before


def test_no_threads_left(policy_file: Path, spans: Spans) -> None:
    """`uninstrument()` ends the thread that looks for newer policies."""
    instrument(policy_file, settings=Settings(), tracer_provider=spans.tracer_provider)
    during = {thread.name for thread in threading.enumerate()}

    uninstrument()

    assert "tierwise-policy" in during
    assert "tierwise-policy" not in {thread.name for thread in threading.enumerate()}


def test_streams_outlive_us(chat: Caller, spans: Spans) -> None:
    """A stream that was under way when instrumentation ended is recorded to its end."""
    instrument(settings=Settings(), tracer_provider=spans.tracer_provider)
    stream = chat.stream()

    uninstrument()
    stream.read()

    assert spans.only.attributes["gen_ai.usage.input_tokens"] == 1200


def test_evaluations_go_where_calls_go(spans: Spans, monkeypatch: pytest.MonkeyPatch) -> None:
    """Evaluations use the settings that calls use."""
    configured: list[Settings] = []
    monkeypatch.setattr(evaluations, "configure", configured.append)
    settings = Settings(endpoint="http://collector:4318")

    instrument(settings=settings, tracer_provider=spans.tracer_provider)

    assert configured == [settings]


def test_flush(chat: Caller, spans: Spans) -> None:
    """After a flush a stream that was dropped is among the finished spans."""
    instrument(settings=Settings(), tracer_provider=spans.tracer_provider)
    chat.stream().drop()

    assert flush(5)
    assert len(spans.capture.spans) == 1


def test_flush_without_us() -> None:
    """Without instrumentation there is nothing to flush."""
    assert flush(0.1)
