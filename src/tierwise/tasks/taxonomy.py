"""The table of task types: what a request to a model is asking for.

One row adds a type. Names are the values of the span attribute `tierwise.task.type` and of `task_type` in a policy, so
they are never renamed. The rows follow the categories of Dolly, InstructGPT, Auto-J and NVIDIA's prompt classifier;
the aliases say how their names map onto ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class TaskType:
    """One row of the taxonomy."""

    name: str
    description: str
    group: str
    """Coarse roll-up, for a chart that cannot show fourteen types."""
    default_check: str | None
    """The check of an answer that needs no ground truth and says most for this type; None when there is none."""
    parent: str | None = None
    """Set on a sub-tag: calls are counted under the parent, and the row's name becomes `sub_tag`."""


_ROWS = (
    TaskType(
        "classification", "Pick a label from a known set: intent, sentiment, topic, yes or no", "label", "agreement"
    ),
    TaskType("judge", "Grade, compare, route or filter other text", "label", "agreement", parent="classification"),
    TaskType("extraction", "Copy fields, entities or spans out of a text", "label", "schema"),
    TaskType("summarization", "Say the same in fewer words", "transform", "truncation"),
    TaskType("question_answering_context", "Answer from a text in the prompt", "answer", "contradiction"),
    TaskType("question_answering_open", "Answer from what the model knows", "answer", "agreement"),
    TaskType("code_generation", "Write, complete, repair, explain or trace code", "code", "truncation"),
    TaskType("math", "Compute, solve or prove", "reason", "agreement"),
    TaskType("translation", "Put a text into another language", "transform", "truncation"),
    TaskType("rewriting", "Keep the meaning, change the form: tone, grammar, paraphrase", "transform", "truncation"),
    TaskType("creative_generation", "Write something new: prose, ideas, plans, questions", "generate", "refusal"),
    TaskType("conversation", "Hold a dialogue or play a role", "generate", "refusal"),
    TaskType("tool_use", "Choose and call tools, or act as an agent", "act", "schema"),
    TaskType("embedding", "Turn text into a vector", "embed", None),
    TaskType("multi_step_reasoning", "Reach a conclusion over several explicit steps", "reason", "agreement"),
    TaskType("unknown", "Not enough evidence to say", "unknown", "refusal"),
)

TASKS: Mapping[str, TaskType] = MappingProxyType({row.name: row for row in _ROWS if row.parent is None})
"""What `task_type` can be."""
SUB_TAGS: Mapping[str, TaskType] = MappingProxyType({row.name: row for row in _ROWS if row.parent is not None})
"""What `sub_tag` can be."""

UNKNOWN = "unknown"

_ALIASES: Mapping[str, str] = MappingProxyType(
    {
        "brainstorming": "creative_generation",
        "chat": "conversation",
        "chatbot": "conversation",
        "classify": "classification",
        "closed_qa": "question_answering_context",
        "code": "code_generation",
        "coding": "code_generation",
        "creative_writing": "creative_generation",
        "embeddings": "embedding",
        "evaluation": "judge",
        "extract": "extraction",
        "function_calling": "tool_use",
        "information_extraction": "extraction",
        "llm_as_judge": "judge",
        "open_qa": "question_answering_open",
        "paraphrase": "rewriting",
        "qa": "question_answering_open",
        "question_answering": "question_answering_open",
        "rag": "question_answering_context",
        "reasoning": "multi_step_reasoning",
        "rewrite": "rewriting",
        "summarisation": "summarization",
        "summary": "summarization",
        "text_generation": "creative_generation",
        "translate": "translation",
    }
)


def resolve(label: str) -> tuple[str, str | None]:
    """The (task type, sub-tag) that a person's label means.

    Case, spaces and hyphens do not matter and common synonyms are known. A label outside the table is returned as the
    person wrote it, tidied: a team may tag calls with a type of its own and find it again under that name.
    """
    name = "_".join(label.lower().replace("-", " ").split())
    name = _ALIASES.get(name, name)
    sub_tag = SUB_TAGS.get(name)
    return (sub_tag.parent, name) if sub_tag is not None and sub_tag.parent else (name, None)
