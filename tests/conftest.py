"""A synthetic world whose truth is known: conversations of calls to a strong model, some shadowed by a weaker one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    from tierwise.store.duckdb import DuckDBStore

# A test is never timed: machines differ, and on one with other work to do they all take longer.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

PICO = 10**12


@dataclass(frozen=True)
class World:
    """What happened, and what would have happened on the weak model."""

    columns: dict[str, Any]
    """Of the calls, as the named query `calls` has them."""
    strong_pico: npt.NDArray[np.int64]
    """Cost of each call on the strong model, in 1e-12 USD."""
    weak_pico: npt.NDArray[np.int64]
    weak_output_tokens: npt.NDArray[np.int64]
    weak_model: str
    calls: pa.Table
    pairs: pa.Table
    """As the named query `pairs` has them."""

    @property
    def conversations(self) -> int:
        return len(set(self.columns["conversation_id"]))

    @property
    def saved_per_call(self) -> float:
        """What moving every call to the weak model saves per call, in USD."""
        return float((self.strong_pico - self.weak_pico).mean()) / PICO


class Worlds:
    """Makes worlds, and what a policy makes of them."""

    AS_OF = datetime(2026, 11, 20, 12, tzinfo=UTC)
    STRONG = "claude-opus-5-5"
    MIDDLE = "claude-sonnet-5-5"
    WEAK = "claude-haiku-5-5"
    PICO_PER_TOKEN: ClassVar[dict[str, tuple[int, int]]] = {
        STRONG: (4_000_000, 20_000_000),
        MIDDLE: (2_000_000, 10_000_000),
        WEAK: (100_000, 500_000),
    }
    """1e-12 USD per input and per output token, as the price list has them on the day of AS_OF."""

    def make(
        self,
        seed: int,
        *,
        conversations: int = 300,
        pair_share: float = 0.2,
        output_ratio: float = 1.3,
        use_cases: int = 1,
        retention: float = 1.0,
        weak_model: str = WEAK,
        as_of: datetime = AS_OF,
    ) -> World:
        """One to five calls a conversation. Tokens are log-normal and alike within a conversation; the weak model's
        answers are `output_ratio` times as long on average and `retention` times as often right."""
        import numpy as np
        import pyarrow as pa

        rng = np.random.default_rng(seed)
        sizes = rng.integers(1, 6, conversations)
        conversation = np.repeat(np.arange(conversations), sizes)
        n = len(conversation)
        scale = np.exp(rng.normal(0.0, 0.5, conversations))[conversation]
        inputs = np.maximum(1, (800 * scale * np.exp(rng.normal(0.0, 0.4, n))).astype(np.int64))
        outputs = np.maximum(1, (300 * scale * np.exp(rng.normal(0.0, 0.6, n))).astype(np.int64))
        # The mean of the log-normal factor is 1.
        stretch = output_ratio * np.exp(rng.normal(-0.08, 0.4, n))
        weak_outputs = np.maximum(1, (outputs * stretch).astype(np.int64))
        strong_input, strong_output = self.PICO_PER_TOKEN[self.STRONG]
        weak_input, weak_output = self.PICO_PER_TOKEN[weak_model]
        strong_pico = inputs * strong_input + outputs * strong_output
        weak_pico = inputs * weak_input + weak_outputs * weak_output
        use_case = np.array([f"uc_{code}" for code in range(use_cases)])[rng.integers(0, use_cases, conversations)]
        as_of_ns = int(as_of.timestamp()) * 1_000_000_000
        start_ns = as_of_ns - (np.sort(rng.integers(0, 20 * 86_400, n))[::-1] + 3600) * 1_000_000_000
        duration = np.exp(rng.normal(0.5, 0.4, n))
        columns: dict[str, Any] = {
            "trace_id": np.array([f"{code:032x}" for code in range(n)]),
            "span_id": np.array([f"{code:016x}" for code in range(n)]),
            "start_time": pa.array(start_ns, pa.timestamp("ns")),
            "duration_s": duration,
            "provider": ["anthropic"] * n,
            "operation": ["chat"] * n,
            "request_model": np.array([self.STRONG] * n, dtype=object),
            "requested_model": [self.STRONG] * n,
            "input_tokens": inputs,
            "output_tokens": outputs,
            "cost_usd": money(strong_pico),
            "task_type": ["extraction"] * n,
            "use_case_id": use_case[conversation],
            "conversation_id": np.array([f"conversation {code}" for code in conversation]),
        }
        paired = np.flatnonzero(rng.random(n) < pair_share)
        strong_score = rng.random(len(paired)) < 0.9
        alike = rng.random(len(paired)) < 0.95
        weak_score = np.where(alike, strong_score, rng.random(len(paired)) < 0.9)
        weak_score &= rng.random(len(paired)) < retention
        pairs = {
            "start_time": pa.array(start_ns[paired], pa.timestamp("ns")),
            "trace_id": columns["trace_id"][paired],
            "span_id": columns["span_id"][paired],
            "shadow_span_id": np.array([f"{row + (1 << 40):016x}" for row in paired]),
            "provider": ["anthropic"] * len(paired),
            "task_type": ["extraction"] * len(paired),
            "use_case_id": use_case[conversation][paired],
            "conversation_key": columns["conversation_id"][paired],
            "shadow_propensity": np.full(len(paired), pair_share),
            "strong_model": [self.STRONG] * len(paired),
            "weak_model": [weak_model] * len(paired),
            "evaluation_name": ["exact"] * len(paired),
            "evaluation_source": ["check"] * len(paired),
            "strong_score": strong_score.astype(float),
            "weak_score": weak_score.astype(float),
            "strong_input_tokens": inputs[paired],
            "weak_input_tokens": inputs[paired],
            "strong_output_tokens": outputs[paired],
            "weak_output_tokens": weak_outputs[paired],
            "strong_cost_usd": money(strong_pico[paired]),
            "weak_cost_usd": money(weak_pico[paired]),
            "strong_duration_s": duration[paired],
            "weak_duration_s": duration[paired] * 0.5,
        }
        return World(columns, strong_pico, weak_pico, weak_outputs, weak_model, pa.table(columns), pa.table(pairs))

    def route(
        self, world: World, *, rule_id: str, share: float, holdout: float, seed: int, version: int = 1
    ) -> pa.Table:
        """The calls of `world` as they are logged once a rule sends conversations to the weak model."""
        import numpy as np
        import pyarrow as pa

        rng = np.random.default_rng(seed)
        conversation = np.unique(world.columns["conversation_id"], return_inverse=True)[1]
        position = rng.random(conversation.max() + 1)[conversation]
        treated_share = share * (1 - holdout)
        moved = (position >= holdout) & (position < holdout + treated_share)
        kept = position < holdout
        return pa.table(
            {
                **world.columns,
                "request_model": np.where(moved, world.weak_model, self.STRONG),
                "output_tokens": np.where(moved, world.weak_output_tokens, world.columns["output_tokens"]),
                "cost_usd": money(np.where(moved, world.weak_pico, world.strong_pico)),
                "rule_id": [rule_id] * len(position),
                "arm": np.where(kept, "holdout", np.where(moved, "treated" if share == 1 else "canary", "control")),
                "decision": np.where(moved, "routed", "unchanged"),
                "propensity": np.where(kept, holdout, np.where(moved, treated_share, 1 - holdout - treated_share)),
                "policy_version": [version] * len(position),
            }
        )

    def fill(self, store: DuckDBStore, world: World, *, calls: pa.Table | None = None) -> None:
        """Put the calls of `world` (or `calls`, made from them), its shadow calls and their scores into a store."""
        with store.cursor() as cursor:
            cursor.register("arriving", world.calls if calls is None else calls)
            cursor.execute(_INSERT_CALLS)
            if len(world.pairs):
                cursor.register("paired", world.pairs)
                cursor.execute(_INSERT_SHADOWS)
                cursor.execute(_INSERT_SCORES)


def money(pico: npt.NDArray[np.int64]) -> pa.Array:
    """Whole 1e-12 USD as the store's DECIMAL(18,12)."""
    import pyarrow as pa

    return pa.array([Decimal(int(amount)) / PICO for amount in pico], pa.decimal128(18, 12))


_COMMON = """
    'app' AS service_name, 'tierwise' AS instrumentation, false AS stream, ['stop'] AS finish_reasons,
    0 AS cache_read_tokens, 0 AS cache_write_tokens, 0 AS cache_write_1h_tokens, 0 AS reasoning_tokens,
    0 AS web_searches, false AS usage_estimated, false AS usage_partial, true AS priced
"""
_INSERT_CALLS = f"""
INSERT INTO llm_calls BY NAME
SELECT *, start_time + to_microseconds((duration_s * 1e6)::BIGINT) AS end_time, {_COMMON} FROM arriving
"""
_INSERT_SHADOWS = f"""
INSERT INTO llm_calls BY NAME
SELECT
    md5(shadow_span_id) AS trace_id, shadow_span_id AS span_id, start_time, start_time AS end_time,
    weak_duration_s AS duration_s, provider, 'chat' AS operation, weak_model AS request_model,
    weak_model AS requested_model, weak_input_tokens AS input_tokens, weak_output_tokens AS output_tokens,
    weak_cost_usd AS cost_usd, task_type, use_case_id, trace_id AS shadow_of_trace_id, span_id AS shadow_of_span_id,
    shadow_propensity, {_COMMON}
FROM paired
"""
_INSERT_SCORES = """
INSERT INTO evaluations BY NAME
SELECT trace_id, span_id, evaluation_name AS name, evaluation_source AS source, strong_score AS score,
       start_time AS time
FROM paired
UNION ALL BY NAME
SELECT md5(shadow_span_id) AS trace_id, shadow_span_id AS span_id, evaluation_name AS name,
       evaluation_source AS source, weak_score AS score, start_time AS time
FROM paired
"""


@pytest.fixture(scope="session")
def worlds() -> Worlds:
    """Makes worlds."""
    return Worlds()
