from __future__ import annotations

import json
from collections.abc import Callable, Generator
from contextvars import copy_context
from decimal import Decimal
from typing import Any

import anthropic
import openai
import pytest
from fault_injection import Functions
from genai_prices import Usage as ListUsage
from genai_prices import calc_price

from tierwise import prices, use_case
from tierwise import semconv as sc
from tierwise.instrumentation import orders
from tierwise.testing import Answer, LoopbackProvider, ProviderUsage

USAGE = ProviderUsage(input_tokens=1200, output_tokens=64, cache_read=900, reasoning=10)
COUNTS = {"input_tokens": 1200, "output_tokens": 64, "cache_read_tokens": 900, "output_reasoning_tokens": 10}
MODEL = "gpt-5.6-luna"


def list_price(provider: str, model: str, counts: dict[str, int], *, batch: bool = False) -> Decimal:
    context = {"processing": "batch"} if batch else None
    return calc_price(ListUsage(**counts), model, provider_id=provider, price_context=context).total_price


@pytest.fixture(autouse=True)
def no_orders(provider: LoopbackProvider) -> Generator[None]:
    """The provider counts its ids from 1 again."""
    orders.forget_all()
    provider.answer(lambda _: Answer("Paris", usage=USAGE))
    yield
    orders.forget_all()


@pytest.fixture(params=[False, True], ids=["sync", "async"])
def is_async(request: pytest.FixtureRequest) -> bool:
    return request.param


@pytest.fixture
def call(loop: Any, is_async: bool) -> Callable[[Any], Any]:
    """Wait for what an async client returns; a sync one's as it is."""
    if not is_async:
        return lambda result: result
    # As if awaited here, where a use case may be current.
    return lambda coroutine: loop.run(coroutine, context=copy_context())


@pytest.fixture
def read(call: Callable[[Any], Any], is_async: bool) -> Callable[[Any], list[Any]]:
    """Iterate to the end."""

    async def drain(items: Any) -> list[Any]:
        return [item async for item in items]

    return (lambda items: call(drain(items))) if is_async else list


@pytest.fixture
def openai_client(clients: dict[tuple[str, bool], Any], is_async: bool) -> openai.OpenAI:
    return clients["openai", is_async]


@pytest.fixture
def anthropic_client(clients: dict[tuple[str, bool], Any], is_async: bool) -> anthropic.Anthropic:
    return clients["anthropic", is_async]


# --- background responses ---------------------------------------------------------------------------------------------


@pytest.fixture
def order(openai_client: openai.OpenAI, call: Callable[[Any], Any]) -> Callable[..., Any]:
    """Order a background response."""
    return lambda **changes: call(
        openai_client.responses.create(model=MODEL, input="Capital of France?", background=True, **changes)
    )


def test_a_background_response_is_billed_when_it_is_retrieved(
    provider: LoopbackProvider,
    openai_client: openai.OpenAI,
    call: Callable[[Any], Any],
    order: Callable[..., Any],
    instrumented: Any,
) -> None:
    """Ordering and polling cost nothing; the retrieval that finds it done is one span, of the use case that ordered."""
    provider.answer(lambda _: Answer("Paris", usage=USAGE, polls=2))

    with use_case("capitals", task="rewriting", tenant="acme"):
        response = order()
    statuses = [call(openai_client.responses.retrieve(response.id)).status for _ in range(4)]

    ordered, fetched = instrumented.ended
    assert statuses == ["in_progress", "in_progress", "completed", "completed"]
    assert ordered.name == f"chat {MODEL}"
    assert ordered.attributes[sc.UNPRICED_REASON] == "billed when the background response is retrieved"
    assert sc.USAGE_INPUT_TOKENS not in ordered.attributes
    said = fetched.attributes
    assert fetched.name == f"fetch_response {MODEL}"
    assert said[sc.OPERATION_NAME] == "fetch_response"
    assert said[sc.RESPONSE_ID] == response.id
    assert said[sc.USAGE_INPUT_TOKENS] == 1200
    assert said[sc.COST_AMOUNT] == pytest.approx(float(list_price("openai", MODEL, COUNTS)), abs=1e-12)
    assert (said[sc.USE_CASE_NAME], said[sc.TASK_TYPE], said[sc.TENANT]) == ("capitals", "rewriting", "acme")


@pytest.mark.parametrize("way", ["raw", "streaming", "events", "raw events"])
def test_every_way_to_retrieve_one(
    way: str,
    openai_client: Any,
    call: Callable[[Any], Any],
    read: Callable[[Any], list[Any]],
    order: Callable[..., Any],
    instrumented: Any,
    is_async: bool,
) -> None:
    """Raw, streamed and event by event, a background response that is done is booked once."""
    response_id = order().id
    responses = openai_client.responses

    async def read_async(**changes: Any) -> None:
        async with responses.with_streaming_response.retrieve(response_id, **changes) as answer:
            assert await answer.read()

    def read_bytes(**changes: Any) -> None:
        if is_async:
            call(read_async(**changes))
            return
        with responses.with_streaming_response.retrieve(response_id, **changes) as answer:
            assert answer.read()

    if way == "raw":
        assert call(responses.with_raw_response.retrieve(response_id)).parse().status == "completed"
    elif way == "streaming":
        read_bytes()
    elif way == "events":
        assert read(call(responses.retrieve(response_id, stream=True)))[-1].type == "response.completed"
    else:
        read_bytes(stream=True)
    call(responses.retrieve(response_id))

    _, fetched = instrumented.ended
    assert fetched.name == f"fetch_response {MODEL}"
    assert fetched.attributes[sc.USAGE_OUTPUT_TOKENS] == 64


def test_one_that_was_streamed_to_its_end_is_not_billed_again(
    openai_client: openai.OpenAI,
    call: Callable[[Any], Any],
    read: Callable[[Any], list[Any]],
    order: Callable[..., Any],
    instrumented: Any,
) -> None:
    """The stream that ordered it reported its usage; retrieving it later books nothing."""
    done = read(order(stream=True))[-1]
    call(openai_client.responses.retrieve(done.response.id))

    assert instrumented.only.name == f"chat {MODEL}"
    assert instrumented.only.attributes[sc.USAGE_INPUT_TOKENS] == 1200


def test_one_whose_stream_was_left_is_billed_when_it_is_retrieved(
    openai_client: openai.OpenAI,
    call: Callable[[Any], Any],
    order: Callable[..., Any],
    instrumented: Any,
    is_async: bool,
) -> None:
    """It goes on without the stream, so what the stream saw of it is not its usage."""
    stream = order(stream=True)
    created = call(anext(stream)) if is_async else next(stream)
    call(stream.close())
    call(openai_client.responses.retrieve(created.response.id))

    left, fetched = instrumented.ended
    assert left.attributes[sc.UNPRICED_REASON] == "billed when the background response is retrieved"
    assert fetched.attributes[sc.USAGE_INPUT_TOKENS] == 1200


def test_an_ordinary_response_retrieved_costs_nothing(
    provider: LoopbackProvider, openai_client: openai.OpenAI, call: Callable[[Any], Any], instrumented: Any
) -> None:
    """Only background responses are billed when they are done."""
    response = call(openai_client.responses.create(model=MODEL, input="Capital of France?"))
    with pytest.raises(openai.NotFoundError):
        call(openai_client.responses.retrieve(response.id))

    assert instrumented.only.name == f"chat {MODEL}"


# --- batches ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def order_batch(openai_client: Any, call: Callable[[Any], Any]) -> Callable[..., str]:
    """Order a batch of chats; its id."""

    def order(*models: str) -> str:
        lines = [
            {
                "custom_id": str(number),
                "method": "POST",
                "url": "/v1/chat/completions",
                "body": {"model": model, "messages": [{"role": "user", "content": "Capital?"}]},
            }
            for number, model in enumerate(models)
        ]
        content = "\n".join(map(json.dumps, lines)).encode()
        file = call(openai_client.files.create(file=("batch.jsonl", content), purpose="batch"))
        batch = call(
            openai_client.batches.create(
                input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
            )
        )
        return batch.id

    return order


def test_an_openai_batch_is_billed_when_it_is_done(
    openai_client: Any, call: Callable[[Any], Any], order_batch: Callable[..., str], instrumented: Any
) -> None:
    """A batch is one span with the usage of all its requests at batch prices, however often one asks for it."""
    batch_id = order_batch("gpt-4.1", "gpt-4.1")
    for _ in range(2):
        batch = call(openai_client.batches.retrieve(batch_id))
        call(openai_client.files.content(batch.output_file_id))

    said = instrumented.only.attributes
    expected = list_price("openai", "gpt-4.1", {name: 2 * count for name, count in COUNTS.items()}, batch=True)
    assert instrumented.only.name == "batch gpt-4.1"
    assert (said[sc.BATCH_ID], said[sc.BATCH_REQUESTS]) == (batch_id, 2)
    assert said[sc.USAGE_INPUT_TOKENS] == 2400
    assert said[sc.OPENAI_RESPONSE_SERVICE_TIER] == "batch"
    assert said[sc.COST_AMOUNT] == pytest.approx(float(expected), abs=1e-12)


@pytest.mark.parametrize("way", ["plain", "raw", "streaming"])
def test_a_batch_of_unknown_sizes_is_billed_by_its_output_file(
    way: str,
    provider: LoopbackProvider,
    openai_client: Any,
    call: Callable[[Any], Any],
    order_batch: Callable[..., str],
    instrumented: Any,
    is_async: bool,
) -> None:
    """Where long requests cost more a sum has no price, and each request in the output file has its own."""
    sizes = iter([150_000, 150_000, 300_000])

    def sized(request: Any) -> Answer:
        is_chat = request.protocol == "chat_completions"
        return Answer("Paris", usage=ProviderUsage(input_tokens=next(sizes), output_tokens=10) if is_chat else None)

    provider.answer(sized)
    batch = call(openai_client.batches.retrieve(order_batch("gpt-5.5", "gpt-5.5", "gpt-5.5")))
    assert instrumented.ended == []
    files = openai_client.files

    async def stream_async() -> None:
        async with files.with_streaming_response.content(batch.output_file_id) as answer:
            assert [piece async for piece in answer.iter_bytes(7)]

    if way == "plain":
        assert call(files.content(batch.output_file_id)).text
    elif way == "raw":
        assert call(files.with_raw_response.content(batch.output_file_id)).text
    elif is_async:
        call(stream_async())
    else:
        with files.with_streaming_response.content(batch.output_file_id) as answer:
            assert list(answer.iter_bytes(7))
    call(files.content(batch.output_file_id))

    said = instrumented.only.attributes
    prices_of = [
        list_price("openai", "gpt-5.5", {"input_tokens": size, "output_tokens": 10}, batch=True)
        for size in (150_000, 150_000, 300_000)
    ]
    assert said[sc.USAGE_INPUT_TOKENS] == 600_000
    assert said[sc.BATCH_REQUESTS] == 3
    assert said[sc.COST_AMOUNT] == pytest.approx(float(sum(prices_of)), abs=1e-12)


def test_a_message_batch_is_billed_by_its_results(
    provider: LoopbackProvider,
    anthropic_client: Any,
    call: Callable[[Any], Any],
    read: Callable[[Any], list[Any]],
    instrumented: Any,
) -> None:
    """Results are one span for each model, with its requests added up at batch prices, booked once."""
    models = ["claude-opus-5-5", "claude-haiku-5-5", "claude-opus-5-5"]
    requests = [
        {"custom_id": str(number), "params": {"model": model, "max_tokens": 10, "messages": []}}
        for number, model in enumerate(models)
    ]
    batch = call(anthropic_client.messages.batches.create(requests=requests))
    for batches in (anthropic_client.messages.batches, anthropic_client.beta.messages.batches):
        assert len(read(call(batches.results(batch.id)))) == 3

    spans = {span.name: span.attributes for span in instrumented.ended}
    opus = list_price("anthropic", "claude-opus-5-5", {name: 2 * n for name, n in COUNTS.items()}, batch=True)
    assert set(spans) == {"batch claude-opus-5-5", "batch claude-haiku-5-5"}
    assert len(instrumented.ended) == 2
    assert spans["batch claude-opus-5-5"][sc.BATCH_REQUESTS] == 2
    assert spans["batch claude-opus-5-5"][sc.USAGE_INPUT_TOKENS] == 2400
    assert spans["batch claude-opus-5-5"][sc.COST_AMOUNT] == pytest.approx(float(opus), abs=1e-12)


def test_results_that_were_not_read_to_their_end_are_not_billed(
    anthropic_client: Any, call: Callable[[Any], Any], is_async: bool, read: Callable[[Any], Any], instrumented: Any
) -> None:
    """What a part of the results says is booked when the whole is read, and not twice."""
    params = {"model": "claude-opus-5-5", "max_tokens": 10, "messages": []}
    requests = [{"custom_id": str(number), "params": params} for number in range(3)]
    batch = call(anthropic_client.messages.batches.create(requests=requests))
    results = call(anthropic_client.messages.batches.results(batch.id))
    call(anext(results)) if is_async else next(results)
    call(results.close())
    assert instrumented.ended == []

    read(call(anthropic_client.messages.batches.results(batch.id)))

    assert instrumented.only.attributes[sc.BATCH_REQUESTS] == 3


def test_a_batch_before_the_price_list_is_there(
    openai_client: Any,
    call: Callable[[Any], Any],
    order_batch: Callable[..., str],
    instrumented: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The span follows when the list is loaded; if it never is, the collector is not asked to price the sum."""
    from tierwise.instrumentation import pricing

    monkeypatch.setattr(prices, "ready", lambda: False)
    monkeypatch.setattr(prices, "when_ready", lambda _: True)

    call(openai_client.batches.retrieve(order_batch("gpt-4.1", "gpt-4.1")))
    assert instrumented.ended == []
    pricing.give_up_waiting()

    said = instrumented.only.attributes
    assert said[sc.UNPRICED_REASON] == "the price list was not loaded when the process ended"


def test_suppressed_requests_are_not_booked(
    openai_client: Any, call: Callable[[Any], Any], order_batch: Callable[..., str], instrumented: Any
) -> None:
    """Who asks instrumentation to keep out gets no span later either."""
    from opentelemetry.context import attach, detach, set_value

    batch_id = order_batch("gpt-4.1")
    token = attach(set_value("suppress_instrumentation", True))
    try:
        call(openai_client.batches.retrieve(batch_id))
    finally:
        detach(token)

    assert instrumented.ended == []


def fetched(openai_client: Any, anthropic_client: Any, ids: tuple[str, str, str]) -> list[Any]:
    """Everything that is billed late, fetched in the ways there are, as plain data."""
    response_id, batch_id, message_batch_id = ids
    responses, files = openai_client.responses, openai_client.files
    batch = openai_client.batches.retrieve(batch_id)
    got: list[Any] = [
        responses.retrieve(response_id),
        *responses.retrieve(response_id, stream=True),
        responses.with_raw_response.retrieve(response_id).parse(),
        batch,
        *anthropic_client.messages.batches.results(message_batch_id),
    ]
    with responses.with_streaming_response.retrieve(response_id) as answer:
        got.append(b"".join(answer.iter_bytes()))
    with files.with_streaming_response.content(batch.output_file_id) as answer:
        got.append(b"".join(answer.iter_bytes()))
    got.append(files.content(batch.output_file_id).text)
    return [item if isinstance(item, str | bytes) else item.to_dict() for item in got]


_CARRIERS = ("Along.__init__", "Along.__iter__", "Along.__next__", "AsyncAlong")
"""What the caller's iteration goes through; it holds nothing else."""
_ROOMS = ("late:", "orders:", "batches:", "openai_batches:", "openai_responses:Back", "openai_responses:_desc")


@pytest.mark.usefixtures("outside_pytest")
def test_our_errors_stay_ours(clients: Any, provider: LoopbackProvider, instrumented: Any) -> None:
    """Whichever function of ours raises while something is fetched, the caller gets what the SDK alone gives."""
    openai_client, anthropic_client = clients["openai", False], clients["anthropic", False]
    # Sizes that need the output file.
    provider.answer(lambda _: Answer("Paris", usage=ProviderUsage(input_tokens=200_000, output_tokens=10)))
    body = {"model": "gpt-5.5", "messages": [{"role": "user", "content": "a"}]}
    content = "\n".join([json.dumps({"custom_id": "a", "body": body})] * 2).encode()
    file = openai_client.files.create(file=("batch.jsonl", content), purpose="batch")
    params = {"model": "claude-opus-5-5", "max_tokens": 10, "messages": []}
    ids = (
        openai_client.responses.create(model=MODEL, input="a", background=True).id,
        openai_client.batches.create(
            input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
        ).id,
        anthropic_client.messages.batches.create(requests=[{"custom_id": "a", "params": params}]).id,
    )
    expected = fetched(openai_client, anthropic_client, ids)
    functions = Functions()
    targets = [
        target
        for target in functions.targets()
        if target.name.removeprefix("instrumentation.").startswith(_ROOMS)
        and not target.name.partition(":")[2].startswith(_CARRIERS)
    ]

    raised = 0
    for target in targets:
        orders.forget_all()
        with functions.raising(target) as faults:
            got = fetched(openai_client, anthropic_client, ids)
        assert got == expected, target.name
        raised += faults() > 0

    assert len(targets) > 35
    assert raised > 25
