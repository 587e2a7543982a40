from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from opentelemetry.sdk._logs import LoggerProvider, ReadableLogRecord
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.trace import SpanContext, TraceFlags

from tierwise import evaluations, judges
from tierwise.background import BackgroundWorker
from tierwise.context import current_use_case
from tierwise.evaluations import Answer
from tierwise.judges import JudgedAnswer
from tierwise.settings import Settings

STRONG = JudgedAnswer(
    Answer("Paris.", model="claude-opus-5-5", raw=object()), SpanContext(0xA, 0x1, False, TraceFlags(1)), "resp_1"
)
WEAK = JudgedAnswer(
    Answer("Lyon.", model="claude-haiku-5-5", raw=object()), SpanContext(0xB, 0x2, False, TraceFlags(1)), "resp_2"
)

Sent = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sent]:
    """A fresh registry whose evaluations stay in memory; calling it gives what was sent, by span id."""
    exporter = InMemoryLogRecordExporter()
    provider = LoggerProvider(shutdown_on_exit=False)
    provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    monkeypatch.setattr(judges, "_judges", {})
    monkeypatch.setattr(judges, "_said", set())
    monkeypatch.setattr(judges, "_worker", BackgroundWorker("tierwise-judges", max_queued=3))
    monkeypatch.setattr(evaluations, "_export", None)
    evaluations.configure(Settings(), logger_provider=provider)

    def read() -> list[dict[str, Any]]:
        assert judges.drain(10)
        records: list[ReadableLogRecord] = list(exporter.get_finished_logs())
        return [{"span_id": record.log_record.span_id, **(record.log_record.attributes or {})} for record in records]

    yield read
    judges.drain(10)


def _judge(verdict: Callable[[str, str], Any]) -> None:
    """Compare the pair with a judge that sees the two texts in the order shown."""
    judges.judge("capitals", name="better")(lambda request, a, b: verdict(a.text, b.text))
    judges.schedule({"model": "claude-opus-5-5"}, STRONG, WEAK, use_case_id="uc_1", use_case_name="capitals")


@pytest.mark.parametrize(
    ("verdict", "strong", "weak"),
    [
        (lambda a, b: "a" if a == "Paris." else "b", (1.0, "win/win"), (0.0, "loss/loss")),
        (lambda a, b: "a" if a == "Lyon." else "b", (0.0, "loss/loss"), (1.0, "win/win")),
        (lambda a, b: "tie", (1.0, "tie/tie"), (1.0, "tie/tie")),
        (lambda a, b: "a", (1.0, "win/loss"), (1.0, "win/loss")),
        (lambda a, b: "tie" if a == "Lyon." else "a", (1.0, "win/tie"), (1.0, "tie/loss")),
    ],
    ids=["strong", "weak", "tie", "always-first", "half-hearted"],
)
def test_both_orders_are_asked(
    sent: Sent, verdict: Callable[[str, str], str], strong: tuple[float, str], weak: tuple[float, str]
) -> None:
    """A verdict counts when it is the same in both orders and is a tie otherwise; the label keeps both."""
    _judge(verdict)

    first, second = sent()
    key_score, key_label = "gen_ai.evaluation.score.value", "gen_ai.evaluation.score.label"
    assert (first["span_id"], first[key_score], first[key_label]) == (0x1, *strong)
    assert (second["span_id"], second[key_score], second[key_label]) == (0x2, *weak)
    assert {item["tierwise.evaluation.source"] for item in (first, second)} == {"judge"}


def test_a_judge_is_blind(sent: Sent) -> None:
    """Neither the answers nor the request say which model was asked."""
    seen: list[Any] = []

    @judges.judge("capitals")
    def better(request: dict[str, Any], a: Answer, b: Answer) -> str:
        seen.append((request, a, b))
        return "tie"

    judges.schedule(
        {"model": "claude-opus-5-5", "messages": []}, STRONG, WEAK, use_case_id="uc_1", use_case_name="capitals"
    )

    sent()
    assert [request for request, _, _ in seen] == [{"messages": []}] * 2
    assert {answer.model for _, a, b in seen for answer in (a, b)} == {None}
    assert {answer.raw for _, a, b in seen for answer in (a, b)} == {None}
    assert [a.text for _, a, _ in seen] == ["Lyon.", "Paris."]


def test_what_a_judge_calls_is_marked(sent: Sent) -> None:
    """Inside a judge, calls belong to the use case "judge of NAME" and are known to be a judge's."""
    seen: list[Any] = []

    @judges.judge("capitals")
    def better(request: dict[str, Any], a: Answer, b: Answer) -> str:
        seen.append((current_use_case(), judges.is_judging()))
        return "tie"

    judges.schedule({}, STRONG, WEAK, use_case_id="uc_1", use_case_name="capitals")

    sent()
    assert [(declared.name, declared.task, judging) for declared, judging in seen] == [
        ("judge of capitals", "judge", True)
    ] * 2
    assert not judges.is_judging()


def _failing(a: str, b: str) -> str:
    raise RuntimeError("a secret")


@pytest.mark.parametrize(
    ("verdict", "logged"),
    [(_failing, "raised RuntimeError"), (lambda a, b: "A", "said 'A'"), (lambda a, b: None, "")],
    ids=["raises", "no verdict", "abstains"],
)
def test_no_verdict_is_no_score(
    sent: Sent, verdict: Callable[[str, str], Any], logged: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A judge that raises, says something else or abstains scores nothing, and the first two are said once."""
    with caplog.at_level(logging.WARNING):
        _judge(verdict)
        _judge(verdict)
        found = sent()

    assert found == []
    assert [logged in record.getMessage() for record in caplog.records] == ([True] if logged else [])
    assert "a secret" not in caplog.text


def test_only_its_use_case(sent: Sent) -> None:
    """A judge compares pairs of its own use case, by name or id, and a coroutine function is refused."""

    async def later(request: dict[str, Any], a: Answer, b: Answer) -> str:
        return "a"

    judges.judge("capitals")(lambda request, a, b: "a")
    judges.judge("rivers")(later)

    assert judges.has_judge("capitals", None)
    assert judges.has_judge("uc_1", "capitals")
    assert not judges.has_judge("uc_1", "rivers")
    judges.schedule({}, STRONG, WEAK, use_case_id="uc_1", use_case_name="rivers")
    assert sent() == []
