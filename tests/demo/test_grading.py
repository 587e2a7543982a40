from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierwise.demo.grading import answer_field, grade_answer, last_number


def as_json(answer: str) -> str:
    return f'{{"reasoning": "because", "answer": "{answer}"}}'


# --- finding the answer -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        '{"answer": "42"}',
        '{"reasoning": "{a} and }", "answer": "42"}',
        'Let me think.\n```json\n{"answer": "42"}\n```\nDone.',
        '```\n{"answer": "42"}\n```',
        '```json\n{"answer": "41"}\n```\nNo, wrong.\n```json\n{"answer": "42"}\n```',
        '{"reasoning": "line\nbreak", "answer": "42"}',
        '{"reasoning": "\\sqrt{4} and \\cdot", "answer": "42"}',
        '{"reasoning": "cut by a " quote", "answer": "42"}',
    ],
)
def test_the_answer_field_is_found_in_all_the_ways_models_write_it(text: str) -> None:
    """Bare, fenced, twice, with raw newlines, with LaTeX or quotes that break the JSON."""
    assert answer_field(text) == "42"


def test_an_answer_that_is_no_string_keeps_its_type() -> None:
    """A number or list in the JSON is not turned into text."""
    assert answer_field('{"answer": [1, 2]}') == [1, 2]
    assert answer_field('{"answer": 3}') == 3


@pytest.mark.parametrize("text", ["42", "The answer is 42.", "{}", '{"result": "42"}', "```json\n[1]\n```"])
def test_text_without_the_field_has_no_answer(text: str) -> None:
    """A number somewhere in the text is not taken for the answer."""
    assert answer_field(text) is None


# --- numbers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1,875", "1875"),
        ("# 1,875", "1875"),
        ("$18.00", "18"),
        ("24%", "24"),
        ("-7", "-7"),
        ("−7", "-7"),
        ("-$7", "-7"),
        (".5", "0.5"),
        ("4 years", "4"),
        ("80 + 150 = 230 miles", "230"),
        ("\\boxed{18}", "18"),
    ],
)
def test_numbers_are_read_without_their_dress(text: str, number: str) -> None:
    """Currency, separators, units, signs and trailing zeros do not matter; of several numbers the last counts."""
    assert last_number(text) == Decimal(number)


@given(number=st.decimals(min_value=-(10**12), max_value=10**12, places=2))
def test_any_number_survives_being_written_as_money(number: Decimal) -> None:
    """Formatting with separators and reading back gives the number again."""
    assert last_number(f"{number:,.2f}") == number


@pytest.mark.parametrize(("answer", "grade"), [("$1,875.00", 1.0), ("1875 dollars", 1.0), ("1857", 0.0), ("none", 0.0)])
def test_gsm8k_compares_numbers(answer: str, grade: float) -> None:
    """The reference is written `# 1,875`; the answer in any dress is right when the number is."""
    assert grade_answer("gsm8k", "# 1,875", as_json(answer)) == grade


def test_math_hard_reads_an_answer_out_of_broken_json() -> None:
    """Unescaped LaTeX in the reasoning does not cost the answer its grade."""
    assert grade_answer("math_hard", "-15", '{"reasoning": "\\frac{30}{-2}", "answer": "-15"}') == 1.0


# --- literals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reference", "text"),
    [
        ("[(4, 1), (2, 3)]", '{"answer": "[(4,1),(2,3)]"}'),
        ("'abc'", """{"answer": "'abc'"}"""),
        ("'abc'", '{"answer": "\\"abc\\""}'),
        ("'abc'", '{"answer": "abc"}'),
        ("' a '", '{"answer": " a "}'),
        ("'\\n'", '{"answer": "\\n"}'),
        ("{1: None}", '```json\n{"answer": "{1: None}"}\n```\nSo it is {1: None}.'),
        ("[1, 2]", '{"answer": [1, 2]}'),
        ("8.5", '{"answer": "8.50"}'),
        ("True", '{"answer": true}'),
    ],
)
def test_crux_accepts_the_same_value_however_it_is_written(reference: str, text: str) -> None:
    """Spacing, quotes and JSON values do not matter; a string may stand without quotes."""
    assert grade_answer("crux", reference, text) == 1.0


@pytest.mark.parametrize(
    ("reference", "answer"),
    [
        ("'1001'", "1001"),
        ("(1, 2)", "[1, 2]"),
        ("1", "True"),
        ("'abc'", "abd"),
        ("'a '", "a"),
        ("[]", "sorted([])"),
        ("{}", "{[1]: 2}"),
    ],
)
def test_crux_refuses_a_value_of_another_kind(reference: str, answer: str) -> None:
    """A number is not its string, a list no tuple, and an expression no literal."""
    assert grade_answer("crux", reference, as_json(answer)) == 0.0


# --- choices ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "grade"),
    [
        ("The answer is (E).", 1.0),
        ("... so the answer is E", 1.0),
        ("The answer is: **E**", 1.0),
        ("The answer is (A).\nThe answer is (E).", 1.0),
        ("The answer is (E).\nNo, the answer is (A).", 0.0),
        ("The answer is Excellent", 0.0),
        ("E", 0.0),
    ],
)
def test_mmlu_pro_takes_the_last_choice_that_is_declared(text: str, grade: float) -> None:
    """A model that answers its worked examples first ends on the question's own answer."""
    assert grade_answer("mmlu_pro", "E", text) == grade


# --- bounds -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dataset", ["gsm8k", "crux", "math_hard", "mmlu_pro"])
def test_an_empty_answer_has_no_grade(dataset: str) -> None:
    """Nothing was answered, so nothing is right or wrong."""
    assert grade_answer(dataset, "1", " \n") is None


def test_an_unknown_data_set_is_refused() -> None:
    """There is no rule to grade by, even for an empty answer."""
    with pytest.raises(KeyError):
        grade_answer("trivia", "1", "")


@given(text=st.text(), dataset=st.sampled_from(["gsm8k", "crux", "math_hard", "mmlu_pro"]))
def test_no_text_breaks_the_grading(text: str, dataset: str) -> None:
    """Whatever a model writes, the grade is right, wrong or none."""
    assert grade_answer(dataset, "[1]", text) in (None, 0.0, 1.0)
