from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierwise.tasks.template import form, skeleton, stable_text

SUPPORT = """You are the assistant of ACME. You are helping {name}.
Today is {date}, {clock}. Ticket {ticket}, opened by {mail}.
Customer name: {name}
Quote the product as "{product}". Answer in one paragraph.
<context>
{context}
</context>"""


def filled(**changes: str) -> str:
    slots = {
        "name": "Alice Johnson",
        "date": "Monday, January 5, 2026",
        "clock": "3:04 PM",
        "ticket": "3f2a1b4c-aaaa-bbbb-cccc-1234567890ab",
        "mail": "alice@example.com",
        "product": "Anvil 3000",
        "context": "The anvil was heavy.",
    }
    return SUPPORT.format(**(slots | changes))


@pytest.mark.parametrize(
    "change",
    [
        {"name": "José Maria Lopez"},
        {"date": "Tue, March 17, 2026"},
        {"date": "2026-03-17"},
        {"clock": "11:59 am"},
        {"ticket": "bc2a1b4c-0000-4bbb-8ccc-aaaaaaaaaaaa"},
        {"ticket": "00917"},
        {"mail": "b.smith+x@mail.example.org"},
        {"product": "Rocket skates"},
        {"context": "Several\n\nparagraphs of other text.\n" * 30},
    ],
)
def test_what_fills_a_slot_does_not_show(change: dict[str, str]):
    """Names, dates, times, identifiers, addresses, quotations and data sections are blanked."""
    assert stable_text(filled(**change)) == stable_text(filled())


def test_white_space_does_not_show():
    """Reformatting a prompt leaves its stable text alone."""
    assert stable_text("Answer   briefly.\n\n\tBe kind.") == stable_text("Answer briefly. Be kind.")


def test_another_instruction_shows():
    """Changing what the prompt says changes its stable text."""
    assert stable_text(filled().replace("one paragraph", "three bullets")) != stable_text(filled())


def test_a_longer_slot_does_not_move_the_cut():
    """In instructions too long to keep whole, both ends are kept by words counted after blanking."""
    rules = " ".join(f"Rule: {word} always." for word in "abcdefghijklmnopqrstuvwxyz" * 8)

    assert stable_text(f"Hello Ann Lee. {rules}") == stable_text(f"Hello Maximiliane Featherstonehaugh. {rules}")


FORM = """## Question

{question}

## Instruction

Please reason first and then answer.

```json
{{
    "reasoning": "___",
    "answer": "___"
}}
```"""


def test_a_form_is_its_marks_in_order():
    """Headings, the instruction under one of them, the fence and the keys of the answer's form make the skeleton."""
    assert skeleton(FORM.format(question="How many legs has a horse?")) == (
        "heading question",
        "heading instruction",
        "> please reason first and",
        "fence json",
        "key reasoning",
        "key answer",
    )


@pytest.mark.parametrize(
    "question",
    [
        "Hint: it is even.\nFind x.",
        "Max: hello\nEva: hi\nWho spoke first?",
        "[asy] draw(a); [/asy]\nWhat is a?",
        "<br>\nx",
    ],
)
def test_data_in_a_form_leaves_no_mark(question: str):
    """Labels under headings, speakers, lower-case brackets and HTML are taken for data."""
    assert skeleton(FORM.format(question=question)) == skeleton(FORM.format(question="x"))


def test_what_stands_inside_tags_is_data():
    """A document's own headings do not change the skeleton of the prompt around it."""
    prompt = "<document>\n{}\n</document>\n<question>\n{}\n</question>\nAnswer in one sentence."

    assert skeleton(prompt.format("# Title\nSummary: x", "Why?")) == skeleton(prompt.format("plain", "How so?"))
    assert skeleton(prompt.format("plain", "Why?"))[:2] == ("tag document", "tag question")


def test_shots_of_a_few_shot_prompt_count_once():
    """The number of examples does not change the skeleton."""
    shot = "Question: {}\nAnswer: {}\n"

    assert skeleton(shot.format(1, 2) * 2) == skeleton(shot.format(3, 4) * 5) == ("label question", "label answer")


def test_an_instruction_beside_a_long_payload_is_a_skeleton():
    """One line of instruction set apart from a long text identifies a template, before or after the text."""
    text = "The river rose again that night, and nobody in the valley slept. " * 5

    assert skeleton(f"Rewrite the text in a formal tone.\n\n{text}") == ("| rewrite the text in a formal tone.",)
    assert skeleton(f"{text}\n\nRewrite the text in a formal tone.") == ("| rewrite the text in a formal tone.",)


@pytest.mark.parametrize(
    "text", ["", "Hello, how are you?", "Write a poem about autumn.", "Max: hi\nEva: hello\nMax: bye"]
)
def test_free_text_has_no_skeleton(text: str):
    """A question, a short request or a dialogue is no template."""
    assert skeleton(text) == ()


def test_a_form_needs_two_marks():
    """One heading may be anybody's."""
    assert form("# Notes\nbuy milk") == ()


def test_one_line_can_be_a_form():
    """A label that asks and the instruction after it are two marks; a label before data, or prose, is none."""
    assert form("**Task**: Write a poem about the sea") == ("label task", "> write a poem about")
    assert form("Invoice: 4711") == form("Is it red: yes or no?") == ()


@given(st.text())
def test_any_text_is_taken(text: str):
    """No text, in any script, is refused, and the same text gives the same marks."""
    assert skeleton(text) == skeleton(text)
    assert stable_text(text) == stable_text(text)


@pytest.mark.parametrize(
    "piece", ["A", "a", "0", "\n", " ", "<a", '"', "a@", "@", "A ", "\n#", "`", "\n- ", "[A", "https://", "<context>"]
)
def test_hostile_text_takes_no_time(piece: str):
    """No repeated piece makes a pattern read the text over and over."""
    text = (piece * 4_500)[:4_500] + "@"

    start = time.perf_counter()
    stable_text(text)
    skeleton(text)

    assert time.perf_counter() - start < 0.05
