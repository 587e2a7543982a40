"""What people reported about counts and costs of other instrumentations, held against ours."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from tierwise import prices
from tierwise.testing import Answer, LoopbackProvider, ProviderUsage

from .installed_sdks import skip_without

if TYPE_CHECKING:
    from .conftest import Caller, Spans

FROM_A_CACHE = ProviderUsage(input_tokens=1200, output_tokens=64, cache_read=900)
CLAUDE = "claude-opus-4-7"


def tokens(attributes: dict[str, Any]) -> tuple[int, int]:
    return attributes["gen_ai.usage.input_tokens"], attributes["gen_ai.usage.output_tokens"]


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("api", ["messages", "beta_messages"])
def test_cumulative_output_counts_are_not_added_up(
    api: str, is_async: bool, make_caller: Callable[[str, bool], Caller], instrumented: Spans
) -> None:
    """A streamed message's last count includes its first: 64 tokens are 64, not 65 (traceloop/openllmetry#4377)."""
    make_caller(api, is_async).stream().read()

    assert instrumented.only.attributes["gen_ai.usage.output_tokens"] == 64


@pytest.mark.parametrize("stream", [False, True])
def test_input_is_the_whole_input_on_both_wires(stream: bool, caller: Caller, instrumented: Spans) -> None:
    """Input tokens include cache reads and writes, which one wire counts in and the other beside them
    (Arize-ai/openinference#1429, langchain-ai/langsmith-sdk#2519)."""
    caller.stream().read() if stream else caller.create()

    attributes = instrumented.only.attributes
    assert tokens(attributes) == (1200, 64)
    assert attributes["gen_ai.usage.cache_read.input_tokens"] == 900
    assert attributes["gen_ai.usage.cache_write.input_tokens"] == 200


@pytest.mark.parametrize("api", ["chat_completions", "responses", "messages"])
def test_cache_reads_cost_what_cache_reads_cost(
    api: str, make_caller: Callable[[str, bool], Caller], provider: LoopbackProvider, instrumented: Spans
) -> None:
    """Tokens from a cache are billed at their own rate, not at the prompt's (openlit/openlit#1378)."""
    caller = make_caller(api, False)
    provider.answer(lambda _: Answer("Paris", usage=FROM_A_CACHE))

    caller.create()

    span = instrumented.only
    sdk = "anthropic" if api == "messages" else "openai"
    rates = prices.rates(sdk, caller.model, input_tokens=1200, at_ns=span.start_ns)
    assert rates is not None
    assert rates.cache_read is not None
    assert rates.cache_read < rates.input
    expected = 300 * rates.input + 900 * rates.cache_read + 64 * rates.output
    assert Decimal(str(span.attributes["gen_ai.usage.cost.amount"])) == pytest.approx(expected)
    assert Decimal(str(span.attributes["tierwise.cost.cache_read_usd"])) == pytest.approx(900 * rates.cache_read)


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("api", ["chat_completions", "completions"])
def test_plain_streams_have_usage(
    api: str,
    is_async: bool,
    make_caller: Callable[[str, bool], Caller],
    provider: LoopbackProvider,
    instrumented: Spans,
) -> None:
    """A stream whose caller did not ask for usage has it all the same, and the extra chunk never reaches the caller
    (traceloop/openllmetry#627 and #2898, pydantic/logfire#1280, getsentry/sentry-python#5538 and #5852)."""
    chunks = make_caller(api, is_async).stream().read()

    (request,) = provider.requests
    assert request.body["stream_options"] == {"include_usage": True}
    assert all(chunk.choices for chunk in chunks)
    attributes = instrumented.only.attributes
    assert tokens(attributes) == (1200, 64)
    assert "tierwise.usage.estimated" not in attributes


@pytest.mark.parametrize("is_async", [False, True])
def test_streamed_responses_have_a_span_and_usage(
    is_async: bool, make_caller: Callable[[str, bool], Caller], provider: LoopbackProvider, instrumented: Spans
) -> None:
    """A streamed response is a span with the usage of its closing event, also when it stops at its limit
    (pydantic/logfire#1651, traceloop/openllmetry#3395)."""
    caller = make_caller("responses", is_async)
    provider.script([Answer("Paris", usage=FROM_A_CACHE), Answer("Pa", usage=FROM_A_CACHE, finish_reason="length")])

    caller.stream().read()
    caller.stream().read()

    finished, limited = (span.attributes for span in instrumented.ended)
    assert [tokens(attributes) for attributes in (finished, limited)] == [(1200, 64), (1200, 64)]
    assert finished["gen_ai.response.finish_reasons"] == ("stop",)
    assert limited["gen_ai.response.finish_reasons"] == ("length",)


def test_layers_over_one_request_count_it_once(
    make_caller: Callable[[str, bool], Caller], provider: LoopbackProvider, instrumented: Spans
) -> None:
    """Whatever stands on top of a request (a framework's own span, the SDK's helpers, a raw response), its tokens are
    counted once (DataDog/dd-trace-js#8938, langfuse/langfuse#9344, Arize-ai/openinference#2101)."""
    chat, claude = make_caller("chat_completions", False), make_caller("messages", False)
    skip_without(chat.resource, "parse")
    skip_without(claude.client, "beta.messages.tool_runner")
    framework = instrumented.tracer_provider.get_tracer("a framework")

    with framework.start_as_current_span("invoke_agent", attributes={"gen_ai.usage.input_tokens": 9 * 1200}):
        chat.resource.parse(**chat.arguments)
        with chat.resource.stream(**chat.arguments) as helper:
            list(helper)
        chat.resource.with_raw_response.create(**chat.arguments).parse()
        chat.resource.with_raw_response.create(**chat.arguments, stream=True).parse().close()
        with chat.resource.with_streaming_response.create(**chat.arguments) as response:
            response.parse()
        chat.client.with_options(timeout=5).chat.completions.create(**chat.arguments)
        with claude.resource.stream(**claude.arguments) as helper:
            helper.get_final_message()
        claude.client.beta.messages.tool_runner(**claude.arguments, tools=[]).until_done()

    *calls, agent = instrumented.ended
    assert agent.name == "invoke_agent"
    assert len(calls) == len(provider.requests) == 8
    assert [span.parent for span in calls] == [agent.context] * 8
    assert sum(span.attributes["gen_ai.usage.input_tokens"] == 1200 for span in calls) == 7, "one was closed unread"


@pytest.mark.parametrize("tier", ["flex", "priority"])
def test_the_tier_sets_the_price(tier: str, chat: Caller, provider: LoopbackProvider, instrumented: Spans) -> None:
    """The tier that served a call is recorded and prices it; a tier without a known price is not the standard one
    (open-telemetry/semantic-conventions-genai#503)."""
    provider.script([Answer("Paris", usage=FROM_A_CACHE), Answer("Paris", usage=FROM_A_CACHE, service_tier=tier)])

    chat.create()
    chat.create(extra_body={"service_tier": tier})

    standard, special = (span.attributes for span in instrumented.ended)
    assert special["openai.request.service_tier"] == special["openai.response.service_tier"] == tier
    assert special.get("gen_ai.usage.cost.amount") != standard["gen_ai.usage.cost.amount"]
    assert special["tierwise.priced"] or special["tierwise.unpriced.reason"]


def test_the_lifetime_of_a_cache_sets_the_price(
    make_caller: Callable[[str, bool], Caller], provider: LoopbackProvider, instrumented: Spans
) -> None:
    """Writes to the long cache are recorded apart and cost more than writes to the short one
    (open-telemetry/semantic-conventions-genai#503)."""
    caller = make_caller("messages", False)
    provider.script(_written(cache_write_5m=800) + _written(cache_write_1h=800))

    caller.create()
    caller.create()

    short, long = (span.attributes for span in instrumented.ended)
    assert short["anthropic.usage.cache_creation.ephemeral_5m_input_tokens"] == 800
    assert long["anthropic.usage.cache_creation.ephemeral_1h_input_tokens"] == 800
    rates = prices.rates("anthropic", CLAUDE, input_tokens=1000, at_ns=instrumented.ended[0].start_ns)
    assert rates is not None
    for attributes, rate in ((short, rates.cache_write), (long, rates.cache_write_1h)):
        assert rate is not None
        assert Decimal(str(attributes["tierwise.cost.cache_write_usd"])) == pytest.approx(800 * rate)
    assert long["gen_ai.usage.cost.amount"] > short["gen_ai.usage.cost.amount"]


def _written(**cache: int) -> list[Answer]:
    return [Answer("Paris", usage=ProviderUsage(input_tokens=1000, output_tokens=10, **cache))]


def test_unread_usage_is_never_taken_for_real(
    make_caller: Callable[[str, bool], Caller], provider: LoopbackProvider, instrumented: Spans
) -> None:
    """Where a server reports nothing, tokens are estimated and marked so, not presented as counted
    (traceloop/openllmetry#2898)."""
    provider.answer(lambda _: Answer("Paris " * 10, report_usage=False))
    callers: Iterable[Caller] = (make_caller(api, False) for api in ("chat_completions", "completions", "responses"))

    for caller in callers:
        caller.stream().read()

    assert [span.attributes.get("tierwise.usage.estimated") for span in instrumented.ended] == [True] * 3
