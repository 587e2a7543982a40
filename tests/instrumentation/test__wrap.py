from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anthropic
import anthropic._base_client
import openai._base_client
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

from tierwise.instrumentation import _wrap, instrument, uninstrument
from tierwise.settings import Settings
from tierwise.testing import LoopbackProvider

from .installed_sdks import HAS_NATIVE_SPANS, needs_native_spans

if TYPE_CHECKING:
    from .conftest import Caller, Spans

PATCHED: list[tuple[Any, str]] = [
    (openai._base_client.SyncAPIClient, "request"),
    (openai._base_client.AsyncAPIClient, "request"),
    (anthropic._base_client.SyncAPIClient, "request"),
    (anthropic._base_client.AsyncAPIClient, "request"),
]
if HAS_NATIVE_SPANS:
    PATCHED.append((anthropic._base_client, "start_api_call_span"))


def test_uninstrument_restores(spans: Spans) -> None:
    """After `uninstrument()` each patched attribute is the very object it was."""
    before = [vars(owner)[name] for owner, name in PATCHED]

    instrument(settings=Settings(), tracer_provider=spans.tracer_provider)
    during = [vars(owner)[name] for owner, name in PATCHED]
    uninstrument()
    after = [vars(owner)[name] for owner, name in PATCHED]

    assert all(one is other for one, other in zip(before, after, strict=True))
    assert not any(one is other for one, other in zip(before, during, strict=True))


def test_instrumenting_twice(caller: Caller, instrumented: Spans) -> None:
    """Instrumenting again wraps nothing twice: a call stays one span."""
    instrument()
    instrument(settings=Settings(), tracer_provider=instrumented.tracer_provider)

    caller.create()

    assert len(instrumented.ended) == 1


def test_uninstrumenting_twice(caller: Caller, instrumented: Spans) -> None:
    """After `uninstrument()`, however often, calls go out as without us."""
    uninstrument()
    uninstrument()

    caller.create()
    caller.stream().read()

    assert instrumented.ended == []


def test_clients_made_before(caller: Caller, instrumented: Spans) -> None:
    """Clients that existed before instrumentation are observed."""
    caller.create()

    assert len(instrumented.ended) == 1


def test_clients_made_after(instrumented: Spans, provider: LoopbackProvider) -> None:
    """So are clients made later, and copies of clients."""
    with openai.OpenAI(base_url=provider.openai_base_url, api_key="x") as client:
        for one in (client, client.with_options(max_retries=0)):
            one.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "hi"}])

    assert len(instrumented.ended) == 2


@pytest.mark.parametrize("api", ["chat_completions", "messages"])
def test_accessor_that_outlives_us(api: str, make_caller: Callable[[str, bool], Caller], spans: Spans) -> None:
    """A cached `with_raw_response`, which holds our wrapper, passes calls through once we are gone."""
    caller = make_caller(api, False)
    instrument(settings=Settings(), tracer_provider=spans.tracer_provider)
    accessor = caller.resource.with_raw_response
    accessor.create(**caller.arguments)
    uninstrument()

    response = accessor.create(**caller.arguments)

    assert response.parse().model == caller.model
    assert len(spans.ended) == 1


def test_a_patch_over_ours(caller: Caller, instrumented: Spans, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrapper that somebody put over ours stays when we leave, and calls pass through both."""
    owner, name = PATCHED[2 + caller.is_async if "messages" in caller.api else caller.is_async]
    ours = vars(owner)[name]
    calls: list[object] = []

    def over(self: Any, *args: Any, **kwargs: Any) -> Any:
        calls.append(self)
        return ours(self, *args, **kwargs)

    monkeypatch.setattr(owner, name, over)
    uninstrument()

    caller.create()

    assert vars(owner)[name] is over
    assert len(calls) == 1
    assert instrumented.ended == []
    monkeypatch.undo()
    setattr(owner, name, ours.__wrapped__)


def test_imported_later() -> None:
    """SDKs imported after us are observed, and we import neither."""
    script = """
import sys
import tierwise
from tierwise.testing import LoopbackProvider, capture_spans

with capture_spans() as spans, LoopbackProvider() as provider:
    tierwise.instrument(tracer_provider=spans.tracer_provider)
    assert "openai" not in sys.modules and "anthropic" not in sys.modules
    import anthropic
    import openai

    ask = {"max_tokens": 10, "messages": [{"role": "user", "content": "hi"}]}
    with openai.OpenAI(base_url=provider.openai_base_url, api_key="x") as client:
        client.chat.completions.create(model="gpt-4o", **ask)
    with anthropic.Anthropic(base_url=provider.anthropic_base_url, api_key="x") as client:
        client.messages.create(model="claude-haiku-4-5", **ask)
    tierwise.flush()
    print([span.name for span in spans.spans])
"""

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60)

    assert done.stdout.strip() == "['chat gpt-4o', 'chat claude-haiku-4-5']", done.stderr


def test_an_sdk_we_do_not_know(
    outside_pytest: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """An SDK without the place we patch is left alone, with one line in the log."""
    uninstrument()
    monkeypatch.delattr(openai._base_client, "SyncAPIClient")

    instrument(settings=Settings(), tracer_provider=TracerProvider())
    uninstrument()

    assert "is not built as tierwise knows it (openai._base_client.SyncAPIClient.request)" in caplog.text


BASE_CLIENT = """
class SyncAPIClient:
    def request(self, cast_to, options, *, stream=False, stream_cls=None):
        return "an answer"
class AsyncAPIClient(SyncAPIClient):
    pass
"""


@pytest.mark.parametrize(
    ("version", "package"),
    [
        ("0.28.1", {"__init__.py": "def ask(): return 'an answer'"}),
        (
            "1.10.0",
            {
                "__init__.py": "from ._base_client import SyncAPIClient as C\ndef ask(): return C().request(1, 2)",
                "_base_client.py": BASE_CLIENT,
            },
        ),
    ],
    ids=["before 1.0", "before the oldest supported"],
)
@pytest.mark.parametrize("order", ["import openai, tierwise.auto", "import tierwise.auto, openai"])
def test_an_sdk_too_old(order: str, version: str, package: dict[str, str], tmp_path: Path) -> None:
    """An SDK older than those supported works as ever, unobserved; one line names its version and the way out."""
    for name, code in package.items():
        (tmp_path / "openai").mkdir(exist_ok=True)
        (tmp_path / "openai" / name).write_text(code, encoding="utf-8")
    (tmp_path / f"openai-{version}.dist-info").mkdir()
    metadata = tmp_path / f"openai-{version}.dist-info" / "METADATA"
    metadata.write_text(f"Metadata-Version: 2.1\nName: openai\nVersion: {version}\n", encoding="utf-8")

    done = subprocess.run(
        [sys.executable, "-c", f"{order}\nprint(openai.ask())\nimport tierwise\ntierwise.instrument(mode='shadow')"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])},
    )

    assert done.stdout == "an answer\n", done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"openai {version} is older than 1.26, the oldest version that tierwise instruments")


# --- anthropic's own span ---------------------------------------------------------------------------------------------


@pytest.fixture
def traced_by_both(
    spans: Spans, provider: LoopbackProvider, make_caller: Callable[[str, bool], Caller]
) -> Iterator[tuple[Any, dict[str, Any]]]:
    """A client that traces itself through the same provider as we do, and what to ask it."""
    instrument(settings=Settings(), tracer_provider=spans.tracer_provider)
    client = anthropic.Anthropic(
        base_url=provider.anthropic_base_url, api_key="x", open_telemetry={"tracer_provider": spans.tracer_provider}
    )
    yield client, dict(make_caller("messages", False).arguments)
    client.close()
    uninstrument()


@needs_native_spans
def test_native_span_is_not_doubled(traced_by_both: tuple[Any, dict[str, Any]], spans: Spans) -> None:
    """A call of an anthropic client that traces itself is one span, ours; streamed, raw, beta or not."""
    client, arguments = traced_by_both

    client.messages.create(**arguments)
    for _ in client.messages.create(**arguments, stream=True):
        pass
    client.beta.messages.create(**arguments)
    client.messages.with_raw_response.create(**arguments).parse()
    with client.messages.stream(**arguments) as stream:
        stream.until_done()

    assert [span.name for span in spans.ended] == ["chat claude-opus-4-7"] * 5


@needs_native_spans
def test_native_span_of_an_async_client(
    make_caller: Callable[[str, bool], Caller], instrumented: Spans, provider: LoopbackProvider
) -> None:
    """The same holds for an async client."""
    caller = make_caller("messages", True)

    async def main() -> None:
        async with anthropic.AsyncAnthropic(
            base_url=provider.anthropic_base_url,
            api_key="x",
            open_telemetry={"tracer_provider": instrumented.tracer_provider},
        ) as client:
            await client.messages.create(**caller.arguments)
            async for _ in await client.messages.create(**caller.arguments, stream=True):
                pass

    caller.wait(main())

    assert [span.name for span in instrumented.ended] == ["chat claude-opus-4-7"] * 2


@needs_native_spans
def test_native_spans_of_other_calls_stay(traced_by_both: tuple[Any, dict[str, Any]], spans: Spans) -> None:
    """What we do not observe keeps the span that anthropic makes."""
    client, arguments = traced_by_both

    client.messages.count_tokens(model=arguments["model"], messages=arguments["messages"])
    client.models.list()

    assert [span.name for span in spans.ended] == ["anthropic.messages.count_tokens", "anthropic.models.list"]


@needs_native_spans
def test_native_span_comes_back(traced_by_both: tuple[Any, dict[str, Any]], spans: Spans) -> None:
    """After `uninstrument()` anthropic traces its calls again."""
    client, arguments = traced_by_both
    uninstrument()

    client.messages.create(**arguments)

    assert [span.name for span in spans.ended] == ["anthropic.messages.create"]


@needs_native_spans
def test_trace_context_still_travels(
    traced_by_both: tuple[Any, dict[str, Any]], spans: Spans, provider: LoopbackProvider
) -> None:
    """An app that traces has anthropic send the trace's context along: that of our span now."""
    client, arguments = traced_by_both

    client.messages.create(**arguments)

    (request,) = provider.requests
    context = spans.only.context
    assert request.headers["traceparent"].split("-")[1:3] == [
        trace.format_trace_id(context.trace_id),
        trace.format_span_id(context.span_id),
    ]


@needs_native_spans
def test_no_trace_context_on_our_account(
    traced_by_both: tuple[Any, dict[str, Any]], provider: LoopbackProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An app that did no tracing before us sends no trace context to anyone."""
    client, arguments = traced_by_both
    runtime = _wrap.active_runtime()
    assert runtime is not None
    monkeypatch.setitem(vars(runtime), "owns_provider", True)

    client.messages.create(**arguments)

    (request,) = provider.requests
    assert "traceparent" not in request.headers
