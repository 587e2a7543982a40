from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import tierwise
from tierwise import evaluations
from tierwise.errors import PolicyError
from tierwise.instrumentation import _wrap, instrument, uninstrument
from tierwise.routing.policy import parse
from tierwise.settings import Settings
from tierwise.testing import Answer, LoopbackProvider, ProviderUsage, capture_calls, capture_spans

QUESTION: list[Any] = [{"role": "user", "content": "Capital of France?"}]


@pytest.fixture
def provider() -> Iterator[LoopbackProvider]:
    with LoopbackProvider() as running:
        running.answer(lambda _: Answer("Paris", usage=ProviderUsage(input_tokens=1000, output_tokens=100)))
        yield running


@pytest.fixture
def client(provider: LoopbackProvider) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=provider.openai_base_url, api_key="test", max_retries=0) as made:
        yield made


def ask(client: openai.OpenAI, **given: Any) -> Any:
    """What stands for the application under test."""
    return client.chat.completions.create(model="gpt-4o", messages=QUESTION, **given)


def test_a_users_test_is_three_lines(client: openai.OpenAI) -> None:
    """Capture, call, compare: model, tokens, cost and use case of every call made inside the block."""
    with capture_calls() as captured, tierwise.use_case("capitals", task="extraction"):
        ask(client)
    (call,) = captured.calls

    assert (call.request_model, call.task_type, call.use_case_name) == ("gpt-4o", "extraction", "capitals")
    assert (call.usage.input_tokens, call.usage.output_tokens) == (1000, 100)
    assert call.cost is not None
    assert call.cost.total_usd > 0


def test_both_sdks_and_every_way_to_call(provider: LoopbackProvider, client: openai.OpenAI) -> None:
    """Streams that are left, and calls of the other SDK, are there as soon as they are asked for."""
    with (
        anthropic.Anthropic(base_url=provider.anthropic_base_url, api_key="test") as other,
        capture_calls() as captured,
    ):
        next(iter(ask(client, stream=True)))
        other.messages.create(model="claude-haiku-4-5", max_tokens=10, messages=QUESTION)
        # The thread that ends a stream nobody holds any more may come after the next call.
        assert {call.provider for call in captured.calls} == {"openai", "anthropic"}
        assert len(captured.calls) == 2


def test_deterministic_captures_are_equal(client: openai.OpenAI) -> None:
    """Run again, against another port and after other calls, spans and events are the same to compare."""

    def run() -> tuple[Any, ...]:
        with LoopbackProvider() as provider, openai.OpenAI(base_url=provider.openai_base_url, api_key="t") as own:
            with capture_calls(deterministic=True, content=True) as captured:
                ask(own)
                list(ask(own, stream=True))
            times = [(span.start_time, span.end_time) for span in captured.spans]
            return captured.as_dicts(), captured.events, times

    first = run()
    with capture_calls():
        for _ in range(12):
            # As many make the process remember a verdict on the use case.
            ask(client)

    assert first == run()
    assert first[2] == [(1_000_000_000, 2_000_000_000), (3_000_000_000, 4_000_000_000)]
    assert "server.port" not in first[0][0]["attributes"]


def test_nothing_is_left_behind(client: openai.OpenAI) -> None:
    """After the block the SDKs are as they were, also when the block raises."""
    with pytest.raises(ZeroDivisionError), capture_calls():
        raise ZeroDivisionError

    assert _wrap.active_runtime() is None
    with capture_calls() as captured:
        pass
    ask(client)
    assert captured.calls == []


def test_an_instrumented_app_goes_on_as_before(client: openai.OpenAI) -> None:
    """What the app instrumented itself sees nothing of the block, and everything after it."""
    with capture_spans() as apps:
        instrument(settings=Settings(), tracer_provider=apps.tracer_provider)
        with capture_calls() as captured:
            ask(client)
        ask(client)
        uninstrument()

    assert len(captured.calls) == 1
    assert len(apps.spans) == 1


def test_an_app_with_a_provider_of_its_own(client: openai.OpenAI) -> None:
    """Spans of the app stay in its provider, those of calls are captured, and the trace is the app's."""
    exporter = InMemorySpanExporter()
    apps = TracerProvider(shutdown_on_exit=False)
    apps.add_span_processor(SimpleSpanProcessor(exporter))

    with (
        capture_calls(deterministic=True) as captured,
        apps.get_tracer("app").start_as_current_span("request") as request,
    ):
        ask(client)

    assert [span.name for span in exporter.get_finished_spans()] == ["request"]
    (span,) = captured.spans
    assert span.context is not None
    assert span.context.trace_id == request.get_span_context().trace_id
    assert captured.as_dicts()[0]["parent"] == "outside the capture"


def test_content_is_captured_when_asked(client: openai.OpenAI) -> None:
    """With content, spans and events hold what was said, after the redactor; without, neither does."""
    with capture_calls() as plain:
        ask(client)
    with capture_calls(content=True, redact=lambda text: text.replace("Paris", "[city]")) as full:
        ask(client)

    assert plain.events == []
    assert "Capital of France?" not in str(plain.as_dicts())
    assert "Capital of France?" in str(full.as_dicts())
    (event,) = full.events
    assert event["name"] == "gen_ai.client.inference.operation.details"
    assert event["attributes"]["gen_ai.output.messages"][0]["parts"] == [{"type": "text", "content": "[city]"}]


def test_metrics_are_captured(client: openai.OpenAI) -> None:
    """Data points by name, histograms by count and sum."""
    with capture_calls() as captured:
        ask(client)

    tokens = captured.metrics["gen_ai.client.token.usage"]
    assert {point["attributes"]["gen_ai.token.type"]: point["sum"] for point in tokens} == {
        "input": 1000,
        "output": 100,
    }
    assert captured.metrics["tierwise.cost"][0]["value"] > 0


def test_checks_are_captured(client: openai.OpenAI, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a check found is an event; the check has run when the events are asked for."""
    monkeypatch.setattr(evaluations, "_checks", dict[str, Any]())
    tierwise.check("capitals")(lambda _, answer: "Paris" in answer.text)

    with capture_calls() as captured, tierwise.use_case("capitals"):
        ask(client)

    (event,) = captured.events
    assert event["name"] == "gen_ai.evaluation.result"
    assert event["attributes"]["gen_ai.evaluation.score.value"] == 1.0


def test_a_policy_routes(provider: LoopbackProvider, client: openai.OpenAI) -> None:
    """Calls are routed by the policy given, and by none of the environment's."""
    policy = parse(
        'version = 1\nmode = "enforce"\n[[rule]]\nid = "r"\nkind = "route"\nto = "gpt-4o-mini"\n'
        'share = 1.0\nholdout = 0\nwhen = { request_model = ["gpt-4o"] }\n'
    )

    with capture_calls(policy) as captured:
        ask(client)

    assert [call.request_model for call in captured.calls] == ["gpt-4o-mini"]
    assert [request.model for request in provider.requests] == ["gpt-4o-mini"]


def test_a_policy_that_is_missing() -> None:
    """A policy that cannot be read is an error of the test, and leaves nothing behind."""
    with pytest.raises(PolicyError), capture_calls("no-such-policy.toml"):
        pytest.fail("the block ran")

    assert _wrap.active_runtime() is None


def test_the_global_provider_is_left_alone(client: openai.OpenAI) -> None:
    """No provider is set for the process."""
    before = trace.get_tracer_provider()

    with capture_calls():
        ask(client)

    assert trace.get_tracer_provider() is before
