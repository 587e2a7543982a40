"""Infer what a request is asking for: its task type, complexity and use case.

In process and in microseconds; no text leaves, none is kept but what the bounded caches hold. The first of these that
knows decides, and `Inference.source` says which:

    tag               a person's label for this call
    use_case          a person's label for the use case or call site
    operation         embeddings
    tools             tools declared, or their results among the messages
    response_format   a response schema of labels only, or one that says more than the words
    cache             what earlier calls of the same use case agreed on
    inferred          the words and structure of the text
    unknown           not enough evidence

On prompts from sources it was not written from, the inference by words is right little more than half of the time:
`benchmarks/tasks/evaluate.py` prints the figures. A label always beats it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from tierwise.tasks.complexity import Complexity, complexity
from tierwise.tasks.memory import TaskMemory, Verdict
from tierwise.tasks.prompt import Prompt, fields, read_prompt
from tierwise.tasks.schema_shape import read_schema
from tierwise.tasks.scoring import CLASS_INDEX, CLASSES, probabilities, score_text
from tierwise.tasks.taxonomy import SUB_TAGS, UNKNOWN, resolve
from tierwise.tasks.use_case import UseCase, prompt_use_case, stable_instructions

Source = Literal["tag", "use_case", "operation", "tools", "response_format", "cache", "inferred", "unknown"]

UNKNOWN_BELOW = 0.15
"""Probability of the best type under which the answer is `unknown`.

Just above what the widest type has when nothing was found, so one weak word is enough for an answer: on most sources
that `benchmarks/tasks/train.py` holds out, such answers are right far more often than their confidence says.
"""

_INSTRUCTIONS_SUFFICE = 0.5
_TOOLS_CONFIDENCE = 0.9
_SCHEMA_CONFIDENCE = 0.85
_PARENT_INDEX = {
    CLASS_INDEX[name]: CLASS_INDEX[row.parent] for name, row in SUB_TAGS.items() if row.parent and name in CLASS_INDEX
}

PROCESS_MEMORY = TaskMemory()
"""What `infer` remembers between calls unless it is given another memory."""


class Inference(NamedTuple):
    """What one request is asking for."""

    task_type: str
    """A name in `taxonomy.TASKS`, or a person's own label."""
    confidence: float
    """Probability that the task type is right, in [0, 1]; 1 for a label and for an operation."""
    source: Source
    complexity: Complexity
    use_case: UseCase
    sub_tag: str | None = None


class _Finding(NamedTuple):
    verdict: Verdict
    source: Source


def _text_scores(prompt: Prompt) -> Sequence[float]:
    """Scores of the static text: the instructions alone if they suffice, else with the last user message."""
    instructions = prompt.system if prompt.system and stable_instructions(prompt.system) else ""
    if instructions:
        row = score_text(instructions, "")
        if max(_folded(probabilities(row))) >= _INSTRUCTIONS_SUFFICE:
            return row
    return score_text(instructions, prompt.user)


def _folded(chances: list[float]) -> list[float]:
    """Probabilities with those of sub-tags added to their parents', so that the parents' are of the whole type."""
    for child, parent in _PARENT_INDEX.items():
        chances[parent] += chances[child]
    return chances


def _verdict(folded: Sequence[float]) -> Verdict:
    best = max(range(len(folded)), key=folded.__getitem__)
    sub_tag = next(
        (
            CLASSES[child]
            for child, parent in _PARENT_INDEX.items()
            if parent == best and 2 * folded[child] > folded[best]
        ),
        None,
    )
    return Verdict(CLASSES[best], sub_tag, folded[best])


def _priors(prompt: Prompt) -> dict[str, float]:
    """Evidence outside the text, in the units of the scores."""
    priors: dict[str, float] = {}
    if prompt.assistant_turns:
        priors["conversation"] = min(float(prompt.assistant_turns), 2.5)
    if prompt.attachments:
        priors["question_answering_context"] = 1.0
        priors["extraction"] = 0.5
    if not prompt.is_json:
        return priors
    shape = read_schema(prompt.schema)
    if shape is None:
        priors["extraction"] = priors.get("extraction", 0.0) + 1.0
        return priors
    if shape.value_fields >= 3:
        priors["extraction"] = priors.get("extraction", 0.0) + 2.5
    for task in shape.telling_tasks:
        priors[task] = priors.get(task, 0.0) + (2.5 if shape.value_fields == 1 else 1.0)
    return priors


def _decided(prompt: Prompt, operation: str | None) -> _Finding | None:
    """What needs no reading of the text."""
    if operation == "embeddings" or (operation is None and prompt.is_embedding):
        return _Finding(Verdict("embedding", None, 1.0), "operation")
    if (prompt.tool_names and not prompt.forced_tool) or prompt.has_tool_results:
        return _Finding(Verdict("tool_use", None, _TOOLS_CONFIDENCE), "tools")
    if prompt.is_json and (shape := read_schema(prompt.schema)) and shape.label_fields and not shape.value_fields:
        sub_tag = "judge" if "judge" in shape.telling_tasks else None
        return _Finding(Verdict("classification", sub_tag, _SCHEMA_CONFIDENCE), "response_format")
    return None


def _read(prompt: Prompt, use_case: UseCase, memory: TaskMemory | None) -> _Finding:
    """What memory, or else the text, says."""
    if use_case.source == "none":
        memory = None
    if memory is not None and (known := memory.verdict(use_case.id)) is not None:
        return _Finding(known, "cache")
    text_scores = _text_scores(prompt)
    priors = _priors(prompt)
    scores = text_scores
    if priors:
        scores = list(text_scores)
        for task, prior in priors.items():
            scores[CLASS_INDEX[task]] += prior
    chances = _folded(probabilities(scores))
    if memory is not None and (means := memory.vote(use_case.id, chances)) is not None:
        memory.settle(use_case.id, _verdict(means))
    verdict = _verdict(chances)
    if verdict.confidence < UNKNOWN_BELOW:
        return _Finding(Verdict(UNKNOWN, None, verdict.confidence), "unknown")
    # The source is whatever brought more of the evidence.
    from_words = text_scores[CLASS_INDEX[verdict.task_type]]
    tipped = prompt.is_json and priors.get(verdict.task_type, 0.0) > from_words
    return _Finding(verdict, "response_format" if tipped else "inferred")


def infer(
    request: Mapping[str, Any],
    *,
    operation: str | None = None,
    explicit_task: str | None = None,
    use_case_name: str | None = None,
    call_site: str | None = None,
    labels: Mapping[str, str] | None = None,
    memory: TaskMemory | None = PROCESS_MEMORY,
) -> Inference:
    """Task type, complexity and use case of a request. Never raises for odd input and never consumes an iterator.

    Args:
        request: keyword arguments of the SDK call, or the JSON body: OpenAI chat, Responses, embeddings or legacy
            completions, or Anthropic messages.
        operation: `gen_ai.operation.name`; without it, embeddings are known by their model's name.
        explicit_task: a person's label for this call.
        use_case_name: a person's name for the use case.
        call_site: `module:function` that makes the call.
        labels: task type by use case identifier, use case name or call site.
        memory: where verdicts on use cases are kept; None judges every call by itself.
    """
    prompt = read_prompt(fields(request))
    use_case = prompt_use_case(prompt, operation=operation or "", call_site=call_site, name=use_case_name)
    label = explicit_task
    source: Source = "tag"
    if not label and labels:
        label = labels.get(use_case.id) or labels.get(use_case_name or "") or labels.get(call_site or "")
        source = "use_case"
    if label:
        task_type, sub_tag = resolve(label)
        verdict = Verdict(task_type, sub_tag, 1.0)
    else:
        verdict, source = _decided(prompt, operation) or _read(prompt, use_case, memory)
    return Inference(verdict.task_type, verdict.confidence, source, complexity(prompt), use_case, verdict.sub_tag)
