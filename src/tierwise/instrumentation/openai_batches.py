"""The openai SDK's batches: what one has cost, from the batch once it is done or from its output file.

A batch reports the sum of its requests. Where a request's size decides its price the sum says too little, and the
output file, read by the same process, says the rest.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from re import compile as regex
from typing import Any, NamedTuple

from tierwise.call import Usage
from tierwise.instrumentation.batches import Tally, batch_reply
from tierwise.instrumentation.sdk import Booking, LateBill, Surface, count, number, text

_ENDED = frozenset({"cancelled", "completed", "expired"})
_MAX_AWAITED_FILES = 1_000


class _Batch(NamedTuple):
    """A batch that is done."""

    id: str
    endpoint: str
    ordered_s: float | None


_awaited_files: dict[str, _Batch] = {}
"""Output file → its batch, where the batch says too little."""


def _await_file(file_id: str | None, batch: _Batch) -> bool:
    if file_id is None:
        return False
    _awaited_files[file_id] = batch
    if len(_awaited_files) > _MAX_AWAITED_FILES:
        _awaited_files.pop(next(iter(_awaited_files)), None)
    return True


class BatchReader:
    """A batch, retrieved."""

    in_lines = False

    def __init__(self, batch_id: str, surfaces: Mapping[str, Surface]) -> None:
        self._id = batch_id
        self._surfaces = surfaces
        self._batch: Any = None

    def add(self, document: Any) -> bool:
        if getattr(document, "status", None) in _ENDED:
            self._batch = document
        return self._batch is not None

    def bookings(self) -> Iterable[Booking]:
        batch, block = self._batch, getattr(self._batch, "usage", None)
        if batch is None:
            return
        done = _Batch(self._id, getattr(batch, "endpoint", None) or "", number(getattr(batch, "created_at", None)))
        file_id = text(getattr(batch, "output_file_id", None))
        input_tokens, model = count(getattr(block, "input_tokens", None)), text(getattr(batch, "model", None))
        if input_tokens is None or model is None:
            _await_file(file_id, done)
            return
        usage = Usage(
            input_tokens,
            count(getattr(block, "output_tokens", None)),
            cache_read_tokens=count(getattr(getattr(block, "input_tokens_details", None), "cached_tokens", None)) or 0,
            reasoning_tokens=count(getattr(getattr(block, "output_tokens_details", None), "reasoning_tokens", None))
            or 0,
        )
        requests = count(getattr(getattr(batch, "request_counts", None), "completed", None))
        if input_tokens or usage.output_tokens:
            yield Booking(
                f"{self._id} {model}",
                "batch",
                _api(self._surfaces, done.endpoint),
                batch_reply(self._id, model, usage, requests),
                (usage,),
                is_sum=requests != 1,
                ordered_s=done.ordered_s,
                has_details=lambda: _await_file(file_id, done),
            )


class OutputFileReader:
    """The output file of a batch, an answer a line."""

    in_lines = True

    def __init__(self, batch: _Batch, surface: Surface) -> None:
        self._surface = surface
        self._tally = Tally(batch.id, surface.api, batch.ordered_s)

    def add(self, document: Any) -> bool:
        response = getattr(document, "response", None)
        if getattr(response, "status_code", None) == 200:
            self._tally.add(self._surface.read(getattr(response, "body", None), False))
        return False

    def bookings(self) -> Iterable[Booking]:
        return self._tally.bookings()


def batch_bills(surfaces: Mapping[str, Surface]) -> tuple[LateBill, LateBill]:
    """Batches and their output files, whose requests are of `surfaces`."""

    def file_reader(file_id: str) -> OutputFileReader | None:
        batch = _awaited_files.get(file_id)
        surface = None if batch is None else surfaces.get(batch.endpoint.removeprefix("/v1"))
        return None if batch is None or surface is None else OutputFileReader(batch, surface)

    return (
        LateBill(regex(r".*/batches/(?P<id>[^/]+)"), lambda batch_id: BatchReader(batch_id, surfaces)),
        LateBill(regex(r".*/files/(?P<id>[^/]+)/content"), file_reader),
    )


def _api(surfaces: Mapping[str, Surface], endpoint: str) -> str:
    surface = surfaces.get(endpoint.removeprefix("/v1"))
    return "batches" if surface is None else surface.api
