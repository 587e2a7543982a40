"""Which language a text is in, as far as its script and its commonest words tell."""

from __future__ import annotations

import re
from collections import Counter
from typing import NamedTuple

WINDOW_CHARS = 4_000
"""Looked at from a text's start, and as much from its end."""
_FEWEST_LETTERS = 40
_FEWEST_COMMON_WORDS = 5
_LEAD = 2.0
"""The language found has at least this many times the common words of the next."""

_SCRIPTS = {
    "ja": re.compile("[\u3040-\u30ff]"),
    "ko": re.compile("[\uac00-\ud7af]"),
    "zh": re.compile("[\u4e00-\u9fff]"),
    "cyrillic": re.compile("[\u0400-\u04ff]"),
    "ar": re.compile("[\u0600-\u06ff]"),
    "he": re.compile("[\u0590-\u05ff]"),
    "el": re.compile("[\u0370-\u03ff]"),
    "th": re.compile("[\u0e00-\u0e7f]"),
    "hi": re.compile("[\u0900-\u097f]"),
}
"""Letters by language, or by script where several share it; Japanese by those that it has alone."""

_COMMON = {
    "en": "the and of to is in that it for was with as on be this are by from have not or an at which you but has its "
    "their they were can will if would been who what when there all more we your",
    "de": "der die und das ist den von mit dem des ein eine nicht auch auf für sich im zu werden es als an wird aus "
    "bei sind oder einen einer wie nach hat dass durch nur ich sie wir kann wurde zur zum über",
    "fr": "le la les des et est un une du dans que qui pour pas sur au par plus avec ce sont il elle nous vous ne se "
    "sa son ses cette ou mais être ont aux leur comme fait peut",
    "es": "el la los las y es un una de que en por para con no se su al lo como más del pero sus este esta son entre "
    "cuando muy sin sobre también hay fue ser está ya todo si",
    "it": "il la le gli che di è un una per non con del della si sono da come anche più al dei nel alla ma questo "
    "questa ha ho delle essere dal nella lo loro dalla degli se",
    "pt": "o a os as e é um uma de que em do da para com não no na por mais dos das se como mas ao foi são ou sua seu "
    "pela pelo também está ser tem isso nos nas você",
    "nl": "de het een en van is dat in op te voor met niet zijn aan er ook als bij maar om dan door wordt uit worden "
    "naar heeft nog wel deze dit ik je wij werd kan geen",
    "sv": "och att det är en som på av för med den till inte ett har om de var jag från kan så vi men när eller vid "
    "också sin efter ska detta där mot under",
    "pl": "i w na z się nie że do jest to o jak za od po co ale przez dla są tym był tak być może jego już oraz czy "
    "które który także ich jej tego",
    "tr": "ve bir bu için ile de da olarak daha en gibi çok olan ne ya var kadar sonra ancak olduğu her ama değil "
    "veya bunu tarafından şey mi",
}
_WORD_LANGUAGES: dict[str, tuple[str, ...]] = {}
for _language, _words in _COMMON.items():
    for _word in _words.split():
        _WORD_LANGUAGES[_word] = (*_WORD_LANGUAGES.get(_word, ()), _language)

_WORD = re.compile(r"[^\W\d_]+")


class LanguageProfile(NamedTuple):
    """What a text is written in."""

    language: str | None
    """ISO 639-1, or the name of a script that several languages share; None where it cannot be told."""
    others: frozenset[str]
    """Languages that a fifth of what was recognised speaks for, beside it."""


def profile(text: str) -> LanguageProfile:
    """The language of a text's beginning and end."""
    window = text if len(text) <= 2 * WINDOW_CHARS else f"{text[:WINDOW_CHARS]} {text[-WINDOW_CHARS:]}"
    words = _WORD.findall(window.casefold())
    letters = sum(map(len, words))
    scripts = (
        Counter[str]()
        if window.isascii()
        else Counter({name: len(at.findall(window)) for name, at in _SCRIPTS.items()})
    )
    scripts["latin"] = letters - scripts.total()
    # A kana in ten letters makes the Han around it Japanese.
    if scripts["ja"] * 10 >= scripts["zh"] > 0:
        scripts["ja"] += scripts.pop("zh")
    # A logogram says as much as several letters.
    if letters + 3 * (scripts["zh"] + scripts["ja"] + scripts["ko"] + scripts["th"]) < _FEWEST_LETTERS:
        return LanguageProfile(None, frozenset())
    script, most = scripts.most_common(1)[0]
    others = {name for name, count in scripts.items() if name not in (script, "latin") and 5 * count >= most}
    if script != "latin":
        if 5 * scripts["latin"] >= most:
            others |= {language for language, _ in _latin(words)[:1]}
        return LanguageProfile(script, frozenset(others))
    found = _latin(words)
    if not found or found[0][1] < _FEWEST_COMMON_WORDS:
        return LanguageProfile(None, frozenset(others))
    language, count = found[0]
    others |= {other for other, own in _own_words(words).items() if other != language and 5 * own >= count}
    if len(found) > 1 and count < _LEAD * found[1][1]:
        return LanguageProfile(None, frozenset(others))
    return LanguageProfile(language, frozenset(others))


def _latin(words: list[str]) -> list[tuple[str, int]]:
    """(language, its common words in the text), most first."""
    counts: Counter[str] = Counter()
    for word in words:
        counts.update(_WORD_LANGUAGES.get(word, ()))
    return counts.most_common(2)


def _own_words(words: list[str]) -> Counter[str]:
    """Common words that only one language has."""
    counts: Counter[str] = Counter()
    for word in words:
        languages = _WORD_LANGUAGES.get(word, ())
        if len(languages) == 1:
            counts.update(languages)
    return counts
