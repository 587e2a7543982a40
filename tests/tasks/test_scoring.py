from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierwise.tasks.lexicon import CLASSES
from tierwise.tasks.scoring import CLASS_INDEX, Entry, TokenTable, ends, probabilities, score_text

MATH, CODE = CLASS_INDEX["math"], CLASS_INDEX["code_generation"]


def best(message: str, instructions: str = "") -> str:
    row = score_text(instructions, message)
    return CLASSES[max(range(len(row)), key=row.__getitem__)]


def added(table: TokenTable, *tokens: str) -> list[float]:
    row = [0.0] * len(CLASSES)
    table.add(row, tokens)
    return row


def test_a_table_that_adds_up():
    """With damping 1 the evidence of words is summed, as a log-linear model needs it; a word counts once."""
    table = TokenTable(
        {"sum": Entry(word=((MATH, 2.0),)), "up": Entry(word=((MATH, 1.0), (CODE, 3.0)))}, {}, damping=1.0
    )

    row = added(table, "sum", "up", "sum")

    assert (row[MATH], row[CODE]) == (3.0, 3.0)


def test_a_damped_table_lets_the_telling_word_lead():
    """The lesser piece of evidence adds its damped part, in whichever order the words come."""
    table = TokenTable({"sum": Entry(word=((MATH, 2.0),)), "up": Entry(word=((MATH, 1.0),))}, {}, damping=0.5)

    assert added(table, "sum", "up")[MATH] == added(table, "up", "sum")[MATH] == 2.5


def test_leads_count_where_a_sentence_begins():
    """A verb tells more at the head of a line, after a stop or after "please"."""
    table = TokenTable({"solve": Entry(lead=((MATH, 2.0),))}, {}, damping=1.0)

    assert added(table, "solve")[MATH] == added(table, "now", ".", "solve")[MATH] == 2.0
    assert added(table, "please", "solve")[MATH] == 2.0
    assert added(table, "to", "solve")[MATH] == 0.0


def test_a_lead_counts_once():
    """A greeting that opens every line of a transcript is one piece of evidence."""
    table = TokenTable({"hello": Entry(lead=((MATH, 2.0),))}, {}, damping=1.0)

    assert added(table, "hello", ".", "hello", ".", "hello")[MATH] == 2.0


def test_the_longest_phrase_counts():
    """Of the phrases that a token begins, only the longest that follows counts."""
    phrases = {"many": ((("many", "lines"), ((CODE, 3.0),)), (("many",), ((MATH, 2.0),)))}
    table = TokenTable({"how": Entry(phrases=phrases)}, {}, damping=1.0)

    assert added(table, "how", "many", "lines")[CODE] == 3.0
    assert added(table, "how", "many", "lines")[MATH] == 0.0
    assert added(table, "how", "many")[MATH] == 2.0
    assert added(table, "how")[MATH] == 0.0


def test_the_object_of_a_making_verb_counts_within_its_sentence():
    """`write a … function` asks for code; a function named in the next sentence does not."""
    table = TokenTable({"write": Entry(takes_object=True)}, {"function": ((CODE, 4.0),)}, damping=1.0)

    assert added(table, "write", "a", "short", "function")[CODE] == 4.0
    assert added(table, "write", ".", "function")[CODE] == 0.0
    assert added(table, "function")[CODE] == 0.0


@pytest.mark.parametrize(
    ("message", "task"),
    [
        ("Write a Python function that reverses a list.", "code_generation"),
        ("Write a short story about a lighthouse.", "creative_generation"),
        ("Summarize the report in three bullet points:\n\n" + "Sales went up in spring. " * 30, "summarization"),
        ("Extract every date and amount as JSON.\n\nPaid 30 EUR on May 3.", "extraction"),
        ("Classify the sentiment of this review as positive or negative: dull.", "classification"),
        ("Translate into French: good morning", "translation"),
        ("Rewrite this e-mail in a more formal tone: hey you", "rewriting"),
        ("Who wrote the Divine Comedy?", "question_answering_open"),
        ("A pen costs 2 dollars and a book 7. How much do 3 pens and 2 books cost?", "math"),
        ("What is 17 * 23?", "math"),
        ("What is 15% of 240?", "math"),
        ("hi, how are you?", "conversation"),
        ("Think step by step and solve the logic puzzle: one of the three lies.", "multi_step_reasoning"),
        ("Übersetze den Satz ins Englische: Guten Morgen", "translation"),
        ("Fasse den Artikel zusammen.\n\n" + "Die Sonne schien. " * 40, "summarization"),
        ("Escribe un poema sobre el mar", "creative_generation"),
        ("请把下面的句子翻译成英文：今天天气很好。", "translation"),
        ("次の文章を要約してください。", "summarization"),
    ],
)
def test_plain_requests(message: str, task: str):
    """A plain request, in English or another common language, is told by its words."""
    assert best(message) == task


@pytest.mark.parametrize(
    "prompt",
    [
        "Act as an impartial judge.\nQuestion: who wrote Hamlet?\nAssistant A: Marlowe\nAssistant B: Shakespeare",
        "Given a question, its context and an answer, evaluate the answer for faithfulness. Score from 1 to 5.",
        "Select the most relevant choice for the question.\n1. vector index\n2. sql\nHow many users are there?",
        "Given a question, a reference answer and a predicted answer, say whether the predicted answer is correct.",
    ],
)
def test_judging_question_answering_is_not_question_answering(prompt: str):
    """A prompt that grades or routes questions holds a question and a context, and asks for neither."""
    assert best(prompt) == "judge"


def test_only_the_ends_of_a_message_are_read():
    """Words in the middle of a long text belong to what the instruction is applied to."""
    filler = "The river rose again that night. " * 20

    assert score_text("", f"{filler}Translate into French. {filler}") == score_text("", f"{filler}{'x' * 23}{filler}")


def test_a_short_prompt_is_read_whole():
    """Where there is no middle to leave out, every word of both texts is read."""
    assert ends("Reply in French.", "Two lines.\nAnd an end.") == "Reply in French.\nTwo lines.\nAnd an end."


def test_what_is_read_is_bounded():
    """Of long texts only the ends are read, however long they are."""
    once, often = (ends("Answer as told. " * times, "Words of a payload. " * times) for times in (60, 6_000))

    assert len(once) == len(often) < 1_000


def test_options_are_no_payload():
    """A question with lettered options is answered from knowledge, however long the options are."""
    options = "".join(f"\n{letter}. {'a long option of many words ' * 6}" for letter in "ABCD")

    assert best(f"Which organ makes insulin?{options}") == "question_answering_open"


def test_sections_of_instruction_are_no_payload():
    """How an answer must look does not turn a word problem into reading comprehension."""
    problem = "A shelf holds 12 books and 5 of them are red. How many are not red?"
    form = "\n\n## Instruction\n\n" + "Please answer in the form below, and only in it. " * 12

    assert best(f"## Question:\n\n{problem}{form}") == "math"


def test_probabilities_are_the_softmax():
    """They add up to one and keep the scores' differences as log ratios."""
    chances = probabilities([1.0, 3.0, 0.0])

    assert sum(chances) == pytest.approx(1.0)
    assert math.log(chances[1] / chances[0]) == pytest.approx(2.0)


@given(st.text(), st.text())
def test_any_text_has_finite_scores(instructions: str, message: str):
    """No text, in any script, is refused."""
    row = score_text(instructions, message)

    assert len(row) == len(CLASSES)
    assert all(map(math.isfinite, row))
