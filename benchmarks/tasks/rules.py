"""What the rules of `tierwise.tasks` get right, on prompts labelled by others, and what a call costs.

    python benchmarks/tasks/rules.py --data DIR [--routing DIR] [--complexity FILE]

`--data` holds parquet files with the columns system, user, tools, label and template. The lexicon was written while
reading every source in it but `dolly`: only dolly's row says how the rules do on prompts nobody looked at.
`--routing` adds what they say about prompts without a task label, and how use cases group known templates.
`--complexity` adds how well the complexity score tells prompts that a weak model got wrong.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from labelled import UNSEEN, calibration_error, chat, macro_f1, read

from tierwise.tasks import TaskMemory, infer, use_case
from tierwise.tasks.complexity import complexity
from tierwise.tasks.prompt import read_prompt

_REPEATS = 7


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


def print_accuracy(folder: Path) -> None:
    print(f"unknown counts as wrong; covered = not unknown; ECE over all rows; only {UNSEEN} was never read\n")
    print(f"{'source':24}{'rows':>7}{'accuracy':>10}{'macro F1':>10}{'covered':>9}{'acc. covered':>14}{'ECE':>7}")
    for path in sorted(folder.glob("*.parquet"), key=lambda path: (path.stem == UNSEEN, path.stem)):
        rows = read(path, ("system", "user", "tools", "label"))
        found = [infer(chat(row["user"], row["system"], row["tools"]), operation="chat", memory=None) for row in rows]
        gold, said = [row["label"] for row in rows], [one.task_type for one in found]
        right = [a == b for a, b in zip(gold, said, strict=True)]
        covered = [is_right for is_right, one in zip(right, found, strict=True) if one.source != "unknown"]
        print(
            f"{path.stem:24}{len(rows):7}{statistics.mean(right):10.3f}{macro_f1(gold, said):10.3f}"
            f"{len(covered) / len(rows):9.2f}{statistics.mean(covered):14.3f}"
            f"{calibration_error([one.confidence for one in found], right):7.3f}"
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


def microseconds(call: Callable[[Any], object], requests: Sequence[Any]) -> float:
    """Median over the requests of the fastest of some repeats, which leaves other load on the machine out."""
    fastest = [float("inf")] * len(requests)
    for repeat in range(_REPEATS):
        for index, request in enumerate(requests):
            fresh = request(repeat) if callable(request) else request
            start = time.perf_counter_ns()
            call(fresh)
            fastest[index] = min(fastest[index], time.perf_counter_ns() - start)
    return statistics.median(fastest) / 1_000


def print_latency(folder: Path) -> None:
    rows = read(folder / "p3.parquet", ("user",))
    texts = [row["user"] for row in rows if 700 <= len(row["user"]) <= 900][:200]
    systems = [row["system"] for row in read(folder / "natural-instructions.parquet", ("system",))]
    system = next(text for text in systems if 500 <= len(text) <= 700)

    def ask(request: Mapping[str, Any]) -> object:
        return infer(request, operation="chat", memory=memory)

    # A counter keeps every request from the caches.
    def new(text: str, instructions: str = "") -> Callable[[int], dict[str, Any]]:
        return lambda repeat: chat(f"{repeat} {text}", instructions and f"{instructions} {text[:20]} {repeat}")

    memory: TaskMemory | None = None
    print("\nmicroseconds for task, use case and complexity together")
    print(f"  new text, 50 tokens             {microseconds(ask, [new(text[:200]) for text in texts]):7.1f}")
    print(f"  new text, 200 tokens            {microseconds(ask, [new(text) for text in texts]):7.1f}")
    print(f"  new text, 2,000 tokens          {microseconds(ask, [new(text * 10) for text in texts]):7.1f}")
    print(f"  new text, 5 MB                  {microseconds(ask, [new(text * 6_250) for text in texts[:5]]):7.1f}")
    print(f"  new instructions and new text   {microseconds(ask, [new(text, system) for text in texts]):7.1f}")
    memory = TaskMemory()
    for text in texts:
        ask(chat(text, system))
    known = [lambda repeat, text=text: chat(f"{repeat} {text}", system) for text in texts]
    print(f"  known use case, new text        {microseconds(ask, known):7.1f}")
    print(f"  known use case, same text       {microseconds(ask, [chat(text, system) for text in texts]):7.1f}")
    print(f"  reading the request alone       {microseconds(read_prompt, known):7.1f}")


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
    print_latency(given.data)


if __name__ == "__main__":
    main()
