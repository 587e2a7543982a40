"""Pairs scored where they are made, over a socket with the real SDKs."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor

from tierwise import evaluations, flush, judges, use_case
from tierwise.background import BackgroundWorker
from tierwise.testing import Answer, LoopbackProvider

from .test_shadow_call import CHEAPER, EVERY_CALL, settle

if TYPE_CHECKING:
    from .conftest import Caller, Spans

Scores = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def scores(monkeypatch: pytest.MonkeyPatch) -> Generator[Scores]:
    """What was scored, as attributes with the span's id, once everything scheduled has run."""
    exporter = InMemoryLogRecordExporter()
    provider = LoggerProvider(shutdown_on_exit=False)
    provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    monkeypatch.setattr(judges, "_judges", {})
    monkeypatch.setattr(judges, "_worker", BackgroundWorker("tierwise-judges", max_queued=10))
    with evaluations.leaving_through(provider):

        def read() -> list[dict[str, Any]]:
            assert flush(20)
            return [
                {"span_id": record.log_record.span_id, **(record.log_record.attributes or {})}
                for record in exporter.get_finished_logs()
            ]

        yield read


@pytest.fixture(params=[("chat_completions", False), ("messages", False), ("responses", True)], ids=str)
def shadowed(
    request: pytest.FixtureRequest, make_caller: Callable[[str, bool], Caller], route: Callable[[str], Spans]
) -> tuple[Caller, Spans]:
    """Callers each of whose calls is shadowed, and their spans."""
    return make_caller(*request.param), route(EVERY_CALL)


def by_model(request: Any, *_: object) -> Answer:
    """Models that can be told apart by what they say."""
    return Answer("Four." if request.model in CHEAPER.values() else "4")


@pytest.mark.parametrize("stream", [False, True])
def test_a_judge_compares_the_pair(
    stream: bool, shadowed: tuple[Caller, Spans], provider: LoopbackProvider, scores: Scores
) -> None:
    """The judge gets both texts in both orders after the shadow call, and scores the spans they are of."""
    caller, spans = shadowed
    provider.answer(by_model)
    seen: list[tuple[str, str]] = []

    @judges.judge("sums")
    def shorter(request: dict[str, Any], a: evaluations.Answer, b: evaluations.Answer) -> str:
        seen.append((a.text, b.text))
        return "a" if len(a.text) < len(b.text) else "b"

    with use_case("sums"):
        caller.stream().read() if stream else caller.create()
    settle(caller)

    found = {item["span_id"]: item for item in scores() if item["tierwise.evaluation.source"] == "judge"}
    assert seen == [("Four.", "4"), ("4", "Four.")]
    by_text = {span.attributes["gen_ai.request.model"]: span.context.span_id for span in spans.ended}
    strong, weak = found[by_text[caller.model]], found[by_text[CHEAPER[caller.model]]]
    assert (strong["gen_ai.evaluation.score.value"], weak["gen_ai.evaluation.score.value"]) == (1.0, 0.0)
    assert strong["gen_ai.evaluation.name"] == "shorter"


def test_the_weak_answer_is_checked(shadowed: tuple[Caller, Spans], provider: LoopbackProvider, scores: Scores) -> None:
    """Without a judge the structural checks look at the shadow's answer alone, and no text leaves."""
    caller, spans = shadowed
    provider.answer(lambda *_: Answer("I'm sorry, but I can't help with that."))

    caller.create()
    settle(caller)

    found = scores()
    (shadow,) = [span for span in spans.ended if "tierwise.shadow.of" in span.attributes]
    assert {item["span_id"] for item in found} == {shadow.context.span_id}
    assert {item["tierwise.evaluation.source"] for item in found} == {"structural"}
    refusal = next(item for item in found if item["gen_ai.evaluation.name"] == "refusal")
    assert refusal["gen_ai.evaluation.score.value"] == 0.0
    assert "sorry" not in str(found)


def test_a_judge_that_calls_a_model(
    chat: Caller, route: Callable[[str], Spans], provider: LoopbackProvider, scores: Scores
) -> None:
    """A judge's own call goes to the model it asks for, under a use case of its own, and is not shadowed or judged."""
    spans = route(
        EVERY_CALL
        + '\n[[rule]]\nid = "all"\nto = "gpt-4o-mini"\nshare = 1.0\nwhen = { task_type = ["classification"] }\n'
    )

    @judges.judge("sums")
    def ask(request: dict[str, Any], a: evaluations.Answer, b: evaluations.Answer) -> str:
        chat.create()
        return "tie"

    with use_case("sums", task="conversation"):
        chat.create()
    settle(chat)
    scores()

    asked = [span for span in spans.ended if span.attributes.get("tierwise.use_case.name") == "judge of sums"]
    assert len(asked) == 2
    for span in asked:
        assert span.attributes["gen_ai.request.model"] == chat.model
        assert span.attributes["tierwise.task.type"] == "classification"
        assert span.attributes["tierwise.task.sub_tag"] == "judge"
        assert "tierwise.route.rule_id" not in span.attributes
    assert len(provider.requests) == 4
