"""Whether the answer is in the language of the request."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from tierwise.checks.answer import Answer
from tierwise.checks.check import CheckContext, Deadline, Finding
from tierwise.checks.json_text import looks_like_json
from tierwise.checks.languages import WINDOW_CHARS, profile
from tierwise.checks.request_text import read_texts

# A request that names a language, in any of the eight that refusals are known in, may well ask for an answer in it.
_NAMES_A_LANGUAGE = re.compile(
    r"\b(?:translat\w*|übersetz\w*|tradui\w*|traduc\w*|traduz\w*|tradur\w*|languages?|sprachen?|langues?|idiomas?|lingue?|"
    r"englis[ch]h?\w*|anglais\w*|ingl[eé]s\w*|inglese|german|deutsch\w*|allemand\w*|alem[aáã]\w*|tedesc\w*|french|"
    r"français\w*|französisch\w*|franc[eê]s\w*|spanish|spanisch\w*|espagnol\w*|español\w*|espanhol|spagnol\w*|italian\w*|"
    r"italienisch\w*|portugu\w*|japan\w*|chines\w*|mandarin|korean\w*|russ\w*|arab\w*|dutch|niederländisch\w*|hindi|"
    r"turkish|türkisch\w*|polish|polnisch\w*|swedish|hebrew|greek)\b|翻訳|英語|日本語|中国語|翻译|英文|中文|日文|英语|日语",
    re.IGNORECASE,
)
_FENCE = re.compile(r"^[ \t]*```", re.MULTILINE)


def check(request_body: Mapping[str, Any], answer: Answer, context: CheckContext, deadline: Deadline) -> Finding:
    """Bad when request and answer are each clearly in one language, and not in the same.

    It does not apply to translations, to requests that name a language or hold two, to code, JSON and short texts.
    """
    if context.task_type == "translation":
        return Finding(None, "a translation")
    if not answer.text or answer.refused or looks_like_json(answer.text):
        return Finding(None, "no prose")
    asked = read_texts(request_body)
    deadline.check()
    said = asked.instruction
    window = said if len(said) <= 2 * WINDOW_CHARS else f"{said[:WINDOW_CHARS]} {said[-WINDOW_CHARS:]}"
    if _NAMES_A_LANGUAGE.search(window):
        return Finding(None, "the request names a language")
    request = profile(window)
    if request.language is None or request.others:
        return Finding(None, "the request is not clearly in one language")
    answered = profile(_prose(answer.text))
    if answered.language is None:
        return Finding(None, "the answer is not clearly in one language")
    if answered.language == request.language or request.language in answered.others:
        return Finding(True)
    return Finding(False, f"{answered.language} where {request.language} was asked for")


def _prose(text: str) -> str:
    """A text's beginning and end without the code blocks in them."""
    window = text if len(text) <= 4 * WINDOW_CHARS else f"{text[: 2 * WINDOW_CHARS]}\n{text[-2 * WINDOW_CHARS :]}"
    return "\n".join(_FENCE.split(window)[::2])
