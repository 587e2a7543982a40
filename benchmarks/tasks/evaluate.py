"""What `tierwise.tasks` gets right, on prompts labelled by others, beside regular expressions.

    python benchmarks/tasks/evaluate.py --data DIR [--routing DIR] [--complexity FILE]

`--data` holds parquet files with the columns system, user, tools, label and template. The lexicon was written while
reading every source in it but `dolly`. `gold`, in the folder beside this file, are 300 requests as applications send
them; language models wrote them, and labelled them twice, that saw neither the lexicon nor each other's labels. Only
those two rows say how the inference does on prompts it was not written from. `--routing` adds what it says about
prompts without a task label, and how use cases group known templates. `--complexity` adds how well the complexity
score tells prompts that a weak model got wrong. Intervals are 95%: Wilson's for shares, a bootstrap over the rows for
macro F1.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from labelled import UNSEEN, calibration_error, chat, macro_f1, read
from regex_baseline import regex_task

from tierwise.tasks import TaskMemory, infer, use_case
from tierwise.tasks.complexity import complexity
from tierwise.tasks.prompt import read_prompt

GOLD = Path(__file__).parent / "gold"
_DRAWS = 200


def auc(scores: Sequence[float], positive: Sequence[bool]) -> float:
    """Probability that a positive scores above a negative; ties count half."""
    ranked = sorted(zip(scores, positive, strict=True))
    rank_sum, position = 0.0, 0
    while position < len(ranked):
        end = position
        while end < len(ranked) and ranked[end][0] == ranked[position][0]:
            end += 1
        rank_sum += (position + 1 + end) / 2 * sum(is_positive for _, is_positive in ranked[position:end])
        position = end
    positives = sum(positive)
    return (rank_sum - positives * (positives + 1) / 2) / (positives * (len(ranked) - positives))


@dataclass(frozen=True, slots=True)
class Judged:
    """One prompt: what it is labelled, what we said, and what regular expressions said."""

    label: str
    said: str
    confidence: float
    source: str
    by_regex: str


def judge_rows(path: Path) -> list[Judged]:
    rows = read(path, ("system", "user", "tools", "label"))
    return [
        Judged(
            row["label"],
            (found := infer(chat(row["user"], row["system"], row["tools"]), operation="chat", memory=None)).task_type,
            found.confidence,
            found.source,
            regex_task(row["system"], row["user"], has_tools=bool(row["tools"])),
        )
        for row in rows
    ]


def gold_rows() -> tuple[list[Judged], float, float]:
    """The gold requests on whose label both annotators agree, the share of those, and Cohen's kappa."""
    requests = [json.loads(line) for line in (GOLD / "requests.jsonl").read_text(encoding="utf-8").splitlines()]
    first, second = (
        {row["id"]: row["label"] for row in map(json.loads, (GOLD / name).read_text(encoding="utf-8").splitlines())}
        for name in ("labels-a.jsonl", "labels-b.jsonl")
    )
    agreed = statistics.mean(first[item["id"]] == second[item["id"]] for item in requests)
    counts = [Counter(labels.values()) for labels in (first, second)]
    by_chance = sum(counts[0][label] * counts[1][label] for label in counts[0]) / len(requests) ** 2
    judged: list[Judged] = []
    for item in requests:
        if (label := first[item["id"]]) != second[item["id"]]:
            continue
        found = infer(item["request"], memory=None)
        prompt = read_prompt(item["request"])
        by_regex = regex_task(prompt.system, prompt.user, has_tools=bool(prompt.tool_names and not prompt.forced_tool))
        judged.append(Judged(label, found.task_type, found.confidence, found.source, by_regex))
    return judged, agreed, (agreed - by_chance) / (1 - by_chance)


def wilson(right: int, n: int) -> tuple[float, float]:
    share, z = right / n, 1.96
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * (share * (1 - share) / n + z * z / (4 * n * n)) ** 0.5 / (1 + z * z / n)
    return middle - half, middle + half


def f1_interval(rows: Sequence[Judged]) -> tuple[float, float]:
    rng = random.Random(1)
    found = sorted(
        macro_f1([row.label for row in drawn], [row.said for row in drawn])
        for drawn in (rng.choices(rows, k=len(rows)) for _ in range(_DRAWS))
    )
    return found[int(0.025 * _DRAWS)], found[int(0.975 * _DRAWS)]


def at_coverage(rows: Sequence[Judged], share: float) -> float:
    """Accuracy over the most confident `share` of the rows."""
    ranked = sorted(rows, key=lambda row: -row.confidence)[: max(1, round(share * len(rows)))]
    return statistics.mean(row.label == row.said for row in ranked)


def print_accuracy(folder: Path) -> None:
    print("unknown counts as wrong; ECE over all rows; 60%: accuracy on the most confident 60%")
    print(f"{'':20}{'rows':>7}{'accuracy':>24}{'macro F1':>24}{'60%':>8}{'ECE':>7}{'regex: acc.':>14}{'F1':>7}")
    paths = sorted(folder.glob("*.parquet"), key=lambda path: (path.stem == UNSEEN, path.stem))
    gold, agreed, kappa = gold_rows()
    judged = {path.stem: judge_rows(path) for path in paths} | {"gold": gold}
    for name, rows in judged.items():
        right = sum(row.label == row.said for row in rows)
        (low, high), (f1_low, f1_high) = wilson(right, len(rows)), f1_interval(rows)
        labels = [row.label for row in rows]
        f1 = macro_f1(labels, [row.said for row in rows])
        regex = [row.by_regex for row in rows]
        error = calibration_error([row.confidence for row in rows], [row.label == row.said for row in rows])
        by_regex = statistics.mean(a == b for a, b in zip(labels, regex, strict=True))
        print(
            f"{name:20}{len(rows):7}{right / len(rows):10.3f} [{low:.3f}, {high:.3f}]{f1:10.3f} [{f1_low:.3f}, "
            f"{f1_high:.3f}]{at_coverage(rows, 0.6):8.3f}{error:7.3f}{by_regex:14.3f}{macro_f1(labels, regex):7.3f}"
        )
    print(f"gold: annotators agree on {agreed:.1%} of the requests, kappa {kappa:.3f}; only those are counted")
    for name in (UNSEEN, "gold"):
        print(f"\n{name}, by label{'rows':>24}{'recall':>9}{'precision':>11}  most often taken for")
        for label in sorted({row.label for row in judged[name]}):
            rows = [row for row in judged[name] if row.label == label]
            said = sum(row.said == label for row in judged[name])
            hits = sum(row.said == label for row in rows)
            wrong = Counter(row.said for row in rows if row.said != label).most_common(2)
            print(
                f"  {label:28}{len(rows):6}{hits / len(rows):9.2f}{hits / said if said else 0:11.2f}  "
                + ", ".join(f"{task} {count}" for task, count in wrong)
            )


def print_template_level(folder: Path) -> None:
    print("\ncalls of one template in a row, after the tenth (memory) against each by itself")
    for name in ("p3", "big-bench", "bbh", "authored-templates"):
        rows = read(folder / f"{name}.parquet", ("system", "user", "label", "template"))
        memory = TaskMemory()
        calls: Counter[str] = Counter()
        alone: list[bool] = []
        remembered: list[bool] = []
        for row in rows:
            calls[row["template"]] += 1
            request = chat(row["user"], row["system"])
            with_memory = infer(request, operation="chat", memory=memory)
            if calls[row["template"]] > 10:
                remembered.append(with_memory.task_type == row["label"])
                alone.append(infer(request, operation="chat", memory=None).task_type == row["label"])
        if alone:
            print(f"  {name:22}{len(alone):6} calls {statistics.mean(alone):.3f} → {statistics.mean(remembered):.3f}")


def print_use_cases(name: str, rows: Iterable[tuple[str, str, str]]) -> None:
    """Purity: share of calls under their template's commonest id. Collision: templates that share an id."""
    ids: dict[str, Counter[str]] = defaultdict(Counter)
    templates: dict[str, set[str]] = defaultdict(set)
    sources: Counter[str] = Counter()
    for template, system, user in rows:
        found = use_case(chat(user, system), operation="chat")
        sources[found.source] += 1
        if found.source != "none":
            ids[template][found.id] += 1
            templates[found.id].add(template)
    total = sum(sources.values())
    told = total - sources["none"]
    purity = sum(max(counts.values()) for counts in ids.values()) / told
    shared = {template for held in templates.values() if len(held) > 1 for template in held}
    print(
        f"  {name:22}{told / total:7.2f} told apart; {len(ids)} templates → {len(templates)} ids, purity {purity:.3f}, "
        f"{len(shared)} templates share an id; {dict(sources)}"
    )


def print_unlabelled(folder: Path) -> None:
    print("\nwhat it says where nobody labelled a task")
    for name, key in (("zeroeval_small", "task"), ("mmlu_pro_pairs", "category"), ("routellm_mtbench", "task")):
        rows = {row["prompt_id"]: row for row in read(folder / f"{name}.parquet", ("prompt_id", "prompt", key))}
        said: dict[str, Counter[str]] = defaultdict(Counter)
        for row in rows.values():
            said[row[key]][infer(chat(row["prompt"]), operation="chat", memory=None).task_type] += 1
        for group, counts in sorted(said.items()):
            total = sum(counts.values())
            shares = ", ".join(f"{task} {count / total:.2f}" for task, count in counts.most_common(4))
            print(f"  {name:18}{group:24}{total:6}  {shares}")


def print_complexity(path: Path) -> None:
    print("\ncomplexity score: probability that a prompt the weak model got wrong scores above one it got right")
    groups: dict[str, list[tuple[float, bool]]] = defaultdict(list)
    for row in read(path, ("source", "prompt", "weak_model_right")):
        if row["weak_model_right"] is not None:
            score = complexity(read_prompt(chat(row["prompt"]))).score
            groups[row["source"]].append((score, not row["weak_model_right"]))
    for name, pairs in sorted(groups.items()):
        scores, wrong = zip(*pairs, strict=True)
        print(f"  {name:22}{len(pairs):6}  AUC {auc(scores, wrong):.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of labelled prompts, one parquet a source")
    parser.add_argument("--routing", type=Path, help="folder of prompts with several models' answers")
    parser.add_argument("--complexity", type=Path, help="prompts with whether a weak model got them right")
    given = parser.parse_args()
    print_accuracy(given.data)
    print_template_level(given.data)
    print("\nuse cases")
    for name in ("p3", "authored-templates", "natural-instructions", "big-bench", "bbh"):
        rows = read(given.data / f"{name}.parquet", ("template", "system", "user"))
        print_use_cases(name, ((row["template"], row["system"], row["user"]) for row in rows))
    if given.routing:
        rows = {
            row["prompt_id"]: row
            for row in read(given.routing / "zeroeval_small.parquet", ("prompt_id", "prompt", "task"))
        }
        print_use_cases("zeroeval_small", ((row["task"], "", row["prompt"]) for row in rows.values()))
        print_unlabelled(given.routing)
    if given.complexity:
        print_complexity(given.complexity)


if __name__ == "__main__":
    main()
