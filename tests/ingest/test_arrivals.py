from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any, ClassVar

import pytest

from tierwise import prices
from tierwise import semconv as sc
from tierwise.attributes import to_attributes
from tierwise.call import Call, Cost, Usage
from tierwise.ingest import arrivals, otlp
from tierwise.ingest.arrivals import Arrivals, read_arrivals

Make = Callable[..., dict[str, Any]]
USAGE = Usage(input_tokens=1000, output_tokens=100)


@pytest.fixture
def arrive(make_request: Make, as_bytes: Callable[[Any], bytes]) -> Callable[..., Arrivals]:
    """What spans bring when they arrive in a scope."""

    def arrive(*spans: dict[str, Any], scope: str = "tierwise") -> Arrivals:
        body = as_bytes(make_request(spans, scope=scope))
        return read_arrivals(otlp.read("traces", body, kind=otlp.JSON, encoding=""))

    return arrive


@pytest.fixture
def score(make_logs: Make, as_bytes: Callable[[Any], bytes]) -> Callable[..., Any]:
    """The evaluations that log events bring."""

    def score(*events: dict[str, Any], **options: Any) -> Any:
        body = as_bytes(make_logs(*events, **options))
        return read_arrivals(otlp.read("logs", body, kind=otlp.JSON, encoding="")).evaluations

    return score


def test_calls_and_other_spans_are_told_apart(make_span: Make, make_call_span: Make, arrive: Any) -> None:
    """A span that describes a call is a call; any other is kept as a plain span."""
    brought = arrive(make_call_span(1), make_span(2, {"http.route": "/pay"}, status={"code": 2}))

    (call,), (span,) = brought.calls, brought.spans
    assert (call.span_id, call.service_name, call.instrumentation) == (f"{1:016x}", "checkout", "tierwise")
    assert (span.span_id, span.name, span.kind, span.status) == (f"{2:016x}", "chat gpt-5.4", "client", "error")


def test_failed_span_is_a_failed_call(make_call_span: Make, arrive: Any) -> None:
    """A span with status error is a call with an error, though it does not say which."""
    (record,) = arrive({**make_call_span(1), "status": {"code": 2}}).calls

    assert record.call.error_type == "_OTHER"


class TestPrices:
    def arrived(self, arrive: Any, make_span: Make, call: Call, **options: Any) -> Call:
        (record,) = arrive(make_span(1, to_attributes(call)), **options).calls
        return record.call

    def test_app_that_was_still_loading_prices_is_helped(self, arrive: Any, make_span: Make) -> None:
        """A call that ended before the app's price list was there is priced now."""
        call = Call("chat", "openai", "gpt-4o-mini", usage=USAGE, unpriced_reason=prices.LOADING)

        arrived = self.arrived(arrive, make_span, call)

        assert arrived.cost is not None
        assert (arrived.cost.source, arrived.cost.price_version) == ("local", prices.price_version())
        assert arrived.cost.total_usd > 0
        assert arrived.unpriced_reason is None

    def test_other_instrumentations_are_priced(self, arrive: Any, make_span: Make) -> None:
        """A call of an instrumentation that does not price is priced."""
        call = Call("chat", "openai", "gpt-4o-mini", usage=USAGE)

        assert self.arrived(arrive, make_span, call, scope="opentelemetry.genai").cost is not None

    def test_unknown_model_has_a_reason_and_no_price(self, arrive: Any, make_span: Make) -> None:
        """A model without a price is unpriced, with the reason."""
        call = Call("chat", "openai", "no-such-model", usage=USAGE)

        arrived = self.arrived(arrive, make_span, call, scope="opentelemetry.genai")

        assert arrived.cost is None
        assert "no-such-model" in (arrived.unpriced_reason or "")

    def test_apps_price_stays(self, arrive: Any, make_span: Make) -> None:
        """A price that came with the call, and a reason why there is none, are the app's to know."""
        cost = Cost(Decimal("0.5"), Decimal(0), price_version="own list")
        priced = self.arrived(arrive, make_span, Call("chat", "openai", "gpt-4o-mini", usage=USAGE, cost=cost))
        refused = self.arrived(
            arrive, make_span, Call("chat", "openai", "gpt-4o-mini", usage=USAGE, unpriced_reason="fine-tuned")
        )

        assert priced.cost == cost
        assert (refused.cost, refused.unpriced_reason) == (None, "fine-tuned")


class TestReportedCosts:
    """Other instrumentations' own figures: ours counts, theirs is kept beside it."""

    ATTRIBUTES: ClassVar = to_attributes(Call("chat", "openai", "gpt-4o-mini", usage=USAGE))

    def arrived(self, arrive: Any, make_span: Make, scope: str = "logfire", **attributes: Any) -> Call:
        (record,) = arrive(make_span(1, {**self.ATTRIBUTES, "operation.cost": 0.5, **attributes}), scope=scope).calls
        return record.call

    def test_wrong_cost_is_computed_again(self, arrive: Any, make_span: Make) -> None:
        """A cost that the price list does not give is replaced, and kept as what was reported."""
        call = self.arrived(arrive, make_span)

        assert call.cost is not None
        assert call.cost.total_usd == Decimal("0.00021")
        assert call.extra[sc.COST_REPORTED_USD] == 0.5

    def test_right_cost_is_not_kept_twice(self, arrive: Any, make_span: Make) -> None:
        """A cost that is the price list's is only that."""
        reported: dict[str, Any] = {"operation.cost": 0.00021}

        call = self.arrived(arrive, make_span, **reported)

        assert call.cost is not None
        assert sc.COST_REPORTED_USD not in call.extra

    def test_reported_cost_stands_in(self, arrive: Any, make_span: Make) -> None:
        """Where the price list has no price, the reported one counts, and says whose it is."""
        call = self.arrived(arrive, make_span, **{sc.REQUEST_MODEL: "no-such-model"})

        assert call.cost is not None
        assert (call.cost.total_usd, call.cost.price_version) == (Decimal("0.5"), "reported by logfire")

    def test_nothing_is_no_price(self, arrive: Any, make_span: Make) -> None:
        """A reported 0 for a model without a price is no price."""
        unpriced: dict[str, Any] = {sc.REQUEST_MODEL: "no-such-model", "operation.cost": 0.0}

        call = self.arrived(arrive, make_span, **unpriced)

        assert call.cost is None
        assert "no-such-model" in (call.unpriced_reason or "")

    def test_what_the_provider_billed_counts(self, arrive: Any, make_span: Make) -> None:
        """A cost that the provider stated is taken as it is."""
        billed: dict[str, Any] = {sc.COST_AMOUNT: 0.25, sc.COST_CURRENCY: "USD", sc.COST_SOURCE: "provider"}

        call = self.arrived(arrive, make_span, **billed)

        assert call.cost is not None
        assert (call.cost.total_usd, call.cost.source) == (Decimal("0.25"), "provider")


class TestTasks:
    CONTENT: ClassVar = {
        sc.SYSTEM_INSTRUCTIONS: '[{"type": "text", "content": "Summarize the text of the user in one sentence."}]',
        sc.INPUT_MESSAGES: '[{"role": "user", "parts": [{"type": "text", "content": "On Monday the council met."}]}]',
    }

    def arrived(self, arrive: Any, make_span: Make, scope: str = "other", **attributes: Any) -> Call:
        arrivals.forget_tasks()
        call = Call("chat", "openai", "gpt-4o-mini", usage=USAGE)
        (record,) = arrive(make_span(1, {**to_attributes(call), **attributes}), scope=scope).calls
        return record.call

    def test_content_tells_the_task(self, arrive: Any, make_span: Make) -> None:
        """Task type, complexity and use case are inferred from messages, and the source says so."""
        call = self.arrived(arrive, make_span, **self.CONTENT)

        assert (call.task_type, call.task_source) == ("summarization", "inferred")
        assert call.task_confidence is not None
        assert call.complexity
        assert (call.use_case_id or "").startswith("uc_")

    def test_no_content_no_guess(self, arrive: Any, make_span: Make) -> None:
        """Without content nothing is known, and nothing is made up."""
        call = self.arrived(arrive, make_span)

        assert (call.task_type, call.task_source, call.use_case_id) == ("unknown", None, None)

    def test_what_the_span_says_stays(self, arrive: Any, make_span: Make) -> None:
        """A task that the span names, and our own app's not knowing, are not overruled."""
        said = {sc.TASK_TYPE: "extraction", sc.TASK_SOURCE: "tag"}

        named = self.arrived(arrive, make_span, **self.CONTENT, **said)
        ours = self.arrived(arrive, make_span, scope="tierwise", **self.CONTENT)

        assert (named.task_type, named.task_source) == ("extraction", "tag")
        assert ours.task_source is None

    def test_name_of_the_use_case(self, arrive: Any, make_span: Make) -> None:
        """Calls that an instrumentation gave a name are one use case by that name."""
        one = self.arrived(arrive, make_span, **self.CONTENT, **{"gen_ai.prompt.name": "minutes"})

        assert one.use_case_name == "minutes"


def test_nested_instrumentations_are_one_call(make_span: Make, arrive: Any, store: Any) -> None:
    """A framework's span around the SDK's, in another dialect and without the response's id, is the same call."""
    outer = {
        "openinference.span.kind": "LLM",
        "llm.model_name": "gpt-4o-mini",
        "llm.provider": "openai",
        "llm.token_count.prompt": 1000,
        "llm.token_count.completion": 100,
    }
    inner = to_attributes(Call("chat", "openai", "gpt-4o-mini", response_id="chatcmpl-1", usage=USAGE))
    chain = {"openinference.span.kind": "CHAIN", "llm.model_name": "gpt-4o-mini"}
    spans = [
        make_span(1, chain),
        {**make_span(2, outer), "parentSpanId": f"{1:016x}"},
        {**make_span(3, inner), "parentSpanId": f"{2:016x}"},
    ]
    trace_id = spans[0]["traceId"]
    framework = arrive(*({**span, "traceId": trace_id} for span in spans[:2]), scope="openinference.langchain")
    sdk = arrive({**spans[2], "traceId": trace_id}, scope="opentelemetry.instrumentation.genai.openai")
    framework.extend(sdk)

    landed = store.land(calls=framework.calls, spans=framework.spans)

    (row,) = store.sql("SELECT response_id, input_tokens, priced FROM llm_calls").to_pylist()
    assert (landed.calls, landed.merged_calls) == (1, 1)
    assert row == {"response_id": "chatcmpl-1", "input_tokens": 1000, "priced": True}


def test_unreadable_span_harms_no_other(
    make_call_span: Make, arrive: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A span whose attributes make a dialect stumble is kept as a plain span and counted."""
    reads = iter([ValueError("odd"), None])
    genuine = arrivals.read_call

    def stumbling(span: Any) -> Call | None:
        error = next(reads)
        if error is not None:
            raise error
        return genuine(span)

    monkeypatch.setattr(arrivals, "read_call", stumbling)

    brought = arrive(make_call_span(1), make_call_span(2))

    assert [record.span_id for record in brought.calls] == [f"{2:016x}"]
    assert [record.span_id for record in brought.spans] == [f"{1:016x}"]
    assert brought.unreadable_spans == 1
    assert "cannot be read" in caplog.text


@pytest.mark.parametrize(
    "hostile",
    [
        {sc.COST_AMOUNT: "free"},
        {sc.COST_AMOUNT: 1e300},
        {sc.COST_AMOUNT: 0.5, sc.COST_INPUT_USD: float("inf")},
        {sc.USAGE_INPUT_TOKENS: 1e300},
        {sc.USAGE_INPUT_TOKENS: -5},
        {sc.RESPONSE_FINISH_REASONS: "stop"},
        {sc.RESPONSE_FINISH_REASONS: [None, 5]},
        {sc.SHADOW_OF: "-"},
        {sc.REQUEST_MODEL: 5},
        {sc.ROUTE_REQUESTED_MODEL: "m", sc.ROUTE_POLICY_VERSION: 1e300, sc.ROUTE_PROPENSITY: "x"},
        {"nested": {"a": [{"b": float("nan")}]}},
    ],
    ids=str,
)
def test_hostile_attributes_can_be_stored(make_span: Make, arrive: Any, store: Any, hostile: dict[str, Any]) -> None:
    """Attributes of impossible kinds and sizes lose themselves, never the span."""
    span = make_span(1, to_attributes(Call("chat", "openai", "m", usage=USAGE)))
    span["attributes"] += make_span(1, hostile)["attributes"]

    brought = arrive(span)
    landed = store.land(calls=brought.calls, spans=brought.spans)

    assert landed.calls + landed.spans == 1


class TestEvaluations:
    def test_event_becomes_a_score(self, score: Any) -> None:
        """A gen_ai.evaluation.result event is an evaluation of the span it stands on."""
        (found,) = score(
            {
                sc.EVALUATION_NAME: "exact",
                sc.EVALUATION_SOURCE: "check",
                sc.EVALUATION_SCORE_VALUE: 1,
                sc.EVALUATION_SCORE_LABEL: "pass",
                sc.EVALUATION_EXPLANATION: "same total",
                sc.RESPONSE_ID: "resp_1",
            }
        )

        assert (found.trace_id, found.span_id) == (f"{1:032x}", f"{1:016x}")
        assert (found.name, found.source, found.score, found.label) == ("exact", "check", 1.0, "pass")
        assert (found.explanation, found.response_id) == ("same total", "resp_1")

    def test_unknown_source_is_anybodys(self, score: Any) -> None:
        """An evaluator that does not say what it is counts as feedback."""
        (found,) = score({sc.EVALUATION_NAME: "vibes", sc.EVALUATION_SCORE_VALUE: 0.5})

        assert found.source == "feedback"

    @pytest.mark.parametrize("value", [5, -0.1, float("nan")])
    def test_other_scales_are_labels(self, score: Any, value: float) -> None:
        """A score outside [0, 1] is no score; it is still there to read."""
        (found,) = score({sc.EVALUATION_NAME: "stars", sc.EVALUATION_SCORE_VALUE: value})

        assert (found.score, found.label) == (None, str(value))

    def test_response_id_is_enough(self, score: Any) -> None:
        """An event on no span is kept when it names the response, and only then."""
        named = {sc.EVALUATION_NAME: "a", sc.RESPONSE_ID: "resp_1"}

        found = score(named, {sc.EVALUATION_NAME: "b"}, span=None)

        assert [(item.name, item.span_id, item.response_id) for item in found] == [("a", "", "resp_1")]

    def test_other_events_are_ignored(self, score: Any) -> None:
        """Events of other names, and evaluations without one, bring nothing."""
        assert score({sc.EVALUATION_NAME: "a"}, name="something.else") == []
        assert score({sc.EVALUATION_SCORE_VALUE: 1.0}) == []
