"""Stored calls as NumPy columns, one by one or added up: the shape in which millions of them are repriced at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.intp]

PICO = 1_000_000_000_000
"""Costs are kept as whole 1e-12 USD, the last digit of the store's DECIMAL(18,12): sums of them are exact."""

_MONEY = pa.decimal128(18, 12)


@dataclass(frozen=True, slots=True)
class Labels:
    """A column of texts: one code a row into a short list."""

    values: tuple[str | None, ...]
    codes: npt.NDArray[np.int32]
    """Shape (n,)."""

    def __getitem__(self, row: int) -> str | None:
        return self.values[self.codes[row]]

    def take(self, rows: npt.NDArray[Any]) -> Labels:
        return Labels(self.values, self.codes[rows])

    def equal(self, value: str | None) -> Flags:
        """Which rows hold `value`, shape (n,)."""
        return np.isin(self.codes, [code for code, known in enumerate(self.values) if known == value])

    def same_as(self, other: Labels) -> Flags:
        """Which rows hold the same value in both columns, shape (n,)."""
        _, (own, others) = one_vocabulary(self, other)
        return own == others


def one_vocabulary(*columns: Labels) -> tuple[list[str | None], list[Ints]]:
    """The distinct values of all columns, and each column as codes into them."""
    names = list(dict.fromkeys(value for column in columns for value in column.values))
    place = {name: code for code, name in enumerate(names)}
    return names, [
        np.array([place[value] for value in column.values], dtype=np.int64)[column.codes] for column in columns
    ]


@dataclass(frozen=True, slots=True)
class Traffic:
    """The user's own calls, shadow calls left out; every array has shape (n,).

    A row is one call, or several that are alike in everything but their tokens and cost, which are then their sums.
    """

    start_ns: Ints
    """Of a row of several calls, the newest."""
    calls: Floats
    """How many calls a row stands for, 1 or more."""
    provider: Labels
    request_model: Labels
    """The model sent."""
    requested_model: Labels
    """The model the caller asked for."""
    service_tier: Labels
    operation: Labels
    task_type: Labels
    use_case_id: Labels
    use_case_name: Labels
    observed_task_type: Labels
    """As the call itself says, as are the two below: what rules match on, whatever people said about the use case."""
    observed_use_case_id: Labels
    observed_use_case_name: Labels
    tenant: Labels
    complexity: Labels
    declared_attributes: Labels
    """`name=value` texts with the unit separator between them; None where none were declared; in
    added-up rows only those that the policy asks for."""
    rule_id: Labels
    arm: Labels
    decision: Labels
    policy_version: Floats
    """NaN where no policy was in force."""
    propensity: Floats
    """NaN where nothing was drawn."""
    input_tokens: Floats
    """Total; NaN where not reported, as are output_tokens."""
    output_tokens: Floats
    cache_read_tokens: Floats
    warm_read_tokens: Floats
    """Cache reads of what the conversation's call before had sent: another model's cache would serve them too."""
    cache_write_tokens: Floats
    cache_write_1h_tokens: Floats
    reasoning_tokens: Floats
    web_searches: Floats
    largest_input_tokens: Floats
    """Of a call in the row; NaN where not reported."""
    largest_output_tokens: Floats
    cost_pico: Ints
    """As billed, in 1e-12 USD; 0 where not priced."""
    priced: Flags
    failed: Flags
    """The span carries an error."""
    block: npt.NDArray[np.int64]
    """Which conversation a call belongs to (its trace when it has none), or which group of conversations; numbered 0 to
    blocks - 1."""
    blocks: int

    def __len__(self) -> int:
        return len(self.start_ns)

    def count(self, rows: npt.NDArray[Any] | None = None) -> int:
        """Calls in `rows`, a mask or indices; all of them by default."""
        return int(self.calls.sum() if rows is None else self.calls[rows].sum())

    @property
    def cost(self) -> Floats:
        """As billed, in USD; NaN where not priced."""
        return np.where(self.priced, self.cost_pico / PICO, np.nan)

    def total_usd(self, rows: npt.NDArray[Any] | None = None) -> Decimal:
        """The exact sum of what the priced calls of `rows` (all, by default) were billed."""
        return exact_usd(self.cost_pico if rows is None else self.cost_pico[rows])

    def take(self, rows: npt.NDArray[Any]) -> Traffic:
        """The calls of `rows`, a mask or indices; blocks are numbered anew."""
        columns: dict[str, Any] = {}
        for field in fields(self):
            column = getattr(self, field.name)
            columns[field.name] = column.take(rows) if isinstance(column, Labels) else column
            if isinstance(column, np.ndarray):
                columns[field.name] = column[rows]
        known, columns["block"] = np.unique(columns["block"], return_inverse=True)
        columns["blocks"] = len(known)
        return Traffic(**columns)


def exact_usd(pico: Ints) -> Decimal:
    """The exact sum of amounts in 1e-12 USD; two partial sums keep a large total inside 64 bits."""
    high, low = np.divmod(pico, 1_000_000)
    return Decimal(int(high.sum()) * 1_000_000 + int(low.sum())) / PICO


def read_traffic(calls: pa.Table) -> Traffic:
    """The calls of a `llm_calls` table or of the named queries made for this, without shadow calls.

    Columns that are not there count as NULL; only `start_time` and `cost_usd` must be.
    """
    if "shadow_of_span_id" in calls.column_names:
        calls = calls.filter(calls["shadow_of_span_id"].is_null())
    table = Columns(calls)
    request_model = table.labels("request_model")
    requested = calls["requested_model"] if "requested_model" in calls.column_names else None
    cost_pico, priced = table.money("cost_usd")
    block, blocks = (
        table.numbered("unit") or table.in_order("conversation_hash") or table.blocks("conversation_id", "trace_id")
    )
    input_tokens = table.floats("input_tokens", missing=np.nan)
    output_tokens = table.floats("output_tokens", missing=np.nan)
    return Traffic(
        start_ns=table.times("start_time"),
        calls=table.floats("calls", missing=1.0),
        provider=table.labels("provider"),
        request_model=request_model,
        requested_model=(request_model if requested is None else encode(coalesce(requested, calls["request_model"]))),
        service_tier=table.labels("service_tier"),
        operation=table.labels("operation"),
        task_type=table.labels("task_type"),
        use_case_id=table.labels("use_case_id"),
        use_case_name=table.labels("use_case_name"),
        observed_task_type=table.labels("observed_task_type", "task_type"),
        observed_use_case_id=table.labels("observed_use_case_id", "use_case_id"),
        observed_use_case_name=table.labels("observed_use_case_name", "use_case_name"),
        tenant=table.labels("tenant"),
        complexity=table.labels("complexity"),
        declared_attributes=table.labels("declared_attributes"),
        rule_id=table.labels("rule_id"),
        arm=table.labels("arm"),
        decision=table.labels("decision"),
        policy_version=table.floats("policy_version", missing=np.nan),
        propensity=table.floats("propensity", missing=np.nan),
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        cache_read_tokens=table.floats("cache_read_tokens"),
        warm_read_tokens=table.floats("warm_read_tokens"),
        cache_write_tokens=table.floats("cache_write_tokens"),
        cache_write_1h_tokens=table.floats("cache_write_1h_tokens"),
        reasoning_tokens=table.floats("reasoning_tokens"),
        web_searches=table.floats("web_searches"),
        largest_input_tokens=table.floats("largest_input_tokens", missing=np.nan, otherwise=input_tokens),
        largest_output_tokens=table.floats("largest_output_tokens", missing=np.nan, otherwise=output_tokens),
        cost_pico=cost_pico,
        priced=priced,
        failed=~table.labels("error_type").equal(None),
        block=block,
        blocks=blocks,
    )


class Columns:
    """NumPy arrays from the columns of a table, NULL for a column that is not there."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table

    def _column(self, name: str) -> pa.Array | None:
        return _one_chunk(self._table[name]) if name in self._table.column_names else None

    def floats(self, name: str, *, missing: float = 0.0, otherwise: Floats | None = None) -> Floats:
        """`missing` for NULL; `otherwise`, or `missing` everywhere, for a column that is not there."""
        column = self._column(name)
        if column is None:
            return np.full(len(self._table), missing) if otherwise is None else otherwise
        return pc.fill_null(column.cast(pa.float64()), missing).to_numpy(zero_copy_only=False)

    def times(self, name: str) -> Ints:
        column = self._table[name]
        if not pa.types.is_integer(column.type):
            column = column.cast(pa.timestamp("ns")).cast(pa.int64())
        return _one_chunk(column).to_numpy(zero_copy_only=False)

    def money(self, name: str) -> tuple[Ints, Flags]:
        column = _one_chunk(self._table[name].cast(_MONEY))
        priced = column.is_valid().to_numpy(zero_copy_only=False)
        return np.where(priced, _unscaled(column), 0), priced

    def labels(self, *names: str) -> Labels:
        """The first column that is there."""
        column = next((column for name in names if (column := self._column(name)) is not None), None)
        if column is None:
            return Labels((None,), np.zeros(len(self._table), dtype=np.int32))
        return encode(column)

    def numbered(self, name: str) -> tuple[Ints, int] | None:
        """A column of whole numbers as 0 to k - 1, and k; None for a column that is not there."""
        column = self._column(name)
        if column is None:
            return None
        numbers = column.to_numpy(zero_copy_only=False)
        if len(numbers) and int(numbers.max()) < len(numbers):
            # Small numbers are counted, which is much faster than sorting them.
            numbers = numbers.astype(np.int64)
            present = np.bincount(numbers) > 0
            return (np.cumsum(present) - 1)[numbers], int(present.sum())
        known, numbers = np.unique(numbers, return_inverse=True)
        return numbers.astype(np.int64), len(known)

    def in_order(self, name: str) -> tuple[Ints, int] | None:
        """A column without NULL as 0 to k - 1, in the order in which values come, and k; None for one not there."""
        column = self._column(name)
        if column is None:
            return None
        encoded = column.dictionary_encode()
        return encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64), len(encoded.dictionary)

    def blocks(self, *names: str) -> tuple[Ints, int]:
        known = [self._table[name] for name in names if name in self._table.column_names]
        rows = len(self._table)
        if not known:
            return np.arange(rows, dtype=np.int64), rows
        codes = encode(coalesce(*known))
        # A call with neither a conversation nor a trace stands alone.
        alone = codes.equal(None)
        block = codes.codes.astype(np.int64)
        block[alone] = len(codes.values) + np.arange(int(alone.sum()))
        _, block = np.unique(block, return_inverse=True)
        return block, int(block.max(initial=-1)) + 1


def encode(column: pa.ChunkedArray | pa.Array) -> Labels:
    """`column` as codes into its distinct values; NULL is a value of its own."""
    array = _one_chunk(column)
    if not pa.types.is_dictionary(array.type):
        array = array.cast(pa.string()).dictionary_encode(null_encoding="encode")
    values: Sequence[str | None] = array.dictionary.to_pylist()
    indices = array.indices
    if indices.null_count:
        values = [*values, None]
        indices = pc.fill_null(indices, len(values) - 1)
    return Labels(tuple(values), indices.to_numpy(zero_copy_only=False).astype(np.int32))


def row_groups(keys: Ints) -> list[Indices]:
    """The rows of each distinct key, from keys of shape (n, k)."""
    if not len(keys):
        return []
    order = np.lexsort(keys.T)
    changes = (np.diff(keys[order], axis=0) != 0).any(axis=1).nonzero()[0] + 1
    return np.split(order, changes)


def coalesce(*columns: pa.ChunkedArray) -> pa.ChunkedArray:
    """The first value of each row that is not NULL."""
    return pc.call_function("coalesce", list(columns))


def _one_chunk(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    if not isinstance(column, pa.ChunkedArray):
        return column
    combined = column.combine_chunks()
    # Older pyarrow gives back a chunked array of one chunk.
    return combined.chunk(0) if isinstance(combined, pa.ChunkedArray) else combined


def _unscaled(column: pa.Array) -> Ints:
    """The integers under a decimal128 column of at most 18 digits: the low half of each 128-bit value holds them."""
    data = column.buffers()[1]
    if data is None:
        return np.zeros(len(column), dtype=np.int64)
    halves = np.frombuffer(data, dtype="<i8")
    return halves[2 * column.offset : 2 * (column.offset + len(column)) : 2].astype(np.int64)
