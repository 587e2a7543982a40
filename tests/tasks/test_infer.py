from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierwise.tasks import TASKS, Inference, TaskMemory, infer
from tierwise.tasks.infer import UNKNOWN_BELOW

LONG_TRANSLATOR = (
    "You are a professional translator for a travel agency. Translate the customer's message from French into English. "
    "Keep names, numbers and formatting. Return only the translation, without comments. If a sentence is unclear, "
    "translate it literally and keep its punctuation."
)
LABEL_SCHEMA = {"type": "object", "properties": {"queue": {"enum": ["billing", "sales"]}}}
FIELD_SCHEMA = {"type": "object", "properties": {name: {"type": "string"} for name in ("name", "email", "city")}}


def chat(user: str = "Hello", system: str = "", **request: Any) -> dict[str, Any]:
    messages = [{"role": "system", "content": system}] if system else []
    return {"model": "any", "messages": [*messages, {"role": "user", "content": user}], **request}


def alone(request: dict[str, Any], **given: Any) -> Inference:
    """Inference without memory of other tests' calls."""
    return infer(request, memory=None, **given)


def json_schema(schema: dict[str, Any]) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}


def tool(name: str, schema: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "parameters": schema or {"type": "object"}}}


def test_a_label_beats_everything():
    """A person's label is the task, with certainty, whatever the request says."""
    found = alone(chat(LONG_TRANSLATOR, tools=[tool("search")]), operation="embeddings", explicit_task="Summarisation")

    assert (found.task_type, found.confidence, found.source) == ("summarization", 1.0, "tag")


def test_a_label_may_be_a_sub_tag():
    """Labelling a call as a judge makes it a classification with that sub-tag."""
    found = alone(chat(), explicit_task="llm-as-judge")

    assert (found.task_type, found.sub_tag) == ("classification", "judge")


@pytest.mark.parametrize("by", ["id", "name", "call site"])
def test_a_use_case_may_be_labelled(by: str):
    """Labels are found by the use case's identifier, its name or the call site."""
    request = chat(system=LONG_TRANSLATOR)
    key = {"id": alone(request, use_case_name="mail").use_case.id, "name": "mail", "call site": "app:ask"}[by]

    found = alone(request, use_case_name="mail", call_site="app:ask", labels={key: "rewriting"})

    assert (found.task_type, found.source) == ("rewriting", "use_case")


def test_labels_of_other_use_cases_do_not_matter():
    """A label for another use case leaves the inference alone."""
    assert alone(chat(system=LONG_TRANSLATOR), labels={"other": "math"}).task_type == "translation"


def test_embeddings_are_known_by_their_operation():
    """The operation, or the model's name without it, tells embeddings."""
    by_operation = alone({"model": "any", "input": "Translate"}, operation="embeddings")
    by_model = alone({"model": "text-embedding-3-small", "input": ["Translate"]})

    assert (by_operation.task_type, by_operation.source) == ("embedding", "operation")
    assert by_model.task_type == "embedding"


def test_declared_tools_are_tool_use():
    """A request that offers tools is for choosing among them."""
    found = alone(chat("Summarize my inbox", tools=[tool("read_mail"), tool("send_mail")]))

    assert (found.task_type, found.source) == ("tool_use", "tools")


def test_tool_results_are_tool_use():
    """Results of tools among the messages make a call a step of an agent."""
    request = {"messages": [{"role": "user", "content": "Go"}, {"role": "tool", "content": "done"}]}

    assert alone(request).task_type == "tool_use"


def test_a_forced_tool_is_a_schema():
    """One forced tool is read as the response schema that it stands for."""
    choice = {"type": "function", "function": {"name": "route"}}

    found = alone(chat("My card was charged twice", tools=[tool("route", LABEL_SCHEMA)], tool_choice=choice))

    assert (found.task_type, found.source) == ("classification", "response_format")


def test_a_schema_of_labels_is_classification():
    """When the answer can only be one of fixed values the text need not be read."""
    found = alone(chat("Write a poem", response_format=json_schema(LABEL_SCHEMA)))

    assert (found.task_type, found.source) == ("classification", "response_format")


def test_a_schema_of_fields_tips_the_scale_to_extraction():
    """Several text fields are a prior for extraction; words that say otherwise still win."""
    tipped = alone(chat("John Smith, j@x.org, Berlin", response_format=json_schema(FIELD_SCHEMA)))
    told = alone(chat("Translate into French: John Smith", response_format=json_schema(FIELD_SCHEMA)))

    assert (tipped.task_type, tipped.source) == ("extraction", "response_format")
    assert (told.task_type, told.source) == ("translation", "inferred")


def test_long_instructions_are_read_before_the_message():
    """Under instructions that tell, what the user writes does not change the task."""
    found = alone(chat("Write a Python function that sorts a list", LONG_TRANSLATOR))

    assert (found.task_type, found.source) == ("translation", "inferred")


def test_short_instructions_that_tell_are_enough():
    """One sentence of instruction outweighs what the message it is applied to talks about."""
    found = alone(chat("Hello! Hi! Write me a poem. Calculate my refund.", "Classify the sentiment of the message."))

    assert (found.task_type, found.source) == ("classification", "inferred")


def test_generic_instructions_are_passed_over():
    """Being a helpful assistant is no evidence for conversation."""
    found = alone(chat("Write a Python function that sorts a list", "You are a helpful assistant."))

    assert found.task_type == "code_generation"


def test_turns_are_evidence_for_conversation():
    """A remark that tells nothing, after several turns, is a conversation's."""
    turns = [{"role": "user", "content": "Hey"}, {"role": "assistant", "content": "Yes?"}] * 3

    found = alone({"messages": [*turns, {"role": "user", "content": "I see, that is nice"}]})

    assert found.task_type == "conversation"


def test_judges_are_classification_with_a_sub_tag():
    """Comparing two answers is classification, tagged as judging."""
    found = alone(chat("Which response is better? Output A, B or tie.", "Act as an impartial judge of two responses."))

    assert (found.task_type, found.sub_tag) == ("classification", "judge")


def test_no_evidence_is_unknown():
    """A text that says nothing gets no guess, but its use case and complexity are still told."""
    found = alone(chat("zzz qqq"))

    assert (found.task_type, found.source, found.sub_tag) == ("unknown", "unknown", None)
    assert found.confidence < UNKNOWN_BELOW
    assert found.use_case.source == "none"


def test_one_weak_word_is_an_answer():
    """Little evidence gets an answer with little confidence, not `unknown`."""
    found = alone(chat("zzz genre"))

    assert (found.task_type, found.source) == ("classification", "inferred")
    assert found.confidence < 0.4


def test_calls_of_a_use_case_agree_and_are_remembered():
    """After ten calls that agree, the use case's verdict answers for a call whose own text says nothing."""
    memory = TaskMemory()
    for number in range(10):
        first = infer(chat(f"Translate into French: {number}"), use_case_name="mail", memory=memory)
        assert first.source == "inferred"

    later = infer(chat("zzz qqq"), use_case_name="mail", memory=memory)

    assert (later.task_type, later.source) == ("translation", "cache")


def test_calls_that_nothing_tells_apart_are_not_remembered():
    """The bucket of one operation holds unrelated prompts, so it gets no verdict."""
    memory = TaskMemory()
    for number in range(20):
        infer(chat(f"Translate into French: {number}"), memory=memory)

    assert infer(chat("zzz qqq"), memory=memory).source == "unknown"


def test_a_remembered_verdict_does_not_hide_tools():
    """What a single request declares comes before what its use case usually is."""
    memory = TaskMemory()
    for number in range(10):
        infer(chat(f"Translate into French: {number}"), use_case_name="mail", memory=memory)

    found = infer(chat("Translate", tools=[tool("search")]), use_case_name="mail", memory=memory)

    assert found.source == "tools"


def test_an_inference_cannot_be_changed():
    """What was inferred is what is recorded."""
    with pytest.raises(AttributeError):
        alone(chat()).task_type = "math"  # type: ignore[misc]


def test_iterators_are_left_unread():
    """A generator of messages still yields them all to the SDK."""

    def once() -> Iterator[dict[str, str]]:
        yield {"role": "user", "content": "Hello"}

    messages = once()

    assert alone({"messages": messages}).task_type == "unknown"
    assert len(list(messages)) == 1


ODD = st.recursive(
    st.none()
    | st.integers()
    | st.text(max_size=30)
    | st.sampled_from(["user", "system", "json_schema", "tool_result"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["role", "content", "type", "text", "name", "function", "schema", "json_schema", "properties"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)
KEYS = st.sampled_from(
    [
        "messages",
        "input",
        "prompt",
        "system",
        "tools",
        "tool_choice",
        "response_format",
        "text",
        "model",
        "output_config",
    ]
)


@given(st.dictionaries(KEYS, ODD), st.sampled_from([None, "chat", "embeddings"]))
def test_odd_requests_are_inferred_without_an_error(request_body: dict[str, Any], operation: str | None):
    """Whatever stands where a string, list or mapping is due, there is an inference from the table."""
    found = alone(request_body, operation=operation)

    assert found.task_type in TASKS
    assert 0.0 <= found.confidence <= 1.0


@given(st.text(st.characters(exclude_categories=())), st.text(st.characters(exclude_categories=())))
def test_lone_surrogates_are_read(system: str, user: str):
    """Text that no encoding holds, as a broken decoder leaves it, is inferred like any other."""
    found = alone(chat(user, system), call_site=user, use_case_name=system)

    assert found.task_type in TASKS


@pytest.mark.parametrize("nothing", [None, 3, "text", [], object()])
def test_what_is_no_request_is_unknown(nothing: Any):
    """Something that is not a request at all is not an error either."""
    assert alone(nothing).task_type == "unknown"


def test_a_request_that_holds_itself_is_read():
    """A cycle is not followed."""
    cyclic: dict[str, Any] = {"role": "user", "text": "x"}
    cyclic["content"] = [cyclic, [cyclic]]
    cyclic["messages"] = [cyclic]
    cyclic["tools"] = [cyclic]

    assert alone(cyclic).task_type in TASKS


def test_a_huge_prompt_costs_no_more_than_a_long_one():
    """Work is bounded: five megabytes are read as fast as two thousand tokens."""

    def fastest_s(text: str) -> float:
        timings: list[float] = []
        for number in range(20):
            request = chat(f"{number} {text} {number}")
            start = time.perf_counter()
            alone(request)
            timings.append(time.perf_counter() - start)
        return min(timings)

    long, huge = fastest_s("A sentence with words. " * 350), fastest_s("A sentence with words. " * 220_000)

    assert huge < 5 * long + 0.001


def test_nothing_heavy_is_imported():
    """Inference runs in the user's process on the standard library alone."""
    module = sys.modules["tierwise.tasks.infer"]

    assert not {"numpy", "pandas", "pyarrow"} & {name.partition(".")[0] for name in vars(module)}
