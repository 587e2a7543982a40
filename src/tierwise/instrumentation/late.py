"""Calls that are billed when they are done: background responses and batches.

The request that orders one costs nothing, nor do those that ask whether it is done, and they make no span. The answer
that says what it has cost makes one span for each model, and each order is booked once in a process.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

from opentelemetry.trace import SpanKind

from tierwise import prices
from tierwise import semconv as sc
from tierwise.attributes import to_attributes
from tierwise.call import AttributeValue, Call, Cost
from tierwise.context import current_use_case
from tierwise.firewall import firewall, swallow
from tierwise.instrumentation import orders, pricing
from tierwise.instrumentation.bodies import MAX_KEPT_BYTES, read_along
from tierwise.instrumentation.orders import Order
from tierwise.instrumentation.request import endpoint
from tierwise.instrumentation.runtime import Runtime
from tierwise.instrumentation.sdk import Booking, LateReader, Sdk, as_object, text


class LateCall:
    """A request on its way whose answer may say what something ordered earlier has cost."""

    def __init__(self, runtime: Runtime, sdk: Sdk, client: Any, reader: LateReader) -> None:
        self._runtime = runtime
        self._endpoint = endpoint(sdk, client)
        self._reader = reader
        self._started_ns = time.time_ns()
        self._is_done = False

    def answered(self, answer: Any, *, is_async: bool) -> Any:
        """The answer, unchanged, once it is read or will be as the user reads it."""
        with firewall("reading an answer"):
            self._read(answer, is_async=is_async)
        return answer

    def _read(self, answer: Any, *, is_async: bool) -> None:
        kind = type(answer)
        response = None
        if hasattr(kind, "http_request"):
            response = answer.http_response
        elif hasattr(kind, "iter_bytes") or hasattr(kind, "aiter_bytes"):
            # A file's content.
            response = getattr(answer, "response", answer)
        if response is not None:
            body = LateBody(self, in_lines=self._reader.in_lines, is_stream=_is_event_stream(response))
            if response.is_closed:
                body.feed(response.content)
                body.end()
            else:
                read_along(response, body, is_async=is_async)
        elif hasattr(answer, "_iterator"):
            along = AsyncAlong if is_async else Along
            answer._iterator = along(answer._iterator, self)
        else:
            self.add(answer)
            self.end()

    def add(self, document: Any) -> None:
        """Take in the answer, one of its lines, or an event of it."""
        with firewall("reading an answer"):
            if not self._is_done and self._reader.add(document):
                self.end()

    def end(self) -> None:
        """Book what was read."""
        if self._is_done:
            return
        self._is_done = True
        with firewall("booking a late bill"):
            for booking in self._reader.bookings():
                self._settle(booking)

    def _settle(self, booking: Booking) -> None:
        ended_ns = time.time_ns()
        ordered_ns = self._started_ns if booking.ordered_s is None else int(booking.ordered_s * 1e9)
        provider, model = self._endpoint.provider, text(booking.reply.model) or "unknown"
        tier = text(booking.reply.service_tier)

        def calculate() -> tuple[Cost | None, str | None]:
            if booking.is_sum and _depends_on_size(provider, model, booking, ordered_ns):
                return None, _UNDIVIDED
            total = Cost(Decimal(0), Decimal(0), price_version=prices.price_version())
            for usage in booking.usages:
                cost, reason = prices.price(
                    provider, model, usage, at_ns=ordered_ns, service_tier=tier, region=self._endpoint.region
                )
                if cost is None:
                    return None, reason
                total = _sum(total, cost)
            return total, None

        def close(cost: Cost | None, unpriced_reason: str | None) -> None:
            if unpriced_reason is _UNDIVIDED and booking.has_details():
                return
            if unpriced_reason == prices.LOADING and (booking.is_sum or len(booking.usages) > 1):
                # The collector would take the sum for one request, and its size for a long context.
                unpriced_reason = "the price list was not loaded when the process ended"
            if orders.book(f"{booking.order_id} {model}"):
                self._record(booking, model, cost, unpriced_reason, ended_ns)

        pricing.settle_by(calculate, close)

    def _record(
        self, booking: Booking, model: str, cost: Cost | None, unpriced_reason: str | None, ended_ns: int
    ) -> None:
        reply, extra = booking.reply, dict[str, AttributeValue](booking.reply.extra)
        if self._endpoint.region is not None:
            extra[sc.INFERENCE_REGION] = self._endpoint.region
        order = orders.remembered(booking.order_id) or _order_here()
        call = Call(
            operation=booking.operation,
            provider=self._endpoint.provider,
            request_model=model,
            api=booking.api,
            response_model=text(reply.model),
            response_id=text(reply.id),
            finish_reasons=reply.finish_reasons,
            usage=reply.usage or booking.usages[0],
            cost=cost,
            unpriced_reason=unpriced_reason,
            service_tier=text(reply.service_tier),
            server_address=self._endpoint.address,
            server_port=self._endpoint.port,
            error_type=text(reply.error_type),
            task_type=order.task_type,
            use_case_id=order.use_case_id,
            use_case_name=order.use_case_name,
            tenant=order.tenant or self._runtime.settings.tenant,
            conversation_id=order.conversation_id,
            complexity=order.complexity,
            extra=extra,
        )
        span = self._runtime.tracer.start_span(
            f"{booking.operation} {model}",
            kind=SpanKind.CLIENT,
            attributes=to_attributes(call),
            start_time=self._started_ns,
        )
        span.end(ended_ns)
        if (meters := self._runtime.meters(ended_ns)) is not None:
            meters.record(call, (ended_ns - self._started_ns) / 1e9)


_UNDIVIDED = "no price for a sum of requests, of which some may be past the size from where they cost more"


def _depends_on_size(provider: str, model: str, booking: Booking, at_ns: int) -> bool:
    """Whether one of the requests summed up may have been past the model's long-context threshold."""
    threshold = prices.long_context_from(provider, model, at_ns=at_ns, batch=booking.reply.service_tier == "batch")
    return threshold is not None and any((usage.input_tokens or 0) > threshold for usage in booking.usages)


def _sum(a: Cost, b: Cost) -> Cost:
    return replace(
        a,
        input_usd=a.input_usd + b.input_usd,
        output_usd=a.output_usd + b.output_usd,
        cache_read_usd=a.cache_read_usd + b.cache_read_usd,
        cache_write_usd=a.cache_write_usd + b.cache_write_usd,
        other_usd=a.other_usd + b.other_usd,
    )


def _order_here() -> Order:
    """Whose call it is when that is not known from its order: the use case that asks for the answer."""
    declared = current_use_case()
    if declared is None:
        return Order()
    return Order(
        task_type=declared.task or "unknown",
        use_case_name=declared.name,
        tenant=declared.tenant,
        conversation_id=declared.conversation,
    )


# --- reading along ----------------------------------------------------------------------------------------------------


def _is_event_stream(response: Any) -> bool:
    return str(response.headers.get("content-type", "")).startswith("text/event-stream")


class Along:
    """The iterator inside a sync stream of events or lines."""

    def __init__(self, inner: Iterator[Any], call: LateCall) -> None:
        self._inner = inner
        self._call = call

    def __iter__(self) -> Along:
        return self

    def __next__(self) -> Any:
        try:
            item = next(self._inner)
        except StopIteration:
            try:
                self._call.end()
            except Exception as error:
                swallow("booking a late bill", error)
            raise
        try:
            self._call.add(item)
        except Exception as error:
            swallow("reading an answer", error)
        return item

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class AsyncAlong:
    """The iterator inside an async stream of events or lines."""

    def __init__(self, inner: AsyncIterator[Any], call: LateCall) -> None:
        self._inner = inner
        self._call = call

    def __aiter__(self) -> AsyncAlong:
        return self

    async def __anext__(self) -> Any:
        try:
            item = await anext(self._inner)
        except StopAsyncIteration:
            try:
                self._call.end()
            except Exception as error:
                swallow("booking a late bill", error)
            raise
        try:
            self._call.add(item)
        except Exception as error:
            swallow("reading an answer", error)
        return item

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class LateBody:
    """The body of a raw answer, as it is read: a document, a document a line, or events."""

    def __init__(self, call: LateCall, *, in_lines: bool, is_stream: bool) -> None:
        self._call = call
        self._in_lines = in_lines or is_stream
        self._prefix = b"data:" if is_stream else b""
        self._rest = b""
        self.reading = False
        self.is_over = False

    @property
    def progress(self) -> LateBody:
        """Where it is noted how far the SDK is."""
        return self

    def feed(self, piece: bytes) -> None:
        """Some more of the decoded body."""
        self._rest += piece
        if self._in_lines:
            *lines, self._rest = self._rest.split(b"\n")
            for line in lines:
                self._add(line)
        if len(self._rest) > MAX_KEPT_BYTES:
            self._rest, self.is_over = b"", True

    def _add(self, line: bytes) -> None:
        document = line.removeprefix(self._prefix).strip()
        if self.is_over or not line.startswith(self._prefix) or not document or document == b"[DONE]":
            return
        try:
            self._call.add(as_object(document))
        except ValueError:
            # Broken JSON is the SDK's to report, or the user's: it has reached them as it came.
            return

    def end(self, error: BaseException | None = None) -> None:
        """The body is exhausted or broken."""
        if error is None and not self.is_over:
            self._add(self._rest)
            self._call.end()
        self.is_over = True

    def closing(self) -> None:
        """Nothing to note."""

    def closed(self) -> None:
        """The response was closed before its end: what it would have said is not known."""
        self.is_over = True

    def dropped(self) -> None:
        """The response was garbage-collected."""
        self.is_over = True
