from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierwise import semconv as sc
from tierwise.attributes import from_attributes, to_attributes, usd
from tierwise.call import Attempt, Call, Cost, Decision, Usage

names = st.text(min_size=1, max_size=20)
maybe_names = st.none() | names
counts = st.integers(0, 10_000_000)
amounts = st.decimals(0, 10, places=12)
shares = st.floats(0, 1, allow_nan=False)
units = st.dictionaries(
    st.sampled_from(["input_audio_tokens", "output_image_tokens", "audio_seconds", "input_characters", "videos"]),
    st.integers(1, 10_000_000) | st.floats(0.001, 1e6),
).map(lambda amounts: tuple(sorted(amounts.items())))


@st.composite
def calls(draw: st.DrawFn) -> Call:
    request_model = draw(names)
    cost = draw(
        st.none()
        | st.builds(
            Cost,
            input_usd=amounts,
            output_usd=amounts,
            cache_read_usd=amounts,
            cache_write_usd=amounts,
            other_usd=amounts,
            price_version=names,
            source=st.sampled_from(["provider", "local"]),
        )
    )
    decision = draw(
        st.none()
        | st.builds(
            Decision,
            requested_model=names,
            sent_model=st.just(request_model),
            policy_version=st.none() | counts,
            rule_id=maybe_names,
            arm=st.none() | st.sampled_from(["control", "canary", "treated", "holdout"]),
            decision=st.sampled_from(
                ["unchanged", "routed", "would_route", "refused", "fell_back", "escalated", "rejected"]
            ),
            propensity=st.none() | shares,
            reason=st.text(max_size=20),
        )
    )
    return Call(
        operation=draw(names),
        provider=draw(names),
        request_model=request_model,
        api=draw(st.none() | st.sampled_from(["chat_completions", "responses", "messages"])),
        response_model=draw(maybe_names),
        response_id=draw(maybe_names),
        finish_reasons=tuple(draw(st.lists(names, max_size=3))),
        usage=draw(
            st.builds(
                Usage,
                input_tokens=st.none() | counts,
                output_tokens=st.none() | counts,
                cache_read_tokens=counts,
                cache_write_tokens=counts,
                cache_write_5m_tokens=counts,
                cache_write_1h_tokens=counts,
                reasoning_tokens=counts,
                web_searches=counts,
                units=units,
                estimated=st.booleans(),
                partial=st.booleans(),
            )
        ),
        cost=cost,
        unpriced_reason=None if cost else draw(maybe_names),
        service_tier=draw(maybe_names),
        stream=draw(st.booleans()),
        time_to_first_chunk_s=draw(st.none() | shares),
        conversation_id=draw(maybe_names),
        server_address=draw(maybe_names),
        server_port=draw(st.none() | st.integers(1, 65535)),
        error_type=draw(maybe_names),
        task_type=draw(names),
        task_confidence=draw(st.none() | shares),
        task_source=draw(maybe_names),
        complexity=draw(maybe_names),
        use_case_id=draw(maybe_names),
        use_case_name=draw(maybe_names),
        tenant=draw(maybe_names),
        decision=decision,
        attempt=draw(
            st.none()
            | st.builds(
                Attempt,
                of=names,
                number=counts,
                started_after_s=shares,
                rejected_by=maybe_names,
                reason=st.text(max_size=20),
                buffered=st.booleans(),
                checks=st.just(()) | st.just((("refusal", "undecided"), ("schema", "failed"))),
                checks_s=st.just(0.0),
            )
        ),
        shadow_of=draw(maybe_names),
        shadow_propensity=draw(st.none() | shares),
        parameters=draw(st.dictionaries(st.just(sc.REQUEST_TEMPERATURE), shares)),
        extra=draw(st.dictionaries(st.just("app.version"), names)),
    )


@given(calls())
def test_round_trip(call: Call) -> None:
    """A call written to span attributes is read back as it was, money included."""
    assert from_attributes(to_attributes(call)) == call


scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.just(10**400)
    | st.floats()
    | st.text(max_size=8)
    | st.lists(st.text(max_size=3))
)
every_key = sorted(value for name, value in vars(sc).items() if name.isupper() and isinstance(value, str))


@given(st.dictionaries(st.sampled_from(every_key), scalars, max_size=12))
def test_hostile_values_are_survived(attributes: dict[str, object]) -> None:
    """Whatever types arrive under our keys, reading gives a call and never raises."""
    call = from_attributes(attributes)

    assert call.usage.cache_read_tokens >= 0
    assert call.cost is None or call.cost.total_usd.is_finite()


def test_cache_writes_stand_under_both_names() -> None:
    """Backends that know only the old name of cache writes still see them."""
    call = Call("chat", "anthropic", "m", usage=Usage(input_tokens=10, cache_write_tokens=7))

    attributes = to_attributes(call)

    assert attributes[sc.USAGE_CACHE_WRITE] == attributes[sc.USAGE_CACHE_CREATION_LEGACY] == 7


def test_foreign_total_is_kept() -> None:
    """A cost another writer gave without our split keeps its total, under `other`."""
    call = from_attributes({sc.COST_AMOUNT: 0.25, sc.COST_CURRENCY: "USD"})

    assert call.cost is not None
    assert call.cost.total_usd == call.cost.other_usd == usd(0.25)


@pytest.mark.parametrize("amount", [1e16, -1e16, 1e6, float("inf"), float("nan"), "0.5", True])
def test_impossible_amounts_are_no_cost(amount: object) -> None:
    """An amount that no call can cost, or that is no number, leaves the call without a cost."""
    assert from_attributes({sc.COST_AMOUNT: amount}).cost is None


def test_other_currencies_are_not_dollars() -> None:
    """A cost in another currency is not taken for USD."""
    assert from_attributes({sc.COST_AMOUNT: 0.25, sc.COST_CURRENCY: "EUR"}).cost is None
