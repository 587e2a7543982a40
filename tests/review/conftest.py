"""A store with pairs to review."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator

import pytest

from tierwise.call import Call, Evaluation
from tierwise.store.duckdb import DuckDBStore
from tierwise.store.rows import CallRecord

START_NS = 1_790_000_000_000_000_000
SECOND_NS = 1_000_000_000
NOW_NS = START_NS + 3_600 * SECOND_NS
"""An hour after the first call."""

AddPairs = Callable[..., None]


def ids(number: int) -> tuple[str, str]:
    """Trace and span id of call `number`; its shadow is `number + 10_000`."""
    return f"{number:032x}", f"{number:016x}"


@pytest.fixture
def store() -> Generator[DuckDBStore]:
    """An empty store in memory."""
    opened = DuckDBStore.open(None)
    yield opened
    opened.close()


@pytest.fixture
def add_pairs(store: DuckDBStore) -> AddPairs:
    """Adds pairs, a second apart, each scored by a check."""

    def add(
        count: int,
        *,
        weak_scores: Callable[[int], float] = lambda number: 1.0,
        source: str = "check",
        name: str = "right",
        use_case: str = "replies",
        scored_after_s: float = 1.0,
        texts: bool = False,
        start: int = 0,
        complexity: str = "low",
    ) -> None:
        calls: list[CallRecord] = []
        scores: list[Evaluation] = []
        for number in range(start, start + count):
            began_ns = START_NS + number * SECOND_NS
            strong, weak = ids(number), ids(number + 10_000)
            for (trace_id, span_id), model, shadow_of in (
                (strong, "claude-opus-5-5", None),
                (weak, "claude-haiku-5-5", "-".join(strong)),
            ):
                extra = {}
                if texts:
                    said = f"answer of {'weak' if shadow_of else 'strong'}"
                    answer = [{"role": "assistant", "parts": [{"type": "text", "content": said}]}]
                    extra = {
                        "gen_ai.input.messages": '[{"role":"user","parts":[{"type":"text","content":"Why?"}]}]',
                        "gen_ai.output.messages": json.dumps(answer),
                        "gen_ai.system_instructions": '[{"type":"text","content":"Be brief."}]',
                    }
                calls.append(
                    CallRecord(
                        trace_id,
                        span_id,
                        began_ns,
                        began_ns + SECOND_NS,
                        Call(
                            "chat",
                            "anthropic",
                            model,
                            task_type="conversation",
                            use_case_id="uc_1",
                            use_case_name=use_case,
                            complexity=complexity,
                            shadow_of=shadow_of,
                            shadow_propensity=0.5 if shadow_of else None,
                            extra=extra,
                        ),
                    )
                )
            at_ns = began_ns + round((1 + scored_after_s) * SECOND_NS)
            for key, score in ((strong, 1.0), (weak, weak_scores(number))):
                scores.append(Evaluation(*key, name, source, score, at_ns))  # type: ignore[arg-type]
        store.add_calls(calls)
        store.add_evaluations(scores)

    return add
