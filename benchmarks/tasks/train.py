"""What a table of words learned from labelled prompts would add to the lexicon, on sources it was not trained on.

    python benchmarks/tasks/train.py --data DIR

Trains a multinomial logistic regression over word 1-2-grams with the lexicon's scores as its prior, leaves out each
source in turn, and prints accuracy and macro F1 there beside those of the lexicon alone; then trains on all sources but
`dolly` and prints the same for it. `factors` is the smallest model: one factor a class on the lexicon's scores.
Answers are forced (no `unknown`) and tools are not looked at, so that words alone are compared. The same folder
gives the same weights, bit for bit; their digest is printed.

The lexicon was written while reading every source but dolly, so leaving one out flatters it there; on dolly neither
has that advantage. A table is worth shipping when it wins on both.
"""

from __future__ import annotations

import argparse
import hashlib
import zlib
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
from labelled import UNSEEN, calibration_error, chat, macro_f1, read

from tierwise.tasks.infer import UNKNOWN_BELOW
from tierwise.tasks.prompt import read_prompt
from tierwise.tasks.scoring import CLASSES, ends, score_text
from tierwise.tasks.taxonomy import SUB_TAGS
from tierwise.tasks.tokens import SENTENCE_END, tokenize
from tierwise.tasks.use_case import stable_instructions

Floats = npt.NDArray[np.float64]

_SEED = 1
_ROWS_PER_CELL = 200
"""Most rows of one source and label that are trained on."""
_MIN_SOURCES = 2
_MIN_ROWS = 6
_VOCABULARY = 5_000
_RIDGE = 0.1
_STEPS = 40
_RATE = 0.1
_BANDS = (0.0, 0.15, 0.2, 0.3, 0.4, 0.6, 0.8, 1.01)
_ONE_LABEL = ("bfcl-v4", "code", "math")
"""Sources of a single label, which say nothing of telling labels apart: trained on, not judged by."""


def parent(name: str) -> str:
    row = SUB_TAGS.get(name)
    return row.parent if row is not None and row.parent else name


PARENTS = np.array([parent(name) for name in CLASSES])


@dataclass(frozen=True, slots=True)
class Prompts:
    """Prompts of several sources, row by row."""

    grams: list[frozenset[str]]
    scores: Floats
    """The lexicon's, shape (rows, classes)."""
    labels: npt.NDArray[np.str_]
    sources: npt.NDArray[np.str_]

    def where(self, chosen: npt.NDArray[np.bool_]) -> Prompts:
        grams = [held for held, is_chosen in zip(self.grams, chosen, strict=True) if is_chosen]
        return Prompts(grams, self.scores[chosen], self.labels[chosen], self.sources[chosen])


def load(paths: Sequence[Path]) -> Prompts:
    grams: list[frozenset[str]] = []
    scores: list[tuple[float, ...]] = []
    labels: list[str] = []
    sources: list[str] = []
    for path in paths:
        for row in read(path, ("system", "user", "label")):
            prompt = read_prompt(chat(row["user"], row["system"]))
            instructions = prompt.system if prompt.system and stable_instructions(prompt.system) else ""
            found = tokenize(ends(instructions, prompt.user.strip()))
            pairs = (" ".join(pair) for pair in pairwise(found))
            grams.append(frozenset({*found, *pairs} - {SENTENCE_END}))
            scores.append(score_text(instructions, prompt.user))
            labels.append(row["label"])
            sources.append(path.stem)
    return Prompts(grams, np.array(scores), np.array(labels), np.array(sources))


def capped(prompts: Prompts) -> Prompts:
    """At most so many rows of a source and label, so that the largest source does not decide."""
    rng = np.random.default_rng(_SEED)
    cells: dict[tuple[str, str], list[int]] = defaultdict(list)
    for index, cell in enumerate(zip(prompts.sources, prompts.labels, strict=True)):
        cells[cell].append(index)
    chosen = np.zeros(len(prompts.labels), dtype=bool)
    for _, rows in sorted(cells.items()):
        chosen[rows if len(rows) <= _ROWS_PER_CELL else rng.choice(rows, _ROWS_PER_CELL, replace=False)] = True
    return prompts.where(chosen)


def vocabulary(prompts: Prompts) -> dict[str, int]:
    """N-grams that several sources share, those of most sources first; what only one uses is that source's topic."""
    sources: dict[str, set[str]] = defaultdict(set)
    rows: Counter[str] = Counter()
    for grams, source in zip(prompts.grams, prompts.sources, strict=True):
        for gram in grams:
            sources[gram].add(source)
        rows.update(grams)
    shared = [gram for gram, seen in sources.items() if len(seen) >= _MIN_SOURCES and rows[gram] >= _MIN_ROWS]
    shared.sort(key=lambda gram: (-len(sources[gram]), -rows[gram], gram))
    return {gram: index for index, gram in enumerate(shared[:_VOCABULARY])}


@dataclass(frozen=True, slots=True)
class Features:
    """The n-grams of each row, as columns of the vocabulary, and the rows of each n-gram."""

    columns: npt.NDArray[np.int64]
    row_starts: npt.NDArray[np.int64]
    rows: npt.NDArray[np.int64]
    column_starts: npt.NDArray[np.int64]


def starts(sorted_keys: npt.NDArray[np.int64], size: int) -> npt.NDArray[np.int64]:
    return np.searchsorted(sorted_keys, np.arange(size + 1))


def featurize(prompts: Prompts, columns: Mapping[str, int]) -> Features:
    by_row = [sorted(columns[gram] for gram in grams if gram in columns) for grams in prompts.grams]
    flat = np.array([column for held in by_row for column in held], dtype=np.int64)
    rows = np.repeat(np.arange(len(by_row)), [len(held) for held in by_row])
    order = np.argsort(flat, kind="stable")
    return Features(flat, starts(rows, len(by_row)), rows[order], starts(flat[order], len(columns)))


def sums(values: Floats, index: npt.NDArray[np.int64], bounds: npt.NDArray[np.int64]) -> Floats:
    """Sum of `values[index]` between each two bounds, in a fixed order of additions."""
    out = np.zeros((len(bounds) - 1, values.shape[1]))
    filled = bounds[1:] > bounds[:-1]
    out[filled] = np.add.reduceat(values[index], bounds[:-1][filled], axis=0)
    return out


def softmax(scores: Floats) -> Floats:
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def row_weights(prompts: Prompts) -> Floats:
    """Cells of source and label weigh as the square root of their size."""
    sizes = Counter(zip(prompts.sources, prompts.labels, strict=True))
    weights = np.array([sizes[cell] ** -0.5 for cell in zip(prompts.sources, prompts.labels, strict=True)])
    return (weights / weights.sum())[:, None]


def error(prompts: Prompts, scores: Floats) -> Floats:
    """Gradient of the weighted log loss by score; a label's probability is its class's and its sub-tags'."""
    chances = softmax(scores)
    of_label = chances * (PARENTS[None, :] == prompts.labels[:, None])
    wanted = of_label / np.maximum(of_label.sum(axis=1, keepdims=True), 1e-300)
    return (chances - wanted) * row_weights(prompts)


def descend(gradient: Callable[[Floats], Floats], start: Floats) -> Floats:
    """Adam with a rate that falls to zero."""
    at, mean, square = start.copy(), np.zeros_like(start), np.zeros_like(start)
    for step in range(1, _STEPS + 1):
        slope = gradient(at)
        mean = 0.9 * mean + 0.1 * slope
        square = 0.99 * square + 0.01 * slope**2
        rate = _RATE * (1 - step / (_STEPS + 1))
        at -= rate * (mean / (1 - 0.9**step)) / (np.sqrt(square / (1 - 0.99**step)) + 1e-8)
    return at


def train_factors(prompts: Prompts) -> Floats:
    """One factor a class on the lexicon's scores."""
    return descend(
        lambda factors: (error(prompts, prompts.scores * factors) * prompts.scores).sum(axis=0) + 0.01 * (factors - 1),
        np.ones(len(CLASSES)),
    )


def train_table(prompts: Prompts, columns: Mapping[str, int]) -> Floats:
    """Weights of n-grams, shape (vocabulary, classes), on top of the lexicon; rounded to 64ths, as int8 holds them."""
    features = featurize(prompts, columns)

    def gradient(weights: Floats) -> Floats:
        scores = prompts.scores + sums(weights, features.columns, features.row_starts)
        return sums(error(prompts, scores), features.rows, features.column_starts) + _RIDGE * weights

    return np.round(np.clip(descend(gradient, np.zeros((len(columns), len(CLASSES)))) * 64, -127, 127)) / 64


@dataclass(frozen=True, slots=True)
class Score:
    accuracy: float
    macro_f1: float
    ece: float


def judged(prompts: Prompts, scores: Floats) -> tuple[Floats, npt.NDArray[np.bool_], Score]:
    """Confidence and correctness of the forced answers, a row each, and their score."""
    names = np.array(list(dict.fromkeys(PARENTS)))
    chances = np.stack([softmax(scores)[:, name == PARENTS].sum(axis=1) for name in names], axis=1)
    said, confidence = names[chances.argmax(axis=1)], chances.max(axis=1)
    right = said == prompts.labels
    f1 = macro_f1(prompts.labels.tolist(), said.tolist())
    return confidence, right, Score(float(right.mean()), f1, calibration_error(confidence.tolist(), right.tolist()))


def compare(training: Prompts, held_out: Prompts) -> list[Score]:
    """Scores on the held-out prompts of the lexicon, of the factors and of the table."""
    columns = vocabulary(training)
    features = featurize(held_out, columns)
    learned = held_out.scores + sums(train_table(training, columns), features.columns, features.row_starts)
    candidates = (held_out.scores, held_out.scores * train_factors(training), learned)
    return [judged(held_out, scores)[2] for scores in candidates]


def print_row(name: str, rows: int, scores: Sequence[Score]) -> None:
    cells = "".join(f"{one.accuracy:10.3f}{one.macro_f1:7.3f}{one.ece:7.3f}" for one in scores)
    print(f"{name:24}{rows:7}{cells}")


def print_bands(prompts: Prompts, sources: Sequence[str]) -> None:
    """How often the lexicon's answer is right by the confidence it has in it: where `unknown` should begin."""
    print(f"\nshare of right answers (rows) by confidence of the lexicon; `unknown` is below {UNKNOWN_BELOW}")
    bounds = list(pairwise(_BANDS))
    print(f"{'source':24}" + "".join(f"{f'from {low:.2f}':>14}" for low, _ in bounds))
    for source in sources:
        confidence, right, _ = judged(held := prompts.where(prompts.sources == source), held.scores)
        cells = ""
        for low, high in bounds:
            inside = right[(confidence >= low) & (confidence < high)]
            cells += f"{f'{inside.mean():.2f} ({len(inside)})' if len(inside) else '-':>14}"
        print(f"{source:24}{cells}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of labelled prompts, one parquet a source")
    paths = sorted(parser.parse_args().data.glob("*.parquet"))
    prompts = load([path for path in paths if path.stem != UNSEEN])
    unseen = load([path for path in paths if path.stem == UNSEEN])
    training = capped(prompts)
    judged_by = [path.stem for path in paths if path.stem not in (*_ONE_LABEL, UNSEEN)]

    print(
        "accuracy, macro F1 and ECE of forced answers on a source that the factors and the table were not trained on\n"
    )
    print(f"{'source':24}{'rows':>7}{'lexicon':>24}{'factors':>24}{'table':>24}")
    found: list[list[Score]] = []
    for source in judged_by:
        held_out = prompts.where(prompts.sources == source)
        found.append(compare(training.where(training.sources != source), held_out))
        print_row(source, len(held_out.labels), found[-1])
    means = [
        Score(*(float(np.mean([getattr(row[which], key) for row in found])) for key in ("accuracy", "macro_f1", "ece")))
        for which in range(3)
    ]
    print_row("mean of the sources", int(np.isin(prompts.sources, judged_by).sum()), means)
    print_row(f"{UNSEEN}, never trained on", len(unseen.labels), compare(training, unseen))

    columns = vocabulary(training)
    table = (train_table(training, columns) * 64).astype(np.int8)
    packed = zlib.compress("\n".join(columns).encode() + table.tobytes(), 9)
    print(f"\ntable of {len(columns)} n-grams: {len(packed)} bytes packed, sha256 {hashlib.sha256(table).hexdigest()}")
    print_bands(prompts, judged_by)
    print_bands(unseen, [UNSEEN])


if __name__ == "__main__":
    main()
