from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk._logs import LoggerProvider, ReadableLogRecord
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from tierwise import checks, evaluations
from tierwise.background import BackgroundWorker
from tierwise.call import Evaluation
from tierwise.checks.registered import unregister
from tierwise.evaluations import Answer
from tierwise.settings import Settings

SPAN = SpanContext(0xABC, 0xDEF, is_remote=False, trace_flags=TraceFlags(1))
ANSWER = Answer("42", model="claude-haiku-5-5")


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], list[ReadableLogRecord]]]:
    """A fresh registry whose evaluations stay in memory; calling it gives what has been sent."""
    exporter = InMemoryLogRecordExporter()
    provider = LoggerProvider(shutdown_on_exit=False)
    provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    monkeypatch.setattr(evaluations, "_checks", {})
    monkeypatch.setattr(evaluations, "_said", set())
    monkeypatch.setattr(evaluations, "_worker", BackgroundWorker("tierwise-checks", max_queued=3))
    monkeypatch.setattr(evaluations, "_export", None)
    monkeypatch.setattr(evaluations, "_warmed_up", True)
    monkeypatch.setattr(evaluations, "_structural", ())
    evaluations.configure(Settings(), logger_provider=provider)
    yield lambda: list(exporter.get_finished_logs())
    evaluations.drain(5)
    unregister("invoices")


def _schedule(use_case: str = "invoices", body: dict[str, Any] | None = None, **fields: Any) -> None:
    known: dict[str, Any] = {
        "span_context": SPAN,
        "use_case_id": "uc_1",
        "use_case_name": use_case,
        "response_id": "resp_1",
    }
    evaluations.schedule(body or {"model": "m"}, ANSWER, **(known | fields))


Sent = Callable[[], list[ReadableLogRecord]]


def _attributes(records: list[ReadableLogRecord]) -> list[dict[str, Any]]:
    return [dict(record.log_record.attributes or {}) for record in records]


def test_a_check_scores_the_answers_of_its_use_case(sent: Sent):
    """The event belongs to the call's span and carries name, score, label, source and response id, and nothing else."""

    @evaluations.check("invoices")
    def is_42(request: dict[str, Any], answer: Answer) -> bool:
        return answer.text == "42" and request["model"] == "m"

    _schedule()
    assert evaluations.drain(5)

    (record,) = sent()
    log = record.log_record
    assert log.event_name == "gen_ai.evaluation.result"
    assert (log.trace_id, log.span_id, log.trace_flags) == (0xABC, 0xDEF, TraceFlags(1))
    assert log.timestamp is not None
    assert abs(log.timestamp - time.time_ns()) < 60e9
    assert record.instrumentation_scope is not None
    assert record.instrumentation_scope.name == "tierwise"
    assert _attributes([record]) == [
        {
            "gen_ai.evaluation.name": "is_42",
            "gen_ai.evaluation.score.value": 1.0,
            "gen_ai.evaluation.score.label": "pass",
            "tierwise.evaluation.source": "check",
            "gen_ai.response.id": "resp_1",
        }
    ]


@pytest.mark.parametrize(
    ("verdict", "score", "label"),
    [(True, 1.0, "pass"), (False, 0.0, "fail"), (0.25, 0.25, None), (1, 1.0, None), (None, None, "abstained")],
)
def test_a_verdict_becomes_a_score(sent: Sent, verdict: Any, score: float | None, label: str | None):
    """True and False, numbers in [0, 1] and abstention each have their form."""
    evaluations.check("invoices", name="c")(lambda request, answer: verdict)

    _schedule()
    assert evaluations.drain(5)

    (attributes,) = _attributes(sent())
    assert attributes.get("gen_ai.evaluation.score.value") == score
    assert attributes.get("gen_ai.evaluation.score.label") == label
    assert attributes["gen_ai.evaluation.name"] == "c"


def test_numpy_scalars_are_scores_too(sent: Sent):
    """A check written with NumPy need not convert its result."""
    numpy = pytest.importorskip("numpy")
    evaluations.check("invoices", name="a")(lambda request, answer: numpy.bool_(True))
    evaluations.check("invoices", name="b")(lambda request, answer: numpy.float32(0.5))

    _schedule()
    assert evaluations.drain(5)

    assert [found["gen_ai.evaluation.score.value"] for found in _attributes(sent())] == [1.0, 0.5]


@pytest.mark.parametrize("verdict", [1.5, -0.1, float("nan"), "secret text", [1]])
def test_a_verdict_that_is_no_score_is_dropped_and_said_once(
    sent: Sent, caplog: pytest.LogCaptureFixture, verdict: Any
):
    """Nothing is sent for it; one WARNING names the check and not the value, which may quote an answer."""
    evaluations.check("invoices", name="odd")(lambda request, answer: verdict)

    _schedule()
    _schedule()
    assert evaluations.drain(5)

    assert sent() == []
    assert caplog.text.count("Check 'odd' gave a") == 1
    assert "secret" not in caplog.text


def test_checks_are_found_by_id_and_by_name(sent: Sent):
    """A use case's id and its name both lead to its checks; other use cases have none."""
    evaluations.check("uc_1", name="by id")(lambda request, answer: True)
    evaluations.check("invoices", name="by name")(lambda request, answer: True)

    assert evaluations.has_check("uc_1", None)
    assert evaluations.has_check("uc_2", "invoices")
    assert not evaluations.has_check("uc_2", "letters")
    _schedule()
    _schedule("letters", use_case_id="uc_2")
    assert evaluations.drain(5)
    assert [found["gen_ai.evaluation.name"] for found in _attributes(sent())] == ["by id", "by name"]


def test_registering_again_replaces_a_check_of_the_same_name(sent: Sent):
    """A module that is reloaded does not score twice."""
    for verdict in (False, True):
        evaluations.check("invoices", name="c")(lambda request, answer, verdict=verdict: verdict)

    _schedule()
    assert evaluations.drain(5)

    assert [found["gen_ai.evaluation.score.value"] for found in _attributes(sent())] == [1.0]


def test_the_decorator_gives_the_function_back(sent: Sent):
    """A check stays an ordinary function that tests can call."""

    def checks(request: dict[str, Any], answer: Answer) -> bool:
        return True

    assert evaluations.check("invoices")(checks) is checks


def test_what_is_no_plain_function_is_ignored_with_a_warning(sent: Sent, caplog: pytest.LogCaptureFixture):
    """A coroutine function is not registered, and the user's import does not fail."""

    @evaluations.check("invoices")
    async def later(request: dict[str, Any], answer: Answer) -> bool:
        return True

    assert not evaluations.has_check("uc_1", "invoices")
    assert callable(later)
    assert "not a plain function" in caplog.text


def test_a_check_that_raises_costs_only_its_own_score(sent: Sent, caplog: pytest.LogCaptureFixture):
    """Other checks of the answer run, and the error is said once, without its text."""

    @evaluations.check("invoices")
    def breaks(request: dict[str, Any], answer: Answer) -> bool:
        raise ValueError("secret text")

    evaluations.check("invoices", name="works")(lambda request, answer: True)
    with caplog.at_level(logging.WARNING, logger="tierwise"):
        _schedule()
        _schedule()
        assert evaluations.drain(5)

    assert [found["gen_ai.evaluation.name"] for found in _attributes(sent())] == ["works", "works"]
    assert caplog.text.count("Check 'breaks' raised ValueError") == 1
    assert "secret" not in caplog.text


def test_a_slow_check_is_named(sent: Sent, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture):
    """A check past its time still counts, and its name is in the log once."""
    monkeypatch.setattr(evaluations, "SLOW_CHECK_S", 0.01)
    evaluations.check("invoices", name="slow")(lambda request, answer: time.sleep(0.02) is None)

    _schedule()
    _schedule()
    assert evaluations.drain(5)

    assert len(sent()) == 2
    assert caplog.text.count("Check 'slow' took") == 1


def test_a_hanging_check_never_holds_up_the_caller(sent: Sent, caplog: pytest.LogCaptureFixture):
    """schedule() returns at once; answers beyond the queue are dropped and counted, and the culprit is named."""
    opened, running = threading.Event(), threading.Event()

    @evaluations.check("invoices")
    def hangs(request: dict[str, Any], answer: Answer) -> bool:
        running.set()
        return opened.wait(10)

    began = time.monotonic()
    _schedule()
    running.wait(5)
    for _ in range(10):
        _schedule()
    took = time.monotonic() - began
    drained = evaluations.drain(0.01)
    opened.set()

    assert took < 1
    assert not drained
    assert evaluations.dropped_answers() == 7
    assert caplog.text.count("some are not checked (running: check hangs of use case invoices") == 1


def test_a_check_gets_a_body_of_its_own(sent: Sent):
    """What a check does to the request's members does not reach the next check or the caller."""
    body = {"model": "m"}
    seen: list[dict[str, Any]] = []

    def spoils(request: dict[str, Any], answer: Answer) -> None:
        seen.append(dict(request))
        request.clear()

    evaluations.check("invoices", name="a")(spoils)
    evaluations.check("invoices", name="b")(spoils)

    _schedule(body=body)
    assert evaluations.drain(5)

    assert seen == [{"model": "m"}, {"model": "m"}]
    assert body == {"model": "m"}


class Response:
    def __init__(self, id: Any) -> None:
        self.id = id


def test_feedback_on_a_span(sent: Sent):
    """A span, and its context, are known by trace and span id."""
    evaluations.feedback(SPAN, score=1.0, label="accepted", comment="well done")
    evaluations.feedback(NonRecordingSpan(SPAN), score=0, name="tone")

    first, second = sent()
    assert (first.log_record.trace_id, first.log_record.span_id) == (0xABC, 0xDEF)
    assert second.log_record.span_id == 0xDEF
    assert _attributes([first, second]) == [
        {
            "gen_ai.evaluation.name": "feedback",
            "gen_ai.evaluation.score.value": 1.0,
            "gen_ai.evaluation.score.label": "accepted",
            "gen_ai.evaluation.explanation": "well done",
            "tierwise.evaluation.source": "feedback",
        },
        {
            "gen_ai.evaluation.name": "tone",
            "gen_ai.evaluation.score.value": 0.0,
            "tierwise.evaluation.source": "feedback",
        },
    ]


def test_feedback_on_a_response_is_known_by_its_id(sent: Sent):
    """An SDK response, or its id, needs no span; the current one is added when there is one."""
    evaluations.feedback(Response("resp_1"), score=0.5)
    with trace.use_span(NonRecordingSpan(SPAN)):
        evaluations.feedback("resp_2", label="copied")

    outside, inside = sent()
    assert not outside.log_record.trace_id
    assert inside.log_record.trace_id == 0xABC
    assert [found["gen_ai.response.id"] for found in _attributes([outside, inside])] == ["resp_1", "resp_2"]
    assert "gen_ai.evaluation.score.value" not in _attributes([inside])[0]


def test_feedback_without_a_target_is_about_the_current_span(sent: Sent):
    """Inside a span nothing need be passed."""
    with trace.use_span(NonRecordingSpan(SPAN)):
        evaluations.feedback(score=True)

    assert sent()[0].log_record.span_id == 0xDEF


@pytest.mark.parametrize(
    ("target", "given", "complaint"),
    [
        (SPAN, {"score": 1.5}, "a score from 0 to 1 is needed"),
        (SPAN, {"score": float("nan")}, "a score from 0 to 1 is needed"),
        (SPAN, {"score": "good"}, "a score from 0 to 1 is needed"),
        (SPAN, {}, "give a score, a label or a comment"),
        (None, {"score": 1}, "or a current span"),
        (trace.INVALID_SPAN_CONTEXT, {"score": 1}, "or a current span"),
        (Response(None), {"score": 1}, "feedback(Response) is ignored"),
        (object(), {"score": 1}, "feedback(object) is ignored"),
    ],
)
def test_feedback_that_cannot_be_used_is_ignored_with_one_warning(
    sent: Sent, caplog: pytest.LogCaptureFixture, target: Any, given: dict[str, Any], complaint: str
):
    """The user's code goes on; nothing is sent, and the way out is said once."""
    evaluations.feedback(target, **given)
    evaluations.feedback(target, **given)

    assert sent() == []
    assert caplog.text.count(complaint) == 1


def test_an_evaluation_of_any_source_can_be_sent(sent: Sent):
    """emit() sends what other parts of tierwise judged, with the time they judged it."""
    evaluations.emit(Evaluation("0" * 31 + "a", "0" * 15 + "b", "judge", "judge", 0.5, 123, explanation="tie"))

    (record,) = sent()
    assert (record.log_record.trace_id, record.log_record.span_id, record.log_record.timestamp) == (10, 11, 123)
    assert _attributes([record])[0]["tierwise.evaluation.source"] == "judge"


def test_an_error_while_sending_does_not_reach_the_user(
    sent: Sent, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    """feedback() logs and returns when the exporter fails; under pytest the error is seen."""

    def broken() -> None:
        raise OSError("full")

    monkeypatch.setattr(evaluations, "_exporting", broken)
    with pytest.raises(OSError, match="full"):
        evaluations.feedback(SPAN, score=1)

    monkeypatch.setenv("TIERWISE_FIREWALL", "swallow")
    evaluations.feedback(SPAN, score=1)

    assert "sending an evaluation (OSError)" in caplog.text


def test_evaluations_take_another_way_inside_a_block(sent: Sent):
    """Inside the block they leave through the given provider, after it where they left before."""
    exporter = InMemoryLogRecordExporter()
    provider = LoggerProvider(shutdown_on_exit=False)
    provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))

    with evaluations.leaving_through(provider):
        evaluations.feedback(SpanContext(1, 2, False, TraceFlags(1)), score=0.5)
    evaluations.feedback(SpanContext(1, 3, False, TraceFlags(1)), score=0.5)
    assert evaluations.drain(5)

    assert [item.log_record.span_id for item in exporter.get_finished_logs()] == [2]
    assert [record.log_record.span_id for record in sent()] == [3]


def test_structural_checks_score_every_answer(sent: Sent, monkeypatch: pytest.MonkeyPatch):
    """Those switched on score answers of any use case, with a reason and without a word of the answer;
    one that does not apply gives no score."""
    monkeypatch.setattr(evaluations, "_structural", ("schema", "truncation", "language"))
    body = {"model": "m", "response_format": {"type": "json_object"}}

    assert evaluations.has_check("uc_9", None)
    _schedule("letters", body)
    assert evaluations.drain(10)

    assert _attributes(sent()) == [
        {
            "gen_ai.evaluation.name": "schema",
            "gen_ai.evaluation.score.value": 0.0,
            "gen_ai.evaluation.score.label": "fail",
            "gen_ai.evaluation.explanation": "$: object expected, number found",
            "tierwise.evaluation.source": "structural",
            "gen_ai.response.id": "resp_1",
        },
        {
            "gen_ai.evaluation.name": "truncation",
            "gen_ai.evaluation.score.value": 1.0,
            "gen_ai.evaluation.score.label": "pass",
            "tierwise.evaluation.source": "structural",
            "gen_ai.response.id": "resp_1",
        },
    ]


def test_a_blocking_check_is_asked_by_rules_and_scored_as_any_other(sent: Sent):
    """`blocking=True` makes a check one that contradicts an answer before it is handed out; its scores go on."""

    @evaluations.check("invoices", blocking=True)
    def is_43(request: dict[str, Any], answer: Answer) -> bool:
        return answer.text == "43"

    context = checks.context_of(use_case_id="uc_1", use_case_name="invoices")
    (verdict,) = checks.run(["contradiction"], {"model": "m"}, ANSWER, context=context)
    _schedule()
    assert evaluations.drain(10)

    assert (verdict.passed, verdict.reason) == (False, "is_43 found it wrong")
    assert [found["gen_ai.evaluation.score.value"] for found in _attributes(sent())] == [0.0]


def test_a_check_that_does_not_block_is_not_asked_by_rules(sent: Sent):
    """Without `blocking`, no answer waits for a check."""

    @evaluations.check("invoices")
    def is_43(request: dict[str, Any], answer: Answer) -> bool:
        return answer.text == "43"

    assert checks.context_of(use_case_id="uc_1", use_case_name="invoices").functions == ()
