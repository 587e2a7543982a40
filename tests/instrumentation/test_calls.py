from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import openai
import pytest
from opentelemetry import context, trace

from tierwise import evaluations, use_case
from tierwise.instrumentation import calls, instrument, uninstrument
from tierwise.instrumentation.observation import Observation
from tierwise.instrumentation.request import Outgoing
from tierwise.instrumentation.sdk import Reply
from tierwise.instrumentation.streams import StreamWatch
from tierwise.settings import Settings
from tierwise.testing import Answer, Fault, LoopbackProvider

from .installed_sdks import OPENAI_HTTP, skip_without

if TYPE_CHECKING:
    from .conftest import Caller, Spans

CANARY = "the canary sings at dawn"

# --- observing --------------------------------------------------------------------------------------------------------


def test_one_span(caller: Caller, instrumented: Spans) -> None:
    """A call is one span of kind CLIENT that carries model, usage with the whole input, cost, task and server."""
    caller.create()

    span = instrumented.only
    assert span.name == f"{'text_completion' if caller.api == 'completions' else 'chat'} {caller.model}"
    assert (span.kind, span.status, span.events) == ("CLIENT", "UNSET", ())
    assert span.attributes["gen_ai.request.model"] == caller.model
    assert span.attributes["gen_ai.response.model"] == caller.model
    assert span.attributes["gen_ai.usage.input_tokens"] == 1200
    assert span.attributes["gen_ai.usage.output_tokens"] == 64
    assert span.attributes["gen_ai.usage.cost.amount"] > 0
    assert span.attributes["server.address"] == "127.0.0.1"
    assert span.attributes["tierwise.task.type"]
    assert "gen_ai.request.stream" not in span.attributes
    assert "tierwise.route.requested_model" not in span.attributes


def test_every_attribute(chat: Caller, instrumented: Spans) -> None:
    """The attributes of a chat completion, exactly, names and types."""
    chat.create(temperature=0, max_tokens=50, stop=["END"], n=1, user=openai.NOT_GIVEN)

    attributes = instrumented.only.attributes
    for measured in ("server.port", "tierwise.task.confidence", "tierwise.task.source", "tierwise.use_case.id"):
        assert attributes.pop(measured)
    assert attributes == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.max_tokens": 50,
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.request.stop_sequences": ("END",),
        "gen_ai.request.temperature": 0.0,
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.response.id": "chatcmpl-000000000001",
        "gen_ai.response.model": "gpt-4o",
        "gen_ai.system": "openai",
        "gen_ai.usage.cache_creation.input_tokens": 200,
        "gen_ai.usage.cache_read.input_tokens": 900,
        "gen_ai.usage.cache_write.input_tokens": 200,
        "gen_ai.usage.cost.amount": 0.002515,
        "gen_ai.usage.cost.currency": "USD",
        "gen_ai.usage.cost.source": "local",
        "gen_ai.usage.input_tokens": 1200,
        "gen_ai.usage.output_tokens": 64,
        "gen_ai.usage.reasoning.output_tokens": 10,
        "openai.api.type": "chat_completions",
        "openai.response.service_tier": "default",
        "openai.response.system_fingerprint": "fp_tierwise",
        "server.address": "127.0.0.1",
        "tierwise.complexity.band": "low",
        "tierwise.cost.cache_read_usd": 0.001125,
        "tierwise.cost.cache_write_usd": 0.0005,
        "tierwise.cost.input_usd": 0.00025,
        "tierwise.cost.output_usd": 0.00064,
        "tierwise.price.version": attributes["tierwise.price.version"],
        "tierwise.priced": True,
        "tierwise.task.type": "question_answering_open",
    }
    assert type(attributes["gen_ai.request.temperature"]) is float


def test_answer_is_the_sdks_own(caller: Caller, spans: Spans, request: pytest.FixtureRequest) -> None:
    """The answer equals the one without instrumentation, and has the same class."""
    bare = caller.create()

    request.getfixturevalue("instrumented")
    answer = caller.create()

    assert type(answer) is type(bare)
    assert (
        answer.model_dump(exclude={"id", "created", "created_at"}).keys()
        == bare.model_dump(exclude={"id", "created", "created_at"}).keys()
    )
    assert answer.usage == bare.usage


@pytest.mark.parametrize("is_async", [False, True])
def test_embeddings(is_async: bool, make_caller: Callable[[str, bool], Caller], instrumented: Spans) -> None:
    """An embedding is one span, priced by its input."""
    caller = make_caller("chat_completions", is_async)

    caller.wait(caller.client.embeddings.create(model="text-embedding-3-small", input=["a", "b"]))

    span = instrumented.only
    assert span.name == "embeddings text-embedding-3-small"
    assert span.attributes["gen_ai.usage.input_tokens"] == 1200
    assert span.attributes["tierwise.task.type"] == "embedding"
    assert span.attributes["tierwise.priced"] is True


@pytest.mark.parametrize("is_async", [False, True])
def test_what_is_not_billed(is_async: bool, make_caller: Callable[[str, bool], Caller], instrumented: Spans) -> None:
    """Listing models and counting tokens is nobody's bill and no span."""
    chat, claude = make_caller("chat_completions", is_async), make_caller("messages", is_async)
    skip_without(claude.client, "messages.count_tokens")
    counted = {name: value for name, value in claude.arguments.items() if name != "max_tokens"}

    async def list_models() -> None:
        await chat.client.models.list()

    chat.wait(list_models()) if is_async else chat.client.models.list()
    claude.wait(claude.client.messages.count_tokens(**counted))
    claude.wait(claude.client.beta.messages.count_tokens(**counted))

    assert instrumented.ended == []


def test_parse(make_caller: Callable[[str, bool], Caller], instrumented: Spans) -> None:
    """The parsing helpers of both OpenAI APIs are one span each."""
    client = make_caller("chat_completions", False).client
    skip_without(client, "chat.completions.parse")
    skip_without(client, "responses.parse")

    client.chat.completions.parse(model="gpt-4o", messages=[{"role": "user", "content": "hi"}])
    client.responses.parse(model="gpt-4o", input="hi")

    assert [span.name for span in instrumented.ended] == ["chat gpt-4o", "chat gpt-4o"]


def test_tool_runner(make_caller: Callable[[str, bool], Caller], instrumented: Spans) -> None:
    """The beta tool runner makes one span for each of its requests."""
    client = make_caller("beta_messages", False).client
    skip_without(client, "beta.messages.tool_runner")

    runner = client.beta.messages.tool_runner(
        model="claude-opus-4-7", max_tokens=100, messages=[{"role": "user", "content": "hi"}], tools=[]
    )
    runner.until_done()

    assert instrumented.only.name == "chat claude-opus-4-7"


def test_plain_post(chat: Caller, instrumented: Spans) -> None:
    """A request made by hand, answered as a dict or as the HTTP response, is read all the same."""
    body = dict(chat.arguments)

    as_dict = chat.client.post("/chat/completions", body=body, cast_to=object)
    as_response = chat.client.post("/chat/completions", body=body, cast_to=OPENAI_HTTP.Response)

    assert as_dict["usage"]["prompt_tokens"] == 1200
    assert as_response.json()["usage"]["prompt_tokens"] == 1200
    assert [span.attributes["gen_ai.usage.input_tokens"] for span in instrumented.ended] == [1200, 1200]


@pytest.mark.parametrize("status", [400, 429, 500])
def test_error_of_the_provider(
    status: int, caller: Caller, provider: LoopbackProvider, instrumented: Spans, caplog: pytest.LogCaptureFixture
) -> None:
    """The SDK's own error reaches the user; the span has its class, and none of its text."""
    provider.script([Fault.http_status(status, CANARY)])

    with pytest.raises(caller.sdk.APIStatusError) as raised:
        caller.create()

    span = instrumented.only
    assert CANARY in str(raised.value)
    assert raised.value.__context__ is None or "tierwise" not in repr(raised.value.__context__)
    assert (span.status, span.description, span.events) == ("ERROR", None, ())
    assert span.attributes["error.type"] == type(raised.value).__name__
    assert span.attributes["tierwise.unpriced.reason"] == "no usage reported"
    assert CANARY not in repr(span)
    assert CANARY not in caplog.text


def test_content_stays_out(caller: Caller, provider: LoopbackProvider, instrumented: Spans) -> None:
    """Neither prompt nor answer is on the span, unless asked for."""
    provider.answer(lambda _: Answer(f"{CANARY}!"))
    key = next(name for name in ("messages", "input", "prompt") if name in caller.arguments)
    prompt = [{"role": "user", "content": CANARY}] if key == "messages" else CANARY

    caller.create(**{key: prompt})
    caller.stream(**{key: prompt}).read()

    assert CANARY not in repr(instrumented.ended)


def test_content_on_request(
    caller: Caller, spans: Spans, monkeypatch: pytest.MonkeyPatch, provider: LoopbackProvider
) -> None:
    """The standard variable puts prompt and answer on the span, streamed or not."""
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "span_only")
    instrument(settings=Settings(), tracer_provider=spans.tracer_provider)

    caller.create()
    caller.stream().read()
    uninstrument()

    for span in spans.ended:
        assert "Capital of France?" in span.attributes["gen_ai.input.messages"]
        assert "Paris is the capital" in span.attributes["gen_ai.output.messages"]


@pytest.mark.parametrize("key", ["suppress_instrumentation", context._SUPPRESS_INSTRUMENTATION_KEY])
def test_suppressed(key: str, caller: Caller, instrumented: Spans) -> None:
    """A call made where instrumentation is suppressed is left alone."""
    token = context.attach(context.set_value(key, True))
    try:
        caller.create()
        caller.stream().read()
    finally:
        context.detach(token)

    assert instrumented.ended == []


def test_cancelled(make_caller: Callable[[str, bool], Caller], provider: LoopbackProvider, instrumented: Spans) -> None:
    """A call that is cancelled ends its span, which is no error."""
    provider.answer(lambda _: Answer("late", latency_s=5))
    caller = make_caller("chat_completions", True)

    async def main() -> None:
        async with asyncio.timeout(0.1):
            await caller.resource.create(**caller.arguments)

    with pytest.raises(TimeoutError):
        caller.wait(main())

    span = instrumented.only
    assert (span.status, span.attributes.get("error.type")) == ("UNSET", None)
    assert span.attributes["tierwise.usage.partial"] is True


def test_current_while_the_sdk_calls(chat: Caller, instrumented: Spans, provider: LoopbackProvider) -> None:
    """The call's span is current while the SDK sends the request, so that spans of the HTTP client nest under it."""
    seen: list[trace.SpanContext] = []

    def note(_: Any) -> None:
        seen.append(trace.get_current_span().get_span_context())

    with openai.OpenAI(
        base_url=provider.openai_base_url, api_key="x", http_client=OPENAI_HTTP.Client(event_hooks={"request": [note]})
    ) as client:
        client.chat.completions.create(**chat.arguments)

    assert seen == [instrumented.only.context]
    assert not trace.get_current_span().get_span_context().is_valid


# --- never altering the call ------------------------------------------------------------------------------------------


def test_odd_bodies(chat: Caller, instrumented: Spans) -> None:
    """Requests without a body, or with a body that is no object, go out as they are."""
    for body in (None, [1, 2]):
        with pytest.raises(openai.APIStatusError):
            chat.client.post("/chat/completions", body=body, cast_to=object)

    assert [span.attributes["gen_ai.request.model"] for span in instrumented.ended] == ["unknown", "unknown"]


def test_our_own_error_before(
    caller: Caller, instrumented: Spans, outside_pytest: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When reading the request fails in our code, the call goes out as if we were not there."""

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(calls, "read_outgoing", fail)

    assert caller.create() is not None
    assert instrumented.ended == []


def test_our_own_error_after(
    caller: Caller, instrumented: Spans, outside_pytest: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When reading the answer fails in our code, the user has their answer, and the span ends."""

    def fail(*_: object) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(calls, "watch", fail)

    assert caller.create() is not None
    assert instrumented.only.status == "UNSET"


def test_odd_answers(chat: Caller, provider: LoopbackProvider, instrumented: Spans) -> None:
    """An answer with nothing where something is expected breaks neither the user's code nor ours."""
    odd = [
        {},
        {"choices": [None]},
        {"choices": [{"message": None}], "usage": {"prompt_tokens": None}},
        {"id": 7, "model": None, "choices": [], "usage": {"prompt_tokens": "many", "completion_tokens": -1}},
    ]
    provider.script([Fault.http_status(200, body=body) for body in odd])

    for _ in odd:
        chat.create()

    assert len(instrumented.ended) == len(odd)


# --- usage on streams -------------------------------------------------------------------------------------------------


def test_usage_the_caller_asked_for(chat: Caller, provider: LoopbackProvider, instrumented: Spans) -> None:
    """A caller who asked for usage gets its chunk."""
    chunks = chat.stream(stream_options={"include_usage": True}).read()

    assert chunks[-1].choices == []
    assert chunks[-1].usage.prompt_tokens == 1200


def test_usage_the_caller_declined(chat: Caller, provider: LoopbackProvider, instrumented: Spans) -> None:
    """Stream options are the caller's: where they leave usage out, it is estimated and marked so."""
    chat.stream(stream_options={"include_usage": False}).read()

    (request,) = provider.requests
    assert request.body["stream_options"] == {"include_usage": False}
    attributes = instrumented.only.attributes
    assert attributes["tierwise.usage.estimated"] is True
    assert attributes["gen_ai.usage.output_tokens"] == 16
    assert "tierwise.usage.partial" not in attributes


@pytest.mark.parametrize("settings", [Settings(inject_usage=False)])
def test_asking_for_usage_can_be_turned_off(
    settings: Settings, chat: Caller, provider: LoopbackProvider, instrumented: Spans
) -> None:
    """`TIERWISE_INJECT_USAGE=false` leaves the request alone."""
    chat.stream().read()

    (request,) = provider.requests
    assert "stream_options" not in request.body
    assert instrumented.only.attributes["tierwise.usage.estimated"] is True


def test_other_hosts_are_not_asked(chat: Caller, provider: LoopbackProvider, instrumented: Spans) -> None:
    """A host that may not know the option is not sent it."""
    transport = OPENAI_HTTP.HTTPTransport()

    def forward(request: Any) -> Any:
        request.url = request.url.copy_with(scheme="http", host="127.0.0.1", port=provider.port)
        return transport.handle_request(request)

    with openai.OpenAI(
        base_url="http://llm.internal/v1",
        api_key="x",
        http_client=OPENAI_HTTP.Client(transport=OPENAI_HTTP.MockTransport(forward)),
    ) as client:
        list(client.chat.completions.create(**chat.arguments, stream=True))
    transport.close()

    (request,) = provider.requests
    assert "stream_options" not in request.body
    span = instrumented.only
    assert span.attributes["server.address"] == "llm.internal"
    assert span.attributes["tierwise.usage.estimated"] is True


def test_nothing_is_left_behind(chat: Caller, instrumented: Spans, provider: LoopbackProvider) -> None:
    """Calls that are over, in whichever way, leave nothing of ours in memory."""

    def alive() -> list[object]:
        gc.collect()
        return [item for item in gc.get_objects() if isinstance(item, (Observation, Outgoing, Reply, StreamWatch))]

    before = alive()
    for _ in range(20):
        chat.create()
        chat.stream().read()
        chat.stream().next()
        chat.resource.with_raw_response.create(**chat.arguments, stream=True)
        provider.script([Fault.server_error()])
        with pytest.raises(openai.InternalServerError):
            chat.create()
    gc.collect()
    assert len(instrumented.ended) == 100

    assert [item for item in alive() if not any(item is known for known in before)] == []


# --- checks -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def checked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """What is scheduled for checks: request body, answer and the rest."""
    scheduled: list[tuple[Any, ...]] = []
    monkeypatch.setattr(evaluations, "has_check", lambda use_case_id, name: name == "capitals")
    monkeypatch.setattr(evaluations, "schedule", lambda *arguments, **rest: scheduled.append((*arguments, rest)))
    return scheduled


@pytest.mark.parametrize("stream", [False, True])
def test_checks_are_scheduled(
    stream: bool, caller: Caller, instrumented: Spans, checked: list[tuple[Any, ...]]
) -> None:
    """A use case with a check has its answers checked, streamed or not, against the span they belong to."""
    with use_case("capitals"):
        caller.stream().read() if stream else caller.create()
    caller.create()

    ((body, answer, rest),) = checked
    assert body["model"] == caller.model
    assert answer.text.startswith("Paris is the capital")
    assert answer.finish_reason in ("stop", "end_turn")
    assert answer.model == caller.model
    assert rest["span_context"] == instrumented.ended[0].context
    assert rest["use_case_name"] == "capitals"
    assert rest["response_id"] == instrumented.ended[0].attributes["gen_ai.response.id"]


def test_checks_see_what_was_asked(chat: Caller, instrumented: Spans, checked: list[tuple[Any, ...]]) -> None:
    """A check sees the request as it was sent, though the user goes on with the same list."""
    messages = [{"role": "user", "content": "Capital of France?"}]
    with use_case("capitals"):
        chat.create(messages=messages)
    messages.append({"role": "assistant", "content": "Paris"})

    ((body, _, _),) = checked
    assert body["messages"] == [{"role": "user", "content": "Capital of France?"}]


def test_failed_calls_are_not_checked(
    chat: Caller, provider: LoopbackProvider, instrumented: Spans, checked: list[tuple[Any, ...]]
) -> None:
    """There is nothing to check about an error, or about a stream that was left early."""
    provider.script([Fault.server_error(), Answer("x" * 200)])
    with use_case("capitals"):
        with pytest.raises(openai.InternalServerError):
            chat.create()
        chat.stream().leave_block_after(2)

    assert len(instrumented.ended) == 2
    assert checked == []
