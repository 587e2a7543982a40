"""Shadow pairs as NumPy columns: one request answered by the requested (strong) and by a cheaper (weak) model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tierwise.routing.policy import Policy
from tierwise.savings.traffic import Columns, Flags, Floats, Ints, Labels


@dataclass(frozen=True, slots=True)
class Pairs:
    """Rows of the named query `pairs` or `shadows`; every array has shape (n,).

    `pairs` has a row a pair and evaluation, so one pair may be there several times: `distinct()` keeps each once.
    """

    start_ns: Ints
    scored_ns: Ints
    """When both answers were first scored; when the call began where there are no scores. Evidence arrives in this
    order: a person may score a pair days after a later one was checked."""
    provider: Labels
    task_type: Labels
    use_case_id: Labels
    use_case_name: Labels
    observed_task_type: Labels
    """As the call itself says, as are the two below; see `Traffic`."""
    observed_use_case_id: Labels
    observed_use_case_name: Labels
    tenant: Labels
    complexity: Labels
    declared_attributes: Labels
    """Of the request, as in `Traffic`."""
    strong_model: Labels
    weak_model: Labels
    strong_version: Labels
    """The dated model that answered, as the provider named it; None where it did not."""
    weak_version: Labels
    evaluation_name: Labels
    """None in every row of `shadows`, as are the source and the scores."""
    evaluation_source: Labels
    strong_score: Floats
    """In [0, 1]; NaN where there is none."""
    weak_score: Floats
    strong_input_tokens: Floats
    """NaN where not reported, as is every token count, cost and duration."""
    weak_input_tokens: Floats
    strong_output_tokens: Floats
    weak_output_tokens: Floats
    strong_cost: Floats
    """USD."""
    weak_cost: Floats
    weak_failed_checks: Labels
    """Names, between blanks, of the structural checks that the weak answer failed; None: none looked at it."""
    strong_duration_s: Floats
    weak_duration_s: Floats
    weight: Floats
    """1 / propensity of having been sampled, and, for a person's scores, drawn for review; 1 where not recorded."""
    max_weight: Floats
    """The largest weight that the policy in force allowed when the pair was sampled; see `read_pairs`."""
    shadow: Ints
    """Which shadow call a row is about."""
    block: Ints
    """Which conversation a row belongs to, numbered 0 to blocks - 1."""
    blocks: int

    def __len__(self) -> int:
        return len(self.start_ns)

    def take(self, rows: npt.NDArray[Any]) -> Pairs:
        """The rows of `rows`, a mask or indices; blocks are numbered anew."""
        columns: dict[str, Any] = {}
        for field in fields(self):
            column = getattr(self, field.name)
            columns[field.name] = column.take(rows) if isinstance(column, Labels) else column
            if isinstance(column, np.ndarray):
                columns[field.name] = column[rows]
        known, columns["block"] = np.unique(columns["block"], return_inverse=True)
        columns["blocks"] = len(known)
        return Pairs(**columns)

    def distinct(self) -> Pairs:
        """One row a shadow call."""
        _, first = np.unique(self.shadow, return_index=True)
        return self if len(first) == len(self) else self.take(np.sort(first))

    def with_tokens(self) -> Pairs:
        """The distinct pairs whose four token counts are known and, on the strong side, not 0."""
        once = self.distinct()
        return once.take(
            (once.strong_input_tokens > 0)
            & (once.strong_output_tokens > 0)
            & np.isfinite(once.weak_input_tokens)
            & np.isfinite(once.weak_output_tokens)
        )

    def between(self, strong_model: str, weak_model: str) -> Flags:
        """Which rows compare these two models, shape (n,)."""
        return self.strong_model.equal(strong_model) & self.weak_model.equal(weak_model)


def largest_weights(policies: Iterable[tuple[int, Policy]]) -> dict[int, float]:
    """The largest weight a pair can have under each policy version that shadows calls.

    A model's calls are shared among its candidates, so those of the model with the most are sampled the least.
    """
    return {
        version: max((len(models) for models in policy.shadow.candidates.values()), default=1) / policy.shadow.sample
        for version, policy in policies
        if policy.shadow.sample > 0.0
    }


def read_pairs(table: pa.Table, largest: Mapping[int, float] | None = None) -> Pairs:
    """The rows of the named query `pairs` or `shadows`; columns that are not there count as NULL.

    Args:
        largest: the largest weight under each policy version, as `largest_weights()` gives it. A version that is not
            among them, or whose pairs weigh more than it says because an app reads a file of its own, allows what the
            heaviest of its pairs weighs.
    """
    columns = Columns(table)
    block, blocks = columns.blocks("conversation_key", "trace_id")
    propensity = columns.floats("shadow_propensity", missing=1.0)
    weight = 1.0 / np.where(propensity > 0, propensity, 1.0)
    drawn = columns.floats("review_propensity", missing=1.0)
    reviews = 1.0 / np.where(drawn > 0, drawn, 1.0)
    start_ns = columns.times("start_time")
    return Pairs(
        start_ns=start_ns,
        scored_ns=columns.times("scored_at") if "scored_at" in table.column_names else start_ns,
        provider=columns.labels("provider"),
        task_type=columns.labels("task_type"),
        use_case_id=columns.labels("use_case_id"),
        use_case_name=columns.labels("use_case_name"),
        observed_task_type=columns.labels("observed_task_type", "task_type"),
        observed_use_case_id=columns.labels("observed_use_case_id", "use_case_id"),
        observed_use_case_name=columns.labels("observed_use_case_name", "use_case_name"),
        tenant=columns.labels("tenant"),
        complexity=columns.labels("complexity"),
        declared_attributes=columns.labels("declared_attributes"),
        strong_model=columns.labels("strong_model"),
        weak_model=columns.labels("weak_model"),
        strong_version=columns.labels("strong_response_model"),
        weak_version=columns.labels("weak_response_model"),
        evaluation_name=columns.labels("evaluation_name"),
        evaluation_source=columns.labels("evaluation_source"),
        strong_score=columns.floats("strong_score", missing=np.nan),
        weak_score=columns.floats("weak_score", missing=np.nan),
        strong_input_tokens=columns.floats("strong_input_tokens", missing=np.nan),
        weak_input_tokens=columns.floats("weak_input_tokens", missing=np.nan),
        strong_output_tokens=columns.floats("strong_output_tokens", missing=np.nan),
        weak_output_tokens=columns.floats("weak_output_tokens", missing=np.nan),
        strong_cost=columns.floats("strong_cost_usd", missing=np.nan),
        weak_cost=columns.floats("weak_cost_usd", missing=np.nan),
        weak_failed_checks=columns.labels("weak_failed_checks"),
        strong_duration_s=columns.floats("strong_duration_s", missing=np.nan),
        weak_duration_s=columns.floats("weak_duration_s", missing=np.nan),
        weight=weight * reviews,
        max_weight=_most_by_version(weight, columns.floats("policy_version", missing=-1.0), largest or {})
        * np.where(reviews > 1.0, reviews.max(initial=1.0), 1.0),
        shadow=columns.labels("shadow_span_id").codes.astype(np.int64),
        block=block,
        blocks=blocks,
    )


def _most_by_version(weight: Floats, version: Floats, largest: Mapping[int, float]) -> Floats:
    """The largest weight of each row's policy version, known or seen, shape (n,)."""
    versions, place = np.unique(version, return_inverse=True)
    most = np.array([largest.get(int(number), 0.0) for number in versions])
    np.maximum.at(most, place, weight)
    return most[place]
