"""Every rule kind that sends calls elsewhere, on every way of calling, with every way in which its target can fail."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tierwise.testing import Answer, Fault, LoopbackProvider, ProviderRequest, ProviderUsage

if TYPE_CHECKING:
    from .conftest import Caller, Span, Spans

STRONG_TEXT = '{"city": "Paris", "from": "strong"}'
WEAK_TEXT = '{"city": "Paris", "from": "weak"}'
MODELS = {
    "chat_completions": ("gpt-4o", "gpt-4o-mini"),
    "responses": ("gpt-4o", "gpt-4o-mini"),
    "messages": ("claude-opus-4-7", "claude-haiku-4-5"),
}
KINDS = ("route", "cascade", "speculative")
TABLES = {
    "route": "",
    "cascade": '[rule.escalate]\non = ["schema", "refusal", "truncation"]',
    "speculative": '[rule.speculate]\npatience_s = 30\non = ["schema", "refusal", "truncation"]',
}
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "from": {"type": "string"}},
    "required": ["city", "from"],
    "additionalProperties": False,
}
WANTS_JSON: dict[str, dict[str, Any]] = {
    "chat_completions": {
        "response_format": {"type": "json_schema", "json_schema": {"name": "city", "schema": SCHEMA, "strict": True}}
    },
    "responses": {"text": {"format": {"type": "json_schema", "name": "city", "schema": SCHEMA, "strict": True}}},
    "messages": {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}},
}
TIMEOUT_S = 0.5
"""Of calls whose target stalls; the requested model has to answer within it too, on whatever machine."""
PATIENT_S = 30.0

BEFORE: dict[str, Fault] = {
    "400": Fault.unknown_parameter("temperature"),
    "404": Fault.unknown_model("the cheaper one"),
    "429": Fault.rate_limited(0.01),
    "500": Fault.server_error(),
    "timeout": Fault.stall(TIMEOUT_S * 4),
    "disconnect": Fault.disconnect(),
}
"""Ways in which the target fails before the first byte."""
DURING: dict[str, Fault] = {
    "disconnect after the first byte": Fault.disconnect_mid_stream(Answer(WEAK_TEXT, chunk_chars=4)),
    "stall after the first byte": Fault.stall(TIMEOUT_S * 4, Answer(WEAK_TEXT, chunk_chars=4), after_chunks=2),
    "error event": Fault.error_mid_stream(Answer(WEAK_TEXT, chunk_chars=4)),
    "cut off": Fault.truncated_stream(Answer(WEAK_TEXT, chunk_chars=4)),
    "broken JSON": Fault.malformed_json(Answer(WEAK_TEXT, chunk_chars=4)),
}
"""And after it."""


def usage(model: str) -> ProviderUsage:
    return ProviderUsage(1000, 100) if model in ("gpt-4o", "claude-opus-4-7") else ProviderUsage(900, 90)


def answers(weak: Answer | Fault, strong: Answer | Fault | None = None) -> Callable[[ProviderRequest], Answer | Fault]:
    """What each model says."""
    strong = strong or Answer(STRONG_TEXT, usage=usage("gpt-4o"))
    strong_models = {models[0] for models in MODELS.values()}
    return lambda request: strong if request.model in strong_models else weak


@dataclass(frozen=True)
class Case:
    """A rule in force, and one way of calling under it."""

    kind: str
    caller: Caller
    stream: bool
    spans: Spans
    provider: LoopbackProvider
    strong: str
    weak: str

    def text(self, fault: str = "") -> str:
        """Make the call; the text of its answer, whose type is checked."""
        stalls = fault.startswith(("timeout", "stall"))
        changes = {"timeout": TIMEOUT_S if stalls else PATIENT_S, **WANTS_JSON[self.caller.api]}
        if not self.stream:
            return text_of(self.caller.create(**changes))
        stream = self.caller.stream(**changes)
        assert type(stream.stream).__name__ == ("AsyncStream" if self.caller.is_async else "Stream")
        return "".join(map(text_of_chunk, stream.read()))

    @property
    def asked(self) -> list[str]:
        return [request.model for request in self.provider.requests]

    @property
    def ended(self) -> list[Span]:
        """In the order they began."""
        return sorted(self.spans.ended, key=lambda span: span.start_ns)


def text_of(answer: Any) -> str:
    match type(answer).__name__:
        case "ChatCompletion":
            return answer.choices[0].message.content or ""
        case "Response":
            return answer.output_text
        case "Message":
            return "".join(block.text for block in answer.content)
        case name:
            raise AssertionError(f"an answer of type {name}")


def text_of_chunk(chunk: Any) -> str:
    if type(chunk).__name__ == "ChatCompletionChunk":
        return "".join(choice.delta.content or "" for choice in chunk.choices)
    if chunk.type == "response.output_text.delta":
        return chunk.delta
    return chunk.delta.text if chunk.type == "content_block_delta" else ""


@pytest.fixture(
    params=[
        (kind, api, is_async, stream)
        for kind in KINDS
        for api in MODELS
        for is_async in (False, True)
        for stream in (False, True)
    ],
    ids=lambda given: f"{given[0]}-{given[1]}-{'async' if given[2] else 'sync'}-{'stream' if given[3] else 'whole'}",
)
def case(
    request: pytest.FixtureRequest,
    make_caller: Callable[[str, bool], Caller],
    route: Callable[[str], Spans],
    provider: LoopbackProvider,
) -> Case:
    kind, api, is_async, stream = request.param
    strong, weak = MODELS[api]
    caller = make_caller(api, is_async)
    spans = route(
        f'[[rule]]\nid = "cheaper"\nkind = "{kind}"\nto = "{weak}"\nsticky = "none"\n'
        f'when = {{ request_model = ["{strong}"] }}\n{TABLES[kind]}'
    )
    return Case(kind, caller, stream, spans, provider, strong, weak)


def test_success(case: Case) -> None:
    """A good answer of the target reaches the caller as the SDK's own type, after one call."""
    case.provider.answer(answers(Answer(WEAK_TEXT, usage=usage(case.weak))))

    text = case.text()

    assert text == WEAK_TEXT
    assert case.asked == [case.weak]
    span = case.spans.only
    assert span.attributes["tierwise.route.decision"] == "routed"
    assert (span.attributes["gen_ai.request.model"], span.attributes["tierwise.priced"]) == (case.weak, True)
    if case.kind != "route":
        assert span.attributes["tierwise.attempt.accepted"] is True
        assert span.attributes["tierwise.check.schema"] == "passed"
        assert span.attributes.get("tierwise.attempt.buffered", False) == case.stream


@pytest.mark.parametrize(
    ("weak", "check"),
    [
        (Answer('{"city": 3}'), "schema"),
        (Answer('{"city": "Par'), "schema"),
        (Answer(WEAK_TEXT[:-1], finish_reason="length"), "truncation"),
        (Answer("I cannot help with that.", refusal=True), "refusal"),
    ],
    ids=["wrong type", "malformed", "truncated", "refused"],
)
def test_structural_failure(weak: Answer, check: str, case: Case) -> None:
    """An answer that is not what was asked for goes to the requested model, and both calls are costed; a route hands
    it out."""
    case.provider.answer(answers(weak))

    text = case.text()

    if case.kind == "route":
        assert case.asked == [case.weak]
        return
    assert text == STRONG_TEXT
    assert case.asked == [case.weak, case.strong]
    rejected, accepted = case.ended
    assert rejected.attributes["tierwise.route.decision"] == "rejected"
    assert rejected.attributes["tierwise.attempt.accepted"] is False
    assert rejected.attributes[f"tierwise.check.{check}"] == "failed"
    assert rejected.attributes["tierwise.attempt.rejected_by"] in ("schema", check)
    assert rejected.status == "UNSET"
    assert accepted.attributes["tierwise.route.decision"] == "escalated"
    assert accepted.attributes["tierwise.attempt.accepted"] is True
    assert accepted.attributes["tierwise.route.reason"] == rejected.attributes["tierwise.attempt.reason"]
    assert accepted.attributes["gen_ai.usage.input_tokens"] == 1000
    assert rejected.attributes["tierwise.attempt.of"] == accepted.attributes["tierwise.attempt.of"]
    assert accepted.links == (rejected.context,)
    assert rejected.context.trace_id == accepted.context.trace_id
    assert all(span.attributes["gen_ai.usage.cost.amount"] > 0 for span in (rejected, accepted))


@pytest.mark.parametrize("fault", BEFORE)
def test_target_fails_before_the_first_byte(fault: str, case: Case) -> None:
    """Whatever the target fails with, the requested model answers, and the failure is on the record."""
    case.provider.answer(answers(BEFORE[fault]))

    text = case.text(fault)

    assert text == STRONG_TEXT
    assert case.asked == [case.weak, case.strong]
    last = case.ended[-1]
    assert last.attributes["tierwise.route.decision"] == "fell_back"
    assert last.attributes["gen_ai.usage.input_tokens"] == 1000
    if case.kind == "route":
        assert len(case.ended) == 1
        return
    rejected = case.ended[0]
    assert rejected.attributes["tierwise.attempt.rejected_by"] == "error"
    assert rejected.status == "ERROR"


@pytest.mark.parametrize("fault", DURING)
def test_target_fails_after_the_first_byte(fault: str, case: Case) -> None:
    """A cascade's answer that breaks off is never seen: the caller gets the requested model's, whole, and no chunk of
    another."""
    if case.kind == "route" and case.stream:
        pytest.skip("a route does not hold a stream back: what came has reached the caller")
    if fault == "cut off" and not case.stream:
        pytest.skip("only a stream can end early without an error")
    case.provider.answer(answers(DURING[fault]))

    text = case.text(fault)

    assert text == STRONG_TEXT
    assert case.asked == [case.weak, case.strong]
    if case.kind != "route":
        rejected, accepted = case.ended
        assert rejected.attributes["tierwise.attempt.rejected_by"] in ("error", "incomplete")
        assert accepted.attributes["gen_ai.usage.input_tokens"] == 1000


@pytest.mark.parametrize("weak", [Fault.server_error(), Answer('{"city": 3}')], ids=["500", "structural"])
def test_both_fail(weak: Answer | Fault, case: Case) -> None:
    """When the requested model fails as well, its error is the one that the caller gets, with no other behind it."""
    if case.kind == "route" and isinstance(weak, Answer):
        pytest.skip("a route hands the answer out")
    case.provider.answer(answers(weak, Fault.rate_limited(0.01)))

    with pytest.raises(case.caller.sdk.RateLimitError) as raised:
        case.text()

    assert raised.value.status_code == 429
    earlier: Any = raised.value.__context__
    while earlier is not None:
        assert earlier.response.status_code == 429
        earlier = earlier.__context__
    last = case.ended[-1]
    assert last.attributes["error.type"] == "RateLimitError"
    if case.kind != "route":
        assert [span.attributes["tierwise.attempt.accepted"] for span in case.ended] == [False, True]


def test_stream_of_the_requested_model_breaks(case: Case) -> None:
    """The requested model's stream is not held back: it reaches the caller as it comes, and breaks as it breaks."""
    if not case.stream or case.kind == "route":
        pytest.skip("about streams that were escalated")
    case.provider.answer(answers(Answer("no"), Fault.error_mid_stream(Answer(STRONG_TEXT, chunk_chars=4))))
    stream = case.caller.stream(**WANTS_JSON[case.caller.api])

    first = stream.next()
    with suppress(case.caller.sdk.APIError):
        stream.read()

    assert first is not None
    assert case.ended[-1].attributes["tierwise.route.decision"] == "escalated"
    assert "tierwise.attempt.buffered" not in case.ended[-1].attributes
