"""Make the demo's data from its public sources, and check what was made.

    python benchmarks/demo_extract.py --data routing/ --out src/tierwise/demo/data
    python benchmarks/demo_extract.py --check

The first needs pyarrow and the two tables `zeroeval_small.parquet` and `mmlu_pro_pairs.parquet` (one row a prompt and
model: dataset, prompt_id, prompt, category, model, response, score, structural_fail, input_tokens, output_tokens,
reference). Running it again gives the same bytes: rows keep their order, the sample is drawn by hash, gzip carries no
time. The second reads the shipped data and prints how far `grade` agrees with the recorded scores, and what each
cheaper model keeps of the dearer one's quality.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tierwise.demo.dataset import DATASETS, Prompt, grade, load

ZEROEVAL_MODELS = (
    "claude-3-opus-20240229",
    "claude-3-5-haiku-20241022",
    "gpt-4o-2024-08-06",
    "gpt-4o-mini-2024-07-18",
)
ZEROEVAL_DATASETS = {"gsm": "gsm8k", "crux": "crux", "math-l5": "math_hard"}
MMLU_PRO_MODELS = ("gemini-1.5-pro-002", "gemini-1.5-flash-002")
MMLU_PRO_SUBJECTS = ("biology", "business", "computer science", "economics", "law", "psychology")
MMLU_PRO_PROMPTS_A_SUBJECT = 225
MODEL_PAIRS = (
    ("claude-3-opus-20240229", "claude-3-5-haiku-20241022"),
    ("gpt-4o-2024-08-06", "gpt-4o-mini-2024-07-18"),
    ("gemini-1.5-pro-002", "gemini-1.5-flash-002"),
)
"""(strong, weak)."""
MAX_TOTAL_BYTES = 3_000_000

Row = dict[str, Any]


# --- making -----------------------------------------------------------------------------------------------------------


def extract(source: Path, out: Path) -> None:
    """Write one gzip file of JSON lines a data set; exits when together they are larger than MAX_TOTAL_BYTES."""
    records = {dataset: list[Row]() for dataset in DATASETS}
    for prompt_rows in answered_by_all(read_rows(source / "zeroeval_small.parquet"), ZEROEVAL_MODELS):
        dataset = ZEROEVAL_DATASETS[prompt_rows[0]["category"]]
        records[dataset].append(record(dataset, prompt_rows, ZEROEVAL_MODELS))
    mmlu_pro = answered_by_all(read_rows(source / "mmlu_pro_pairs.parquet"), MMLU_PRO_MODELS)
    for prompt_rows in sample_by_subject(mmlu_pro):
        records["mmlu_pro"].append(record("mmlu_pro", prompt_rows, MMLU_PRO_MODELS))

    out.mkdir(parents=True, exist_ok=True)
    total_bytes = 0
    for dataset, dataset_records in records.items():
        packed = pack(dataset_records)
        (out / f"{dataset}.jsonl.gz").write_bytes(packed)
        total_bytes += len(packed)
        print(f"{dataset:10} {len(dataset_records):5} prompts {len(packed):9,} bytes")
    print(f"{'total':10} {sum(map(len, records.values())):5} prompts {total_bytes:9,} bytes")
    if total_bytes > MAX_TOTAL_BYTES:
        sys.exit(f"the data must stay below {MAX_TOTAL_BYTES:,} bytes: lower MMLU_PRO_PROMPTS_A_SUBJECT")


def read_rows(path: Path) -> list[Row]:
    """All rows of a table, in file order."""
    # Only making the data needs pyarrow; checking it does not.
    import pyarrow.parquet as pq

    return pq.read_table(path).to_pylist()


def answered_by_all(rows: Iterable[Row], models: Sequence[str]) -> list[list[Row]]:
    """Rows of each prompt that every one of `models` answered, prompts in order of first appearance."""
    by_prompt: dict[tuple[str, str], dict[str, Row]] = {}
    for row in rows:
        if row["model"] in models:
            by_prompt.setdefault((row["category"], row["prompt_id"]), {})[row["model"]] = row
    return [[found[model] for model in models] for found in by_prompt.values() if len(found) == len(models)]


def sample_by_subject(prompts: Sequence[list[Row]]) -> list[list[Row]]:
    """Of each subject, the prompts whose hashed id comes first; subjects in order, prompts by that hash."""

    def draw(prompt_rows: list[Row]) -> str:
        return hashlib.sha256(prompt_rows[0]["prompt_id"].encode()).hexdigest()

    sample: list[list[Row]] = []
    for subject in MMLU_PRO_SUBJECTS:
        of_subject = sorted((rows for rows in prompts if rows[0]["category"] == subject), key=draw)
        sample.extend(of_subject[:MMLU_PRO_PROMPTS_A_SUBJECT])
    return sample


def record(dataset: str, prompt_rows: Sequence[Row], models: Sequence[str]) -> Row:
    """One prompt as it is shipped. Texts are verbatim."""
    first = prompt_rows[0]
    return {
        "prompt_id": first["prompt_id"],
        "dataset": dataset,
        "category": first["category"],
        "prompt": first["prompt"],
        "reference": first["reference"],
        "answers": {
            model: {
                "response": row["response"],
                "score": row["score"],
                "input_tokens": row["input_tokens"],
                "output_tokens": row["output_tokens"],
                "structural_fail": row["structural_fail"],
            }
            for model, row in zip(models, prompt_rows, strict=True)
        },
    }


def pack(records: Iterable[Row]) -> bytes:
    """JSON lines, gzipped without a time or a name."""
    lines = "".join(json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n" for row in records)
    return gzip.compress(lines.encode(), compresslevel=9, mtime=0)


# --- checking ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class PairQuality:
    """How a weak model does beside a strong one on the same prompts."""

    prompt_count: int
    strong_score: float
    weak_score: float
    length_ratio: float
    """Output tokens, weak over strong, both summed."""
    recorded_retention: float
    """Weak over strong by the recorded scores, which miss more of what the weak models got right."""

    @property
    def retention(self) -> float:
        """Weak over strong, by grade."""
        return self.weak_score / self.strong_score


def pair_quality(prompts: Sequence[Prompt], strong: str, weak: str) -> PairQuality:
    """Mean `grade` of both models over prompts that both answered."""
    graded = [
        (grade(prompt, prompt.answers[strong].response) or 0.0, grade(prompt, prompt.answers[weak].response) or 0.0)
        for prompt in prompts
    ]
    recorded = [sum(prompt.answers[model].score for prompt in prompts) for model in (strong, weak)]
    output_tokens = [sum(prompt.answers[model].output_tokens for prompt in prompts) for model in (strong, weak)]
    return PairQuality(
        prompt_count=len(prompts),
        strong_score=sum(strong_grade for strong_grade, _ in graded) / len(graded),
        weak_score=sum(weak_grade for _, weak_grade in graded) / len(graded),
        length_ratio=output_tokens[1] / output_tokens[0],
        recorded_retention=recorded[1] / recorded[0],
    )


def print_agreement(prompts: Sequence[Prompt]) -> None:
    """Per data set, how often `grade` gives the recorded score, and which way it differs."""
    print("grade against the recorded score\n")
    columns = "{:10} {:>8} {:>8} {:>24} {:>32} {:>32}"
    print(
        columns.format(
            "dataset",
            "answers",
            "agree",
            "agree, form as asked for",
            "graded right, recorded wrong",
            "graded wrong, recorded right",
        )
    )
    for dataset in DATASETS:
        compared = [
            (grade(prompt, answer.response) or 0.0, answer.score, answer.structural_fail)
            for prompt in prompts
            if prompt.dataset == dataset
            for answer in prompt.answers.values()
        ]
        as_asked = [(graded, recorded) for graded, recorded, structural_fail in compared if not structural_fail]
        agree = sum(graded == recorded for graded, recorded, _ in compared) / len(compared)
        agree_as_asked = sum(graded == recorded for graded, recorded in as_asked) / len(as_asked)
        higher = sum(graded > recorded for graded, recorded, _ in compared)
        lower = sum(graded < recorded for graded, recorded, _ in compared)
        rates = (f"{agree:.2%}", f"{agree_as_asked:.2%}")
        print(columns.format(dataset, f"{len(compared):,}", *rates, higher, lower))


def print_pairs(prompts: Sequence[Prompt]) -> None:
    """Per category and pair of models, quality and length of both."""
    print("\nweak model beside strong model, by grade (`recorded`: the same retention by the recorded scores)\n")
    columns = "{:17} {:53} {:>5} {:>7} {:>7} {:>10} {:>10} {:>14}"
    print(columns.format("category", "strong -> weak", "n", "strong", "weak", "retention", "recorded", "output length"))
    categories = list(dict.fromkeys((prompt.dataset, prompt.category) for prompt in prompts))
    for dataset, category in categories:
        of_category = [prompt for prompt in prompts if (prompt.dataset, prompt.category) == (dataset, category)]
        for strong, weak in MODEL_PAIRS:
            if strong not in of_category[0].answers:
                continue
            quality = pair_quality(of_category, strong, weak)
            print(
                columns.format(
                    category,
                    f"{strong} -> {weak}",
                    quality.prompt_count,
                    f"{quality.strong_score:.1%}",
                    f"{quality.weak_score:.1%}",
                    f"{quality.retention:.1%}",
                    f"{quality.recorded_retention:.1%}",
                    f"{quality.length_ratio:.2f}",
                )
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with the two source tables")
    parser.add_argument("--out", type=Path, help="folder to write the data files to")
    parser.add_argument("--check", action="store_true", help="measure the shipped data instead of making it")
    options = parser.parse_args()
    if options.check:
        prompts = load()
        print_agreement(prompts)
        print_pairs(prompts)
    elif options.data and options.out:
        extract(options.data, options.out)
    else:
        parser.error("give --data and --out to make the data, or --check to measure it")


if __name__ == "__main__":
    main()
