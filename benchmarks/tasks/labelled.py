"""Prompts labelled by others, and the measures by which an inference of their task is judged."""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

Row = Mapping[str, Any]

UNSEEN = "dolly"
"""The source that no word of the lexicon was written from and that no model is trained on."""

_ECE_BINS = 15


def read(path: Path, columns: Sequence[str]) -> list[Row]:
    return pq.read_table(path, columns=list(columns)).to_pylist()


def chat(user: str, system: str = "", tools: str = "") -> dict[str, Any]:
    messages = [{"role": "system", "content": system}] if system else []
    request: dict[str, Any] = {"model": "any", "messages": [*messages, {"role": "user", "content": user}]}
    if tools:
        request["tools"] = [{"type": "function", "function": {"name": "declared"}}]
    return request


def macro_f1(gold: Sequence[str], said: Sequence[str]) -> float:
    """Mean F1 over the labels that occur."""
    labelled, claimed = Counter(gold), Counter(said)
    hits = Counter(a for a, b in zip(gold, said, strict=True) if a == b)
    return statistics.mean(2 * hits[label] / (count + claimed[label]) for label, count in labelled.items())


def calibration_error(chances: Sequence[float], right: Sequence[bool]) -> float:
    """Expected calibration error over bins of equal width."""
    bins: dict[int, list[tuple[float, bool]]] = defaultdict(list)
    for chance, is_right in zip(chances, right, strict=True):
        bins[min(int(chance * _ECE_BINS), _ECE_BINS - 1)].append((chance, is_right))
    gaps = (abs(sum(chance - is_right for chance, is_right in held)) for held in bins.values())
    return sum(gaps) / len(right)
