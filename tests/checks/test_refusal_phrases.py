from __future__ import annotations

import time

import pytest

from tierwise.checks.refusal_phrases import START_CHARS, begins_as_refusal

REFUSALS = [
    "I'm sorry, but I can't help with that.",
    "I’m sorry, but I cannot assist with this request.",
    "Unfortunately, I am not able to provide medical advice.",
    "As an AI language model, I cannot answer questions about that.",
    "I must decline this request.",
    "Es tut mir leid, aber ich kann dir dabei nicht helfen.",
    "Leider kann ich Ihnen bei dieser Anfrage nicht weiterhelfen.",
    "Je suis désolé, mais je ne peux pas vous aider avec cela.",
    "Lo siento, pero no puedo ayudarte con eso.",
    "Mi dispiace, ma non posso aiutarti con questa richiesta.",
    "Desculpe, mas não posso ajudar com isso.",
    "申し訳ございませんが、そのご質問にはお答えできません。",
    "很抱歉，我不能协助您完成这个请求。",
    "抱歉,我无法回答这个问题。",
]
ANSWERS = [
    "I cannot find a date in the text.",
    "Sorry for the delay! The answer is 42.",
    "I can help with that: here is the list.",
    "Unfortunately, the store closed in 1999.",
    "I can't wait to visit Rome, says the author, who then describes it.",
    "Ich kann Ihnen dabei gerne helfen.",
    "Je peux vous aider à rédiger cette lettre.",
    "No puedo creer lo buena que es esta película.",
    "Certo, posso aiutarti: ecco la lista.",
    "Claro, posso ajudar com isso.",
    "はい、お手伝いできます。",
    "好的，我可以帮助您。",
    "",
]


@pytest.mark.parametrize("text", REFUSALS)
def test_a_refusal_is_recognised(text: str) -> None:
    """A refusal is recognised in each of the eight languages."""
    assert begins_as_refusal(text)


@pytest.mark.parametrize("text", ANSWERS)
def test_an_answer_is_not_taken_for_one(text: str) -> None:
    """Regret, inability to find something, and offers of help are answers."""
    assert not begins_as_refusal(text)


def test_only_the_beginning_counts() -> None:
    """What refuses further down has answered before."""
    assert not begins_as_refusal("x" * START_CHARS + " I'm sorry, but I can't help with that.")


@pytest.mark.parametrize("piece", ["sorry ", "i can't ", "lo siento no puedo ", "抱歉无法", "ich kann ", "\ud800"])
def test_it_takes_bounded_time(piece: str) -> None:
    """A text made of what refusals are made of takes no longer than any other."""
    text = piece * 200_000
    began_s = time.thread_time()

    begins_as_refusal(text)

    assert time.thread_time() - began_s < 1.0
