from __future__ import annotations

import json
from collections.abc import Generator
from typing import Any

import pytest

from tierwise.call import Usage
from tierwise.instrumentation import openai_batches
from tierwise.instrumentation.openai import OPENAI
from tierwise.instrumentation.sdk import Booking, as_object

_, BATCHES, FILES = OPENAI.late_bills
USAGE = {
    "input_tokens": 100,
    "output_tokens": 20,
    "input_tokens_details": {"cached_tokens": 64},
    "output_tokens_details": {"reasoning_tokens": 5},
}
DONE = {
    "id": "batch_1",
    "status": "completed",
    "endpoint": "/v1/responses",
    "model": "gpt-4.1",
    "created_at": 1_790_000_000,
    "output_file_id": "file-1",
    "request_counts": {"total": 3, "completed": 2, "failed": 1},
    "usage": USAGE,
}


@pytest.fixture(autouse=True)
def no_files() -> Generator[None]:
    openai_batches._awaited_files.clear()
    yield
    openai_batches._awaited_files.clear()


def booked(**changes: Any) -> list[Booking]:
    reader = BATCHES.reader("batch_1")
    assert reader is not None
    reader.add(as_object(json.dumps({**DONE, **changes})))
    return list(reader.bookings())


def test_a_batch_that_is_done() -> None:
    """Its usage is the sum of its requests, at batch prices of the day it was ordered."""
    (booking,) = booked()

    assert booking.reply.usage == Usage(100, 20, cache_read_tokens=64, reasoning_tokens=5)
    assert booking.reply.service_tier == "batch"
    assert (booking.api, booking.is_sum, booking.ordered_s) == ("responses", True, 1_790_000_000.0)


@pytest.mark.parametrize("status", ["in_progress", "failed", "validating", None])
def test_a_batch_that_is_not_done(status: str | None) -> None:
    """Asking while it is at work books nothing, nor does one that failed before it began."""
    assert booked(status=status) == []


def test_one_request_is_no_sum() -> None:
    """The size of the only request is known, so it has a price whatever its size."""
    (booking,) = booked(request_counts={"completed": 1})

    assert not booking.is_sum


def test_an_older_batch_waits_for_its_file() -> None:
    """A batch without usage is billed by its output file."""
    assert FILES.reader("file-1") is None
    assert booked(usage=None) == []
    reader = FILES.reader("file-1")
    assert reader is not None
    body = {"id": "r1", "model": "gpt-4.1", "status": "completed", "output": [], "usage": USAGE}
    for response in ({"status_code": 200, "body": body}, {"status_code": 500, "body": {}}, None):
        reader.add(as_object(json.dumps({"custom_id": "a", "response": response})))

    (booking,) = reader.bookings()

    assert booking.usages == [Usage(100, 20, cache_read_tokens=64, reasoning_tokens=5)]
    assert booking.order_id == "batch_1 gpt-4.1"


def test_no_file_to_wait_for() -> None:
    """A batch whose requests all failed has no output."""
    (booking,) = booked(output_file_id=None)

    assert not booking.has_details()
    assert booked(output_file_id=None, usage=None) == []


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that nobody reads are forgotten, the oldest first."""
    monkeypatch.setattr(openai_batches, "_MAX_AWAITED_FILES", 2)

    for number in range(5):
        booked(usage=None, output_file_id=f"file-{number}")

    assert list(openai_batches._awaited_files) == ["file-3", "file-4"]
