from __future__ import annotations

import json
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from tierwise.call import Call, Cost, Decision, Evaluation, Usage
from tierwise.store import wire
from tierwise.store.rows import CallRecord, SpanRecord

texts = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8)
counts = st.integers(0, 2**40)
usd = st.decimals(0, 1000, places=12).map(lambda amount: Decimal(str(float(amount))).quantize(Decimal("1e-12")))
decisions = st.builds(
    Decision,
    requested_model=texts,
    sent_model=st.just("sent"),
    policy_version=counts,
    rule_id=texts,
    arm=st.sampled_from(["control", "canary", "treated", "holdout"]),
    decision=st.sampled_from(["unchanged", "routed", "would_route", "refused", "fell_back"]),
    propensity=st.floats(0.01, 1),
    reason=texts,
)
calls = st.builds(
    Call,
    operation=texts,
    provider=texts,
    request_model=st.just("sent"),
    usage=st.builds(Usage, input_tokens=st.none() | counts, output_tokens=st.none() | counts, cache_read_tokens=counts),
    cost=st.none() | st.builds(Cost, input_usd=usd, output_usd=usd, price_version=texts),
    use_case_id=st.none() | texts,
    decision=st.none() | decisions,
)


@given(call=calls, start_ns=st.integers(1, 2**62), resource=st.dictionaries(texts, texts, max_size=2))
def test_call_survives_the_way(call: Call, start_ns: int, resource: dict[str, str]) -> None:
    """A call record that goes as JSON comes back equal."""
    record = CallRecord("a" * 32, "b" * 16, start_ns, start_ns + 5, call, "c" * 16, "svc", "scope", resource)

    assert wire.call_from_json(json.loads(json.dumps(wire.call_to_json(record)))) == record


def test_span_and_evaluation_survive_the_way() -> None:
    """Spans and evaluations that go as JSON come back equal."""
    span = SpanRecord("a" * 32, "b" * 16, 1, 2, "GET /", None, "server", "svc", "error")
    score = Evaluation("a" * 32, "b" * 16, "exact", "human", 0.5, 9, "good", "because", "resp")

    assert wire.span_from_json(json.loads(json.dumps(wire.span_to_json(span)))) == span
    assert wire.evaluation_from_json(json.loads(json.dumps(wire.evaluation_to_json(score)))) == score
