from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Generator
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import openai
import pytest

from tierwise.instrumentation import speculation, threads
from tierwise.testing import Answer, Fault, LoopbackProvider, ProviderRequest, ProviderUsage

if TYPE_CHECKING:
    from .conftest import Caller, Span, Spans

WEAK, STRONG = "gpt-4o-mini", "gpt-4o"
WAIT_S = 10.0
AGE: ContextVar[int] = ContextVar("AGE")


def rule(patience_s: float) -> str:
    return (
        f'[[rule]]\nid = "race"\nkind = "speculative"\nto = "{WEAK}"\nsticky = "none"\n'
        f'when = {{ request_model = ["{STRONG}"] }}\n[rule.speculate]\npatience_s = {patience_s}\non = ["refusal"]\n'
    )


class Provider:
    """Says when each model answers: they wait for what a test calls for, and for each other, not for a time."""

    def __init__(self, provider: LoopbackProvider) -> None:
        self.provider = provider
        self._gates = {WEAK: threading.Event(), STRONG: threading.Event()}

    def says(self, weak: Answer | Fault, strong: Answer | Fault) -> None:
        """Both answer at once."""

        def answer(request: ProviderRequest) -> Answer | Fault:
            gate = self._gates.get(request.model)
            if gate is not None:
                assert gate.wait(WAIT_S)
            return weak if request.model == WEAK else strong

        for gate in self._gates.values():
            gate.set()
        self.provider.answer(answer)

    def holds(self, model: str) -> threading.Event:
        """Keep a model from answering until the event is set."""
        self._gates[model].clear()
        return self._gates[model]

    def waits_for_both(self, model: str) -> None:
        """Have a model answer as soon as both were asked."""
        gate = self.holds(model)
        threading.Thread(target=lambda: (self.provider.wait_for_requests(2, WAIT_S), gate.set()), daemon=True).start()


@pytest.fixture
def racing(provider: LoopbackProvider) -> Generator[Provider]:
    racing = Provider(provider)
    yield racing
    for gate in racing._gates.values():
        gate.set()


def weak(text: str = "weak", **says: Any) -> Answer:
    return Answer(text, usage=ProviderUsage(900, 90), **says)


def strong() -> Answer:
    return Answer("strong", usage=ProviderUsage(1000, 100))


@pytest.fixture(params=[False, True], ids=["sync", "async"])
def chatting(request: pytest.FixtureRequest, make_caller: Callable[[str, bool], Caller]) -> Caller:
    return make_caller("chat_completions", request.param)


def text_of(caller: Caller, *, stream: bool) -> str:
    if not stream:
        return caller.create().choices[0].message.content
    return "".join(chunk.choices[0].delta.content or "" for chunk in caller.stream().read() if chunk.choices)


def both_attempts(caller: Caller, spans: Spans) -> list[Span]:
    """The spans of both attempts in the order they began, once both have ended."""
    until_s = time.monotonic() + WAIT_S
    while len(spans.ended) < 2 and time.monotonic() < until_s:
        if caller.run is None:
            time.sleep(0.01)
        else:
            caller.run(asyncio.sleep(0.01))
    return sorted(spans.ended, key=lambda span: span.start_ns)


@pytest.mark.parametrize("stream", [False, True])
def test_the_requested_model_is_asked_beside_a_slow_one(
    stream: bool, chatting: Caller, route: Callable[[str], Spans], racing: Provider
) -> None:
    """When patience runs out the requested model is started too, and its answer is there first; what the cheaper one
    costs is counted, or marked where nobody can know it."""
    spans = route(rule(0.05))
    racing.says(weak(), strong())
    gate = racing.holds(WEAK)

    text = text_of(chatting, stream=stream)

    gate.set()
    assert text == "strong"
    late, winner = both_attempts(chatting, spans)
    assert winner.attributes["tierwise.route.decision"] == "escalated"
    assert winner.attributes["tierwise.route.reason"] == "gpt-4o-mini had no accepted answer within 0.05 s"
    assert winner.attributes["tierwise.attempt.started_after_s"] >= 0.05
    assert winner.attributes["gen_ai.usage.output_tokens"] == 100
    assert late.attributes["tierwise.route.decision"] == "rejected"
    assert late.attributes["tierwise.attempt.rejected_by"] == "late"
    assert late.status == "UNSET"
    assert late.attributes["gen_ai.usage.cost.amount"] > 0
    if chatting.is_async:
        assert late.attributes["tierwise.usage.partial"] is True
    else:
        assert late.attributes["gen_ai.usage.output_tokens"] == 90


@pytest.mark.parametrize("stream", [False, True])
def test_the_cheaper_answer_wins_when_it_is_there_first(
    stream: bool, chatting: Caller, route: Callable[[str], Spans], racing: Provider
) -> None:
    """An accepted answer of the cheaper model that comes before the requested model's is the caller's."""
    spans = route(rule(0.02))
    racing.says(weak(), strong())
    racing.waits_for_both(WEAK)
    gate = racing.holds(STRONG)

    text = text_of(chatting, stream=stream)

    gate.set()
    assert text == "weak"
    winner, late = both_attempts(chatting, spans)
    assert winner.attributes["tierwise.attempt.accepted"] is True
    assert winner.attributes["tierwise.route.decision"] == "routed"
    assert late.attributes["tierwise.attempt.rejected_by"] == "late"
    assert late.attributes["gen_ai.request.model"] == STRONG


def test_within_patience_only_one_model_is_asked(
    chatting: Caller, route: Callable[[str], Spans], racing: Provider
) -> None:
    """A cheaper model that is quick enough is the only one to be paid."""
    spans = route(rule(30))
    racing.says(weak(), strong())

    text = text_of(chatting, stream=False)

    assert text == "weak"
    assert [request.model for request in racing.provider.requests] == [WEAK]
    assert spans.only.attributes["tierwise.attempt.accepted"] is True


def test_a_rejected_answer_does_not_wait_for_patience(
    chatting: Caller, route: Callable[[str], Spans], racing: Provider
) -> None:
    """An answer that does not pass starts the requested model at once."""
    spans = route(rule(30))
    racing.says(weak("I can't help with that.", refusal=True), strong())

    text = text_of(chatting, stream=False)

    assert text == "strong"
    assert [span.attributes["tierwise.route.decision"] for span in both_attempts(chatting, spans)] == [
        "rejected",
        "escalated",
    ]


def test_the_requested_model_fails_beside_a_good_answer(
    chatting: Caller, route: Callable[[str], Spans], racing: Provider
) -> None:
    """While the cheaper model may still answer, the requested model's error is not the last word."""
    spans = route(rule(0.02))
    racing.says(weak(), Fault.server_error())
    gate = racing.holds(WEAK)
    threading.Timer(0.5, gate.set).start()

    text = text_of(chatting, stream=False)

    assert text == "weak"
    winner, failed = both_attempts(chatting, spans)
    assert winner.attributes["tierwise.attempt.accepted"] is True
    assert failed.attributes["tierwise.attempt.rejected_by"] in ("error", "late")


def test_both_fail_beside_each_other(chatting: Caller, route: Callable[[str], Spans], racing: Provider) -> None:
    """When nobody has an answer, the caller gets the requested model's error."""
    spans = route(rule(0.02))
    racing.says(weak("no", refusal=True), Fault.rate_limited(0.01))
    gate = racing.holds(WEAK)
    threading.Timer(0.3, gate.set).start()

    with pytest.raises(openai.RateLimitError):
        chatting.create()

    assert [span.attributes["tierwise.attempt.accepted"] for span in both_attempts(chatting, spans)] == [False, True]


def test_cancelled_by_the_caller(
    make_caller: Callable[[str, bool], Caller], route: Callable[[str], Spans], racing: Provider
) -> None:
    """A caller that is cancelled is so at once, and both attempts are stopped and recorded, one of them as the call."""
    spans = route(rule(0.02))
    caller = make_caller("chat_completions", True)
    racing.says(weak(), strong())
    racing.holds(WEAK)
    racing.holds(STRONG)

    async def leave() -> None:
        task = asyncio.ensure_future(caller.resource.create(**caller.arguments))
        while len(racing.provider.requests) < 2:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    caller.wait(leave())

    attempts = both_attempts(caller, spans)
    assert [span.attributes["tierwise.attempt.accepted"] for span in attempts] == [True, False]
    assert all(span.status == "UNSET" for span in attempts)


def test_interrupted(
    make_caller: Callable[[str, bool], Caller],
    route: Callable[[str], Spans],
    racing: Provider,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Ctrl-C while both are waited for reaches the caller, and nothing is left open."""
    spans = route(rule(0.02))
    caller = make_caller("chat_completions", False)
    racing.says(weak(), strong())
    racing.waits_for_both(WEAK)
    racing.waits_for_both(STRONG)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(speculation.Race, "fails", interrupt)
    monkeypatch.setattr(speculation.Race, "wins", interrupt)

    with pytest.raises(KeyboardInterrupt):
        caller.create()

    attempts = both_attempts(caller, spans)
    assert len(attempts) == 2


def test_contexts_reach_the_client(
    make_caller: Callable[[str, bool], Caller], route: Callable[[str], Spans], racing: Provider
) -> None:
    """Context variables of the caller are those of the threads, and the caller's own are as they were."""
    route(rule(0.02))
    caller = make_caller("chat_completions", False)
    racing.says(weak(), strong())
    racing.waits_for_both(WEAK)
    seen: list[int | None] = []
    original = caller.client._client.send

    def send(*args: Any, **kwargs: Any) -> Any:
        seen.append(AGE.get(None))
        return original(*args, **kwargs)

    token = AGE.set(7)
    caller.client._client.send = send
    try:
        caller.create()
    finally:
        del caller.client._client.send
        AGE.reset(token)

    assert seen[:2] == [7, 7]


def test_without_a_thread_to_be_had_it_is_a_cascade(
    make_caller: Callable[[str, bool], Caller],
    route: Callable[[str], Spans],
    racing: Provider,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """When too many calls are under way, one model after the other is asked, in the caller's own thread."""
    spans = route(rule(0.0))
    monkeypatch.setattr(threads, "_free", threading.BoundedSemaphore(1))
    held = threads.take()
    racing.says(weak(), strong())

    text = text_of(make_caller("chat_completions", False), stream=False)

    assert held is not None
    assert text == "weak"
    assert spans.only.attributes["tierwise.attempt.number"] == 1
