"""The demo's prompts with what several models really answered to them.

`data/README.md` says where they come from. Token counts are estimates (cl100k), not what a provider billed.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Any, Final

from tierwise.demo.grading import grade_answer

DATASETS: Final = ("gsm8k", "crux", "math_hard", "mmlu_pro")
"""In the order `load` gives them."""


@dataclass(frozen=True, slots=True)
class RecordedAnswer:
    """What one model answered to one prompt."""

    response: str = field(repr=False)
    """Verbatim."""
    score: float
    """1.0 right, 0.0 wrong, as recorded with the data; `grade` may differ, see data/README.md."""
    input_tokens: int
    """Estimated with cl100k."""
    output_tokens: int
    """Estimated with cl100k."""
    structural_fail: bool
    """The recorded scorer found no answer in the asked-for form."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """One prompt, its reference answer, and each model's answer."""

    prompt_id: str
    """Unique within its data set."""
    dataset: str
    """One of DATASETS."""
    category: str
    """The source's own: `gsm`, `crux`, `math-l5`, or an MMLU-Pro subject."""
    prompt: str = field(repr=False)
    """Verbatim, as the models got it; MMLU-Pro's five worked examples went before it and are not here."""
    reference: str
    answers: Mapping[str, RecordedAnswer] = field(repr=False)
    """By model."""


def load(datasets: Sequence[str] = DATASETS) -> list[Prompt]:
    """The prompts of some data sets, each in its source's order; the files are read once.

    Raises:
        ValueError: a data set that the demo does not have.
    """
    unknown = sorted(set(datasets) - set(DATASETS))
    if unknown:
        raise ValueError(f"no demo data set is called {', '.join(unknown)}; there are {', '.join(DATASETS)}")
    return [prompt for dataset in datasets for prompt in _prompts(dataset)]


def grade(prompt: Prompt, text: str) -> float | None:
    """1.0 when `text` answers the prompt rightly, 0.0 when it does not, None when it is empty."""
    return grade_answer(prompt.dataset, prompt.reference, text)


@cache
def _prompts(dataset: str) -> tuple[Prompt, ...]:
    return tuple(map(_prompt, _records(f"{dataset}.jsonl.gz")))


def _records(file_name: str) -> Iterator[dict[str, Any]]:
    packed = (resources.files("tierwise.demo") / "data" / file_name).read_bytes()
    # Not splitlines(): prompts hold U+2028 and its like, which JSON leaves as they are.
    return (json.loads(line) for line in gzip.decompress(packed).split(b"\n") if line)


def _prompt(record: dict[str, Any]) -> Prompt:
    answers = {model: RecordedAnswer(**answer) for model, answer in record.pop("answers").items()}
    return Prompt(**record, answers=MappingProxyType(answers))
