from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import openai
import pydantic
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry import trace

from tierwise import check, checks, evaluations, use_case
from tierwise.checks import registered
from tierwise.instrumentation import instrument, uninstrument
from tierwise.instrumentation.attempts import Ladder, Rung
from tierwise.routing.policy import parse
from tierwise.settings import Settings
from tierwise.testing import Answer, Fault, LoopbackProvider, ProviderRequest, ProviderUsage, ToolCall, capture_spans

from .installed_sdks import skip_without

if TYPE_CHECKING:
    from .conftest import Caller, Spans

WEAK, STRONG = "gpt-4o-mini", "gpt-4o"
MESSAGES = [{"role": "user", "content": "Capital of France?"}]


class City(pydantic.BaseModel):
    name: str
    country: str


GOOD = '{"name": "Paris", "country": "France"}'
TOOL = {
    "type": "function",
    "function": {
        "name": "look_up",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
            "additionalProperties": False,
        },
    },
}


def rule(
    on: str = '"schema", "refusal"', *, to: str = WEAK, requested: str = STRONG, more: str = "", extra: str = ""
) -> str:
    return (
        f'[[rule]]\nid = "cheaper"\nkind = "cascade"\nto = "{to}"\nsticky = "none"\n{extra}'
        f'when = {{ request_model = ["{requested}"] }}\n[rule.escalate]\non = [{on}]\n{more}'
    )


def by_model(**says: Answer | Fault | str) -> Callable[[ProviderRequest], Answer | Fault | str]:
    """What each model says, `_` in place of `-` and `.`; the strong one says `strong` otherwise."""
    return lambda request: says.get(request.model.replace("-", "_").replace(".", "_"), Answer("strong"))


def asked(provider: LoopbackProvider) -> list[str]:
    return [request.model for request in provider.requests]


def decisions(spans: Spans) -> list[tuple[str, str]]:
    ended = sorted(spans.ended, key=lambda span: span.start_ns)
    return [(span.attributes["gen_ai.request.model"], span.attributes["tierwise.route.decision"]) for span in ended]


@pytest.fixture(params=[False, True], ids=["sync", "async"])
def chatting(request: pytest.FixtureRequest, make_caller: Callable[[str, bool], Caller]) -> Caller:
    return make_caller("chat_completions", request.param)


# --- what the caller gets ---------------------------------------------------------------------------------------------


def test_parsed_into_the_callers_model(
    chatting: Caller, route: Callable[[str], Spans], provider: LoopbackProvider
) -> None:
    """An answer that the SDK cannot parse into the caller's own model escalates, costed; one that it can is parsed."""
    skip_without(chatting.client, "chat.completions.parse")
    spans = route(rule('"refusal"'))
    provider.answer(by_model(gpt_4o_mini='{"name": "Paris"}', gpt_4o=GOOD))

    escalated = chatting.wait(chatting.resource.parse(model=STRONG, messages=MESSAGES, response_format=City))
    provider.answer(by_model(gpt_4o_mini=GOOD, gpt_4o="not JSON"))
    accepted = chatting.wait(chatting.resource.parse(model=STRONG, messages=MESSAGES, response_format=City))

    assert escalated.choices[0].message.parsed == accepted.choices[0].message.parsed == City.model_validate_json(GOOD)
    assert type(escalated) is type(accepted)
    assert asked(provider) == [WEAK, STRONG, WEAK]
    rejected = min(spans.ended, key=lambda span: span.start_ns)
    assert rejected.attributes["tierwise.attempt.rejected_by"] == "schema"
    assert "ValidationError" in rejected.attributes["tierwise.attempt.reason"]
    assert rejected.attributes["gen_ai.usage.cost.amount"] > 0


@pytest.mark.parametrize("arguments", ['{"city": "Paris"}', '{"town": "Paris"}'], ids=["good", "bad"])
def test_tool_call_deltas(
    arguments: str, chatting: Caller, route: Callable[[str], Spans], provider: LoopbackProvider
) -> None:
    """The tool call of a checked stream adds up to one call of one model."""
    route(rule('"schema"'))
    strong = Answer(tool_calls=[ToolCall("look_up", '{"city": "Lyon"}')], chunk_chars=3)
    provider.answer(
        by_model(gpt_4o_mini=Answer(tool_calls=[ToolCall("look_up", arguments)], chunk_chars=3), gpt_4o=strong)
    )

    chunks = chatting.stream(tools=[TOOL]).read()

    written = "".join(
        call.function.arguments or ""
        for chunk in chunks
        for choice in chunk.choices
        for call in choice.delta.tool_calls or ()
    )
    is_good = arguments == '{"city": "Paris"}'
    assert json.loads(written) == {"city": "Paris" if is_good else "Lyon"}
    assert {chunk.model for chunk in chunks} == {WEAK if is_good else STRONG}
    assert len({chunk.id for chunk in chunks}) == 1


def test_stream_helper(
    make_caller: Callable[[str, bool], Caller], route: Callable[[str], Spans], provider: LoopbackProvider
) -> None:
    """The SDK's own stream helper reads a checked stream as any other, parsed result included."""
    spans = route(rule())
    provider.answer(by_model(gpt_4o_mini=Answer(GOOD, chunk_chars=5)))
    chat = make_caller("chat_completions", False)
    skip_without(chat.client, "chat.completions.stream")

    with chat.resource.stream(model=STRONG, messages=MESSAGES, response_format=City) as stream:
        events = [event.type for event in stream]
        final = stream.get_final_completion()

    assert final.choices[0].message.parsed == City.model_validate_json(GOOD)
    assert events.count("content.delta") > 1
    assert decisions(spans) == [(WEAK, "routed")]


def test_claude_stream_helper(
    make_caller: Callable[[str, bool], Caller], route: Callable[[str], Spans], provider: LoopbackProvider
) -> None:
    """Anthropic's text stream escalates like any other."""
    spans = route(rule('"refusal"', to="claude-haiku-4-5", requested="claude-opus-4-7"))
    provider.answer(by_model(claude_haiku_4_5=Answer("I can't help.", refusal=True)))
    claude = make_caller("messages", False)

    with claude.resource.stream(**claude.arguments) as stream:
        text = "".join(stream.text_stream)
        message = stream.get_final_message()

    assert (text, message.model) == ("strong", "claude-opus-4-7")
    assert decisions(spans) == [("claude-haiku-4-5", "rejected"), ("claude-opus-4-7", "escalated")]


@pytest.mark.parametrize("stream", [False, True])
def test_raw_responses(
    stream: bool, chatting: Caller, route: Callable[[str], Spans], provider: LoopbackProvider
) -> None:
    """A raw response is the SDK's own, with the bytes of the model that was accepted."""
    spans = route(rule())
    provider.answer(by_model(gpt_4o_mini=Answer("weak", refusal=True)))

    raw = chatting.wait(chatting.resource.with_raw_response.create(**chatting.arguments, stream=stream))

    assert type(raw).__name__ == "LegacyAPIResponse"
    if not stream:
        assert raw.parse().choices[0].message.content == "strong"
    elif chatting.run is None:
        assert any(chunk.choices for chunk in raw.parse())
    assert asked(provider) == [WEAK, STRONG]
    assert decisions(spans)[0] == (WEAK, "rejected")


@pytest.mark.parametrize("weak", [Answer("weak"), Answer("weak", refusal=True)], ids=["accepted", "rejected"])
def test_streaming_responses(
    weak: Answer, make_caller: Callable[[str, bool], Caller], route: Callable[[str], Spans], provider: LoopbackProvider
) -> None:
    """`with_streaming_response` gives the events of one model, whichever way it is read."""
    route(rule())
    provider.answer(by_model(gpt_4o_mini=weak))
    chat = make_caller("chat_completions", False)

    with chat.resource.with_streaming_response.create(**chat.arguments, stream=True) as response:
        events = [json.loads(line[6:]) for line in response.iter_lines() if line.startswith("data: {")]

    assert {event["model"] for event in events} == {STRONG if weak.refusal else WEAK}


def test_usage_that_was_not_asked_for_stays_hidden(
    chatting: Caller, route: Callable[[str], Spans], provider: LoopbackProvider
) -> None:
    """The chunk with the usage, which only we asked for, is not among those of a checked stream."""
    spans = route(rule())
    provider.answer(by_model(gpt_4o_mini=Answer("weak", usage=ProviderUsage(900, 90))))

    chunks = chatting.stream().read()

    assert all(chunk.choices and chunk.usage is None for chunk in chunks)
    assert spans.only.attributes["gen_ai.usage.output_tokens"] == 90


def test_time_to_first_chunk_is_what_the_caller_saw(
    chatting: Caller, route: Callable[[str], Spans], provider: LoopbackProvider
) -> None:
    """A stream that is held back for its checks has its first chunk when it is handed out; after an escalation the
    cheaper model's time counts too."""
    spans = route(rule())
    slow = Answer("a weak answer", chunk_delay_s=0.03, chunk_chars=2)
    provider.answer(by_model(gpt_4o_mini=slow))
    chatting.stream().read()
    held_back = spans.only
    provider.answer(by_model(gpt_4o_mini=replace(slow, refusal=True)))

    chatting.stream().read()

    escalated = max(spans.ended, key=lambda span: span.start_ns)
    key = "gen_ai.response.time_to_first_chunk"
    assert held_back.attributes[key] > 0.15
    assert held_back.attributes["tierwise.attempt.buffered"] is True
    assert escalated.attributes[key] > escalated.attributes["tierwise.attempt.started_after_s"] > 0.15


def test_stream_left_early(chatting: Caller, route: Callable[[str], Spans], provider: LoopbackProvider) -> None:
    """A caller may leave a checked stream after a chunk; what it has cost is all of it."""
    spans = route(rule())
    provider.answer(by_model(gpt_4o_mini=Answer("a long weak answer", chunk_chars=2, usage=ProviderUsage(900, 90))))

    chatting.stream().leave_block_after(1)

    assert spans.only.attributes["gen_ai.usage.output_tokens"] == 90
    assert "tierwise.usage.partial" not in spans.only.attributes


# --- tiers ------------------------------------------------------------------------------------------------------------


def test_several_tiers(chatting: Caller, route: Callable[[str], Spans], provider: LoopbackProvider) -> None:
    """Tiers are asked in their order, the requested model last, and all of them are one call of the caller's."""
    spans = route(rule(to="gpt-4.1-mini", more=f'to = ["{WEAK}"]'))
    provider.answer(by_model(gpt_4_1_mini=Fault.server_error(), gpt_4o_mini=Answer("no", refusal=True)))

    text = chatting.create().choices[0].message.content

    assert text == "strong"
    assert decisions(spans) == [("gpt-4.1-mini", "rejected"), (WEAK, "rejected"), (STRONG, "escalated")]
    ended = sorted(spans.ended, key=lambda span: span.start_ns)
    assert [span.attributes["tierwise.attempt.number"] for span in ended] == [1, 2, 3]
    assert [span.attributes["tierwise.attempt.accepted"] for span in ended] == [False, False, True]
    assert len({span.attributes["tierwise.attempt.of"] for span in ended}) == 1
    assert len({span.context.trace_id for span in ended}) == 1


def test_a_tier_that_cannot_serve_the_request_is_skipped(
    chat: Caller, route: Callable[[str], Spans], provider: LoopbackProvider
) -> None:
    """A tier without what the request needs is left out, and the span says why."""
    spans = route(rule(to="gpt-3.5-turbo", more=f'to = ["{WEAK}"]'))
    provider.answer(by_model(gpt_4o_mini=Answer(GOOD)))

    chat.create(
        response_format={"type": "json_schema", "json_schema": {"name": "c", "schema": City.model_json_schema()}}
    )

    assert asked(provider) == [WEAK]
    assert "not sent to gpt-3.5-turbo: " in spans.only.attributes["tierwise.route.reason"]


def test_complexity_goes_straight_up(chat: Caller, route: Callable[[str], Spans], provider: LoopbackProvider) -> None:
    """A request that is over a limit before the call is not put to the first model; without another it stays."""
    spans = route(rule('"refusal", "complexity"', more="max_input_tokens = 50"))
    long = [{"role": "user", "content": "word " * 200}]

    chat.create(messages=long)

    assert asked(provider) == [STRONG]
    assert spans.only.attributes["tierwise.route.decision"] == "unchanged"
    assert "input tokens, more than 50" in spans.only.attributes["tierwise.route.reason"]
    assert "tierwise.route.arm" not in spans.only.attributes


def test_adapted_for_each_tier(chat: Caller, route: Callable[[str], Spans], provider: LoopbackProvider) -> None:
    """Only the first attempts are adapted and tried once; the last is what the user wrote."""
    route(rule())
    provider.answer(by_model(gpt_4o_mini=Answer("no", refusal=True)))

    chat.create(max_tokens=50, user="u1")

    weak, strong = provider.requests
    assert {**weak.body, "model": STRONG} == strong.body
    assert strong.body == {"model": STRONG, "messages": MESSAGES, "max_tokens": 50, "user": "u1"}


# --- checks -----------------------------------------------------------------------------------------------------------


@contextmanager
def checked_by(function: Callable[..., Any]) -> Generator[None]:
    registered.register_function("cities", "right_city", function)
    try:
        yield
    finally:
        registered.unregister("cities")


def test_the_users_own_check(chatting: Caller, route: Callable[[str], Spans], provider: LoopbackProvider) -> None:
    """An answer that contradicts what the user knows escalates; in an async app the loop goes on meanwhile."""
    spans = route(rule('"contradiction"', more="check_timeout_s = 5"))
    provider.answer(by_model(gpt_4o_mini="Rome"))
    ticks = 0

    def knows(_: Any, answer: checks.Answer) -> bool:
        time.sleep(0.1)
        return answer.text != "Rome"

    async def ask() -> Any:
        nonlocal ticks

        async def tick() -> None:
            nonlocal ticks
            while True:
                await asyncio.sleep(0.005)
                ticks += 1

        ticking = asyncio.ensure_future(tick())
        try:
            return await chatting.resource.create(**chatting.arguments)
        finally:
            ticking.cancel()

    with checked_by(knows), use_case("cities"):
        answer = chatting.wait(ask()) if chatting.is_async else chatting.create()

    assert answer.choices[0].message.content == "strong"
    assert decisions(spans) == [(WEAK, "rejected"), (STRONG, "escalated")]
    if chatting.is_async:
        assert ticks > 3


def test_a_check_that_cannot_be_decided_is_passed(
    chat: Caller, route: Callable[[str], Spans], provider: LoopbackProvider
) -> None:
    """A check that takes too long holds nothing up and escalates nothing."""
    spans = route(rule('"contradiction"', more="check_timeout_s = 0.05"))
    provider.answer(by_model(gpt_4o_mini="Rome"))

    def sleeps(*_: Any) -> bool:
        time.sleep(0.5)
        return False

    with checked_by(sleeps), use_case("cities"):
        answer = chat.create()

    assert answer.choices[0].message.content == "Rome"
    assert spans.only.attributes["tierwise.check.contradiction"] == "undecided"


@pytest.mark.parametrize("says", [["Paris", "Paris", "Paris"], ["Paris", "Rome", "Oslo"]], ids=["alike", "different"])
def test_agreement(
    says: list[str], chatting: Caller, route: Callable[[str], Spans], provider: LoopbackProvider
) -> None:
    """A model that does not agree with itself escalates; each sample is a costed attempt of its own."""
    spans = route(rule('"agreement"', more="samples = 3\ncheck_timeout_s = 5"))
    provider.script([*says, "strong"])

    text = chatting.create().choices[0].message.content

    is_alike = says[1] == "Paris"
    assert text == ("Paris" if is_alike else "strong")
    assert asked(provider) == [WEAK] * 3 + ([] if is_alike else [STRONG])
    ended = sorted(spans.ended, key=lambda span: span.start_ns)
    by = [span.attributes.get("tierwise.attempt.rejected_by") for span in ended]
    assert by == [None if is_alike else "agreement", "sample", "sample"] + ([] if is_alike else [None])
    assert all(span.attributes["gen_ai.usage.cost.amount"] > 0 for span in ended)


def test_background_checks_see_the_answer_that_was_handed_out(
    chat: Caller, route: Callable[[str], Spans], provider: LoopbackProvider
) -> None:
    """A check in the background is about what the caller got, and runs once."""
    route(rule())
    provider.answer(by_model(gpt_4o_mini=Answer("weak", refusal=True)))
    seen: list[str] = []

    @check("cities-in-the-background")
    def sees(_: Any, answer: Any) -> None:
        seen.append(answer.text)

    with use_case("cities-in-the-background"):
        chat.create()

    assert evaluations._worker.drain(10)
    assert seen == ["strong"]


# --- what must not happen ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("failing", ["next", "enter", "leave", "read", "judge", "settled", "hand_out"])
@pytest.mark.parametrize("stream", [False, True])
def test_our_own_error(
    failing: str,
    stream: bool,
    chatting: Caller,
    route: Callable[[str], Spans],
    provider: LoopbackProvider,
    outside_pytest: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever breaks on our side, the caller gets an answer, never an error of ours, and their span stays theirs."""
    route(rule())
    before = trace.get_current_span()
    provider.answer(lambda _: "the same")

    def fail(*_: Any) -> Any:
        raise RuntimeError

    monkeypatch.setattr(Ladder if failing == "next" else Rung, failing, fail)

    if stream:
        chunks = chatting.stream().read()
        text = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    else:
        text = chatting.create().choices[0].message.content

    assert text == "the same"
    assert trace.get_current_span() is before


def test_interrupted_while_held_back(
    make_caller: Callable[[str, bool], Caller], route: Callable[[str], Spans], provider: LoopbackProvider
) -> None:
    """A caller that is cancelled while a stream is held back is so at once, and the attempt is recorded as the call."""
    spans = route(rule())
    caller = make_caller("chat_completions", True)
    provider.answer(by_model(gpt_4o_mini=Answer("a slow answer", chunk_delay_s=0.3, chunk_chars=1)))

    async def leave() -> None:
        task = asyncio.ensure_future(caller.resource.create(**caller.arguments, stream=True))
        while not provider.requests:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    caller.wait(leave())

    assert asked(provider) == [WEAK]
    assert spans.only.attributes["tierwise.attempt.accepted"] is True
    assert spans.only.status == "UNSET"


def test_the_users_own_error_is_theirs(chat: Caller, route: Callable[[str], Spans], provider: LoopbackProvider) -> None:
    """A key press in the middle of the first attempt is not answered with another one."""
    route(rule())

    def interrupt(_: Any) -> None:
        raise KeyboardInterrupt

    client = openai.OpenAI(base_url=provider.openai_base_url, api_key="x", max_retries=0)
    client._client.event_hooks = {"request": [interrupt], "response": []}
    with client, pytest.raises(KeyboardInterrupt):
        client.chat.completions.create(**chat.arguments)

    assert provider.requests == []


@pytest.mark.parametrize(
    ("changes", "reason"),
    [({"n": 2}, "several answers"), ({"seed": 7, "logit_bias": {"1": 2}}, None)],
)
def test_answers_that_cannot_be_checked_stay(
    changes: dict[str, Any], reason: str | None, chat: Caller, route: Callable[[str], Spans], provider: LoopbackProvider
) -> None:
    """A request whose answer is not one to check goes where it was meant to go."""
    spans = route(rule())

    chat.create(**changes)

    if reason is not None:
        assert asked(provider) == [STRONG]
        assert reason in spans.only.attributes["tierwise.route.reason"]


def test_failures_suspend_the_rule(chat: Caller, route: Callable[[str], Spans], provider: LoopbackProvider) -> None:
    """A first model that keeps failing is left alone for a while."""
    spans = route(rule())
    provider.answer(by_model(gpt_4o_mini=Fault.server_error()))

    for _ in range(6):
        chat.create()

    assert asked(provider)[-1:] == [STRONG]
    assert asked(provider).count(WEAK) == 5
    assert "suspended" in max(spans.ended, key=lambda span: span.start_ns).attributes["tierwise.route.reason"]


# --- laws -------------------------------------------------------------------------------------------------------------

policies = st.sampled_from(
    [
        'mode = "enforce"',
        'mode = "off"\n' + rule(),
        'mode = "shadow"\n' + rule(),
        'mode = "enforce"\n' + rule(to="a-model-that-nobody-knows"),
        'mode = "enforce"\n' + rule(extra="enabled = false\n"),
        'mode = "enforce"\n'
        + rule()
        .replace('"cascade"', '"speculative"')
        .replace("[rule.escalate]", "[rule.speculate]")
        .replace(WEAK, "a-model-that-nobody-knows"),
    ]
)
arguments = st.fixed_dictionaries(
    {
        "messages": st.lists(
            st.fixed_dictionaries({"role": st.just("user"), "content": st.text(max_size=20)}), min_size=1
        )
    },
    optional={
        "temperature": st.floats(0, 2),
        "max_tokens": st.integers(1, 1000),
        "stop": st.lists(st.text(min_size=1, max_size=5), min_size=1, max_size=3),
        "extra_body": st.dictionaries(st.sampled_from(["metadata", "safety_identifier"]), st.text(max_size=5)),
        "stream": st.just(False),
    },
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(policy=policies, given_arguments=arguments)
def test_what_no_rule_changes_goes_out_as_it_was(
    policy: str, given_arguments: dict[str, Any], chat: Caller, wire: list[bytes]
) -> None:
    """Without a rule that applies, the bytes on the wire are those that the SDK alone would send."""
    wire.clear()
    chat.resource.create(model=STRONG, **given_arguments)
    with capture_spans() as capture:
        instrument(parse(f"version = 1\n{policy}"), settings=Settings(), tracer_provider=capture.tracer_provider)
        try:
            chat.resource.create(model=STRONG, **given_arguments)
        finally:
            uninstrument()

    alone, instrumented = wire
    assert instrumented == alone


@pytest.fixture
def wire(chat: Caller) -> Generator[list[bytes]]:
    """The bodies that the client sends, in bytes."""
    sent: list[bytes] = []
    original = chat.client._client.send

    def send(request: Any, **kwargs: Any) -> Any:
        sent.append(request.read())
        return original(request, **kwargs)

    chat.client._client.send = send
    yield sent
    del chat.client._client.send
