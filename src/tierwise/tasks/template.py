"""The constant part of a prompt: what stays the same when the same template is filled in again.

`stable_text` blanks what changes in instructions (numbers, dates, identifiers, quotations, named slots, data sections).
`skeleton` keeps only the marks that give a user message its structure: headings, tags, field labels, fences, keys of a
JSON form, and lines of instruction that open or close it.
"""

from __future__ import annotations

import re

from tierwise.tasks.template_words import (
    ASKING_SECTIONS,
    BEFORE_A_NAME,
    HTML_TAGS,
    LABEL_NOUNS,
    OPENING_WORDS,
    VERBS,
)

_STABLE_WORDS_HEAD = 200
_STABLE_WORDS_TAIL = 60

_CALENDAR = (
    "(?:January|February|March|April|June|July|August|September|October|November|December|Jan|Feb|Mar|Apr|May|Jun|Jul"
    "|Aug|Sept|Sep|Oct|Nov|Dec|Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday|Mon|Tue|Wed|Thu|Fri|Sat|Sun)"
)
_SLOT_LABEL = re.compile(
    r"\n([ \t*-]{0,4}(?:"
    r"(?:[Uu]ser|[Cc]ustomer|[Cc]lient|[Aa]ccount|[Cc]ompany|[Ss]ession|[Cc]urrent|[Tt]oday)[ '\w-]{0,20}"
    r"|[Nn]ame|[Ee]-?mail|[Dd]ate|[Tt]ime|[Tt]imezone|[Ll]ocale|[Ll]ocation|[Ll]anguage|[Ii][Dd])[*]{0,2}:)[^\n]*"
)
_DATA_SECTION = re.compile(
    r"<((?:context|document|documents|data|history|transcript|conversation|memory|user_\w+|search_results|passage|article|"
    r"text|email|input|question|query)\b)[^>]*>.*?(?:</\1>|\Z)",
    re.DOTALL | re.IGNORECASE,
)
# Each pattern starts with a literal or a set of characters, so that `re` skips quickly to where one can begin, and is
# bounded or anchored to a word's start, so that a long run of letters is not read again from each of them.
_NUMBER = re.compile(r"\d[\w.,:/+-]*")
_HEX_START = re.compile(r"\b[a-fA-F]{1,7}0\b")
_QUOTED = re.compile(r'"[^"\n]{1,200}"|“[^”\n]{1,200}”|«[^»\n]{1,200}»|`[^`\n]{1,200}`')
_DATE_WORD = re.compile(rf"{_CALENDAR}\b[.,]?")
_CLOCK = re.compile(r"0(?: 0)*(?: ?[AaPp]\.?[Mm]\b)?")
_ADDRESS = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@[\w.-]+|https?://[^\s<>)\"']+")
_CAPITALISED_RUN = re.compile(r"[A-Z](?<!\w.)[\w'’-]{1,30}(?: [A-Z][\w'’-]{1,30}){1,3}")


def _blank(text: str) -> str:
    """The text with numbers, dates, hexadecimal identifiers and quotations each replaced by one character."""
    text, numbers = _NUMBER.subn("0", text)
    if numbers:
        text = _HEX_START.sub("0", text)
    return _CLOCK.sub("0", _DATE_WORD.sub("0", _QUOTED.sub("0", text)))


def _without_person(run: re.Match[str]) -> str:
    """A run of capitalised words, blanked if the word before it, or its first word, announces somebody's name."""
    first = run[0].partition(" ")[0]
    if first.lower() in BEFORE_A_NAME:
        return f"{first} @"
    before = run.string[max(0, run.start() - 16) : run.start()].split()
    return "@" if before and before[-1].lower().rstrip(",:") in BEFORE_A_NAME else run[0]


def stable_text(instructions: str) -> str:
    """Instructions with what changes between calls blanked, lower case, one space between words, bounded length."""
    text = f"\n{instructions}"
    if "@" in text or "://" in text:
        text = _ADDRESS.sub("@", text)
    if "<" in text:
        text = _DATA_SECTION.sub(r"<\1>", text)
    text = _SLOT_LABEL.sub(r"\n\1", text)
    text = _CAPITALISED_RUN.sub(_without_person, _blank(text))
    words = text.lower().split()
    # Counted in words after blanking: a longer name or date must not move the cut.
    if len(words) > _STABLE_WORDS_HEAD + _STABLE_WORDS_TAIL + 20:
        words = [*words[:_STABLE_WORDS_HEAD], *words[-_STABLE_WORDS_TAIL:]]
    return " ".join(words)


_MARK = re.compile(
    r"\n[ \t]{0,3}(?:"
    r"#{1,6}[ \t]+(?P<heading>[^\n:]{1,60})"
    r"|<(?P<tag>/?[A-Za-z][\w.-]{0,40})[^>\n]{0,80}>"
    r"|\[(?P<bracket>/?[A-Z][A-Z0-9_ ]{1,30})\]"
    r"|```(?P<fence>[\w+-]{0,20})"
    r"|(?P<label>\*{0,2}[A-Z][\w'/-]*(?: [\w'/()-]+){0,3})\*{0,2}[ \t]?:"
    r'|[ \t]{0,5}"(?P<key>[\w ]{1,40})"[ \t]*:'
    r")"
)
_DATA_BEGINS = re.compile(r"[:?“\"]| '")
_SEPARATED_CHARS = 300
"""Longest paragraph that counts as an instruction beside its payload."""
_PAYLOAD_CHARS = 150
_CLOSING_CHARS = 600
_CLOSING_LINES = 3
_LONGEST_LABEL_CHARS = 100
_MAX_MARKS = 24
_MIN_MARKS = 2


def _is_template_label(label: str) -> bool:
    """Whether a `Key:` at the start of a line is a field of a form rather than a speaker or a line of the data."""
    words = label.strip("*").lower().split()
    if len(words) > 3 or (len(words) > 1 and words[0] in VERBS):
        return False
    return words[-1].rstrip("0123456789") in LABEL_NOUNS or words[0] in LABEL_NOUNS


def _instruction(line: str, leads: frozenset[str], *, words: int) -> str:
    """The first words of a line that tells the model what to do, up to where data may begin; else an empty string."""
    found = line.lower().split(None, words)[:words]
    if len(found) < 3 or found[0].rstrip(",") not in leads:
        return ""
    return _DATA_BEGINS.split(_blank(" ".join(found)), maxsplit=1)[0].strip()


def _form_marks(padded: str) -> tuple[list[str], int]:
    """The marks of a form, in order and each once, and where the last of them ends.

    What stands between an opening tag or fence and its end is data, so marks inside are not looked at, but for the keys
    of a JSON form. Under headings or tags, `Key:` lines are taken for data as well.
    """
    marks: dict[str, None] = {}
    sections = closes_at = last_end = 0
    asks = False
    for match in _MARK.finditer(padded):
        if len(marks) >= _MAX_MARKS:
            break
        kind = match.lastgroup or ""
        value = match[kind]
        if match.start() < closes_at:
            if kind == "key":
                marks[f"key {value.lower()}"] = None
            continue
        if kind == "heading":
            value = _blank(value.strip())
            sections += 1
        elif kind == "label":
            if sections or not _is_template_label(value):
                continue
            value = value.strip("*")
        elif kind == "fence":
            end = padded.find("\n```", match.end())
            closes_at = end + 4 if end >= 0 else len(padded)
        else:
            if value.startswith("/") or (kind == "tag" and value.lower() in HTML_TAGS):
                continue
            ending = f"</{value}>" if kind == "tag" else f"[/{value}]"
            closes_at = padded.find(ending, match.end())
            sections += 1
        value = value.lower()
        marks[f"{kind} {value}"] = None
        last_end = max(match.end(), closes_at)
        asks = kind in ("heading", "label") and not ASKING_SECTIONS.isdisjoint(value.split())
        if asks:
            for line in padded[match.end() : match.end() + _CLOSING_CHARS].split("\n")[:_CLOSING_LINES]:
                if stated := _instruction(line.strip(), VERBS, words=4):
                    marks[f"> {stated}"] = None
    return list(marks), last_end


def _edge_marks(text: str) -> list[str]:
    """Instructions in a paragraph of their own before or after a long payload, as a template puts them."""
    marks: list[str] = []
    opening, gap, rest = text.partition("\n\n")
    if gap and len(opening) <= _SEPARATED_CHARS and len(rest) >= _PAYLOAD_CHARS:
        marks.append(_instruction(opening, OPENING_WORDS, words=40))
    before, gap, closing = text.rpartition("\n\n")
    if gap and len(closing) <= _SEPARATED_CHARS and len(before) >= _PAYLOAD_CHARS:
        marks.append(_instruction(closing, VERBS, words=40))
    return [f"| {mark}" for mark in marks if mark]


def form(user_text: str) -> tuple[str, ...]:
    """The marks of the form that a user message fills in; empty below two of them."""
    text = user_text.strip()
    if "\n" not in text and not text.startswith("#"):
        # One line, as many questions are, has one mark, and a second only after a label that asks.
        label, colon, _ = text[:_LONGEST_LABEL_CHARS].partition(":")
        if not colon or ASKING_SECTIONS.isdisjoint(label.strip("*").lower().split()):
            return ()
    marks, last_end = _form_marks(f"\n{text}")
    if len(marks) < _MIN_MARKS:
        return ()
    if opening := _instruction(text[:_SEPARATED_CHARS].partition("\n")[0], OPENING_WORDS, words=4):
        marks.append(f"^ {opening}")
    closing = text[max(last_end, len(text) - _CLOSING_CHARS) :].split("\n")[1:]
    for line in [line for line in closing if line.strip()][-_CLOSING_LINES:]:
        if stated := _instruction(line, VERBS, words=4):
            marks.append(f"$ {stated}")
    return tuple(marks)


def skeleton(user_text: str) -> tuple[str, ...]:
    """What is constant in a user message: its form or, without one, the instructions set apart from a long payload."""
    return form(user_text) or tuple(_edge_marks(user_text.strip()))
