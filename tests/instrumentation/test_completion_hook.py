from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import openai
import pytest

from tierwise import prices, use_case
from tierwise.instrumentation import completion_hook, instrument, uninstrument
from tierwise.instrumentation.completion_hook import ENTRY_POINT_GROUP, TierwiseCompletionHook
from tierwise.settings import Settings
from tierwise.testing import Fault, LoopbackProvider, capture_spans

if TYPE_CHECKING:
    from .conftest import Caller, Spans

SYSTEM = "You read invoices and give back number, date and total as JSON. Never guess a field that is not there."
CALL = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.usage.input_tokens": 1000,
    "gen_ai.usage.output_tokens": 100,
}


@dataclass
class Part:
    content: str
    type: str = "text"


@dataclass
class Message:
    role: str
    parts: list[Any] = field(default_factory=lambda: [Part("Invoice 12")])


@pytest.fixture(autouse=True)
def _no_hook_is_loaded_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    prices.load()
    monkeypatch.setattr(completion_hook, "observed_parents", None)


@pytest.fixture
def complete() -> Callable[..., dict[str, Any]]:
    """Run a hook on a span with the given attributes, and give back what it says then."""

    def run(attributes: dict[str, Any] = CALL, log_record: Any = None, **given: Any) -> dict[str, Any]:
        with capture_spans() as capture:
            span = capture.tracer_provider.get_tracer("official").start_span("chat gpt-4o", attributes=attributes)
            TierwiseCompletionHook().on_completion(
                inputs=[Message("user")],
                outputs=[Message("assistant", [Part("{}")])],
                system_instruction=[Part(SYSTEM)],
                span=span,
                log_record=log_record,
                **given,
            )
            span.end()
        return dict(capture.spans[0].attributes or {})

    return run


def test_what_is_added(complete: Callable[..., dict[str, Any]]) -> None:
    """Task type, use case and cost are added; what the instrumentation said stays, and no content is added."""
    with use_case("invoices", task="extraction", tenant="acme", conversation="c1"):
        said = complete()

    assert said.items() >= CALL.items()
    assert said["tierwise.task.type"] == "extraction"
    assert said["tierwise.use_case.name"] == "invoices"
    assert said["tierwise.tenant"] == "acme"
    assert said["gen_ai.conversation.id"] == "c1"
    assert said["gen_ai.usage.cost.amount"] == pytest.approx(0.0035)
    assert said["tierwise.priced"] is True
    assert "gen_ai.system" not in said
    assert "Invoice 12" not in str(said)
    assert "Never guess" not in str(said)


def test_the_event_says_it_too(complete: Callable[..., dict[str, Any]]) -> None:
    """Where the instrumentation emits an event for the call, it gets the same attributes."""
    record = SimpleNamespace(attributes={"a": 1})

    said = complete(log_record=record)

    assert record.attributes == {"a": 1} | {key: value for key, value in said.items() if key not in CALL}


def test_without_usage_there_is_no_cost(complete: Callable[..., dict[str, Any]]) -> None:
    """A call without usage is unpriced, with the reason."""
    said = complete({key: value for key, value in CALL.items() if "usage" not in key})

    assert "gen_ai.usage.cost.amount" not in said
    assert said["tierwise.priced"] is False
    assert said["tierwise.unpriced.reason"]


@pytest.mark.parametrize("operation", ["invoke_agent", "invoke_workflow", "fetch_response", None])
def test_what_is_no_call_to_a_model_is_left_alone(operation: str | None, complete: Callable[..., Any]) -> None:
    """Agents, workflows and fetched responses have no cost of their own."""
    attributes = {**CALL, "gen_ai.operation.name": operation} if operation else {"other": 1}

    assert complete(attributes) == attributes


def test_spans_that_hold_nothing_are_left_alone() -> None:
    """No span, one that is not recorded and one of another SDK are nothing to add to."""
    for span in (None, object()):
        TierwiseCompletionHook().on_completion(inputs=[], outputs=[], system_instruction=[], span=span)


@pytest.mark.usefixtures("outside_pytest")
def test_odd_messages_do_no_harm(complete: Callable[..., dict[str, Any]]) -> None:
    """Whatever the messages hold, the call is priced and nothing is raised."""
    odd = [None, SimpleNamespace(), Message("tool", [Part("x", "tool_call_response"), None]), Message("user", [1])]

    said = complete(tool_definitions=[None, SimpleNamespace(name="f")])
    with capture_spans() as capture:
        span = capture.tracer_provider.get_tracer("official").start_span("chat", attributes=CALL)
        TierwiseCompletionHook().on_completion(inputs=odd, outputs=[], system_instruction=[None], span=span)
        span.end()

    assert said["tierwise.task.type"] == "tool_use"
    assert (capture.spans[0].attributes or {})["tierwise.priced"] is True


def test_silent_where_we_observe_the_call_ourselves(chat: Caller, spans: Spans) -> None:
    """A call that tierwise's own instrumentation observes inside the span is described once, on our span."""
    hook = TierwiseCompletionHook()
    instrument(settings=Settings(), tracer_provider=spans.tracer_provider)
    tracer = spans.tracer_provider.get_tracer("official")
    with tracer.start_as_current_span("chat gpt-4o", attributes=CALL) as span:
        chat.create()
        hook.on_completion(inputs=[Message("user")], outputs=[], system_instruction=[], span=span)
    uninstrument()

    ours, official = spans.ended
    assert ours.attributes["tierwise.priced"] is True
    assert official.attributes == CALL


def test_the_entry_point_leads_to_the_hook() -> None:
    """opentelemetry-util-genai finds the hook by the name `tierwise`."""
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    value = project["entry-points"][ENTRY_POINT_GROUP]["tierwise"]

    assert EntryPoint("tierwise", value, ENTRY_POINT_GROUP).load() is TierwiseCompletionHook


# --- with OpenTelemetry's own instrumentations ------------------------------------------------------------------------


@pytest.fixture
def officially(spans: Spans, monkeypatch: pytest.MonkeyPatch) -> Iterator[Spans]:
    """Both SDKs under OpenTelemetry's instrumentations, with our hook."""
    for_openai = pytest.importorskip("opentelemetry.instrumentation.genai.openai", reason="beta, not installed")
    for_anthropic = pytest.importorskip("opentelemetry.instrumentation.genai.anthropic", reason="beta, not installed")
    monkeypatch.setenv("ANTHROPIC_OPEN_TELEMETRY", "false")
    instrumentors = [for_openai.OpenAIInstrumentor(), for_anthropic.AnthropicInstrumentor()]
    for instrumentor in instrumentors:
        instrumentor.instrument(tracer_provider=spans.tracer_provider, completion_hook=TierwiseCompletionHook())
    yield spans
    for instrumentor in instrumentors:
        instrumentor.uninstrument()


def test_official_spans_say_what_ours_say(make_caller: Callable[[str, bool], Caller], officially: Spans) -> None:
    """On the spans of the official instrumentations the hook finds a price, and the use case that we find."""
    arguments: dict[str, dict[str, Any]] = {
        "chat_completions": {"messages": [{"role": "system", "content": SYSTEM}, {"role": "user", "content": "12"}]},
        "responses": {"instructions": SYSTEM, "input": "12"},
        "messages": {"system": SYSTEM, "messages": [{"role": "user", "content": "12"}]},
    }
    callers = [make_caller(api, is_async) for api in arguments for is_async in (False, True)]
    for caller in callers:
        caller.create(**arguments[caller.api])
    official = officially.ended
    with capture_spans() as capture:
        instrument(settings=Settings(), tracer_provider=capture.tracer_provider)
        for caller in callers:
            caller.create(**arguments[caller.api])
        uninstrument()

    assert [span.attributes["tierwise.priced"] for span in official] == [True] * len(callers)
    ours = [span.attributes or {} for span in capture.spans]
    for key in ("tierwise.use_case.id", "tierwise.complexity.band"):
        assert [span.attributes[key] for span in official] == [attributes[key] for attributes in ours]
    assert SYSTEM not in repr(official)


def test_official_spans_of_failed_calls(
    make_caller: Callable[[str, bool], Caller], provider: LoopbackProvider, officially: Spans
) -> None:
    """A failed call gets its task and use case, and no cost."""
    provider.script([Fault.server_error()])
    with pytest.raises(openai.InternalServerError):
        make_caller("chat_completions", False).create()

    span = officially.only
    assert span.attributes["tierwise.priced"] is False
    assert span.attributes["tierwise.use_case.id"]
