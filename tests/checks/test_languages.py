from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierwise.checks.languages import profile

TEXTS = {
    "en": "The contract was signed by both of the parties in the spring, and it is valid for three years.",
    "de": "Der Vertrag wurde im Frühjahr von beiden Seiten unterschrieben und ist ab diesem Tag für drei Jahre gültig.",
    "fr": "Le contrat a été signé par les deux parties au printemps, et il est valable pour trois ans dans ce pays.",
    "es": "El contrato fue firmado por las dos partes en la primavera y es válido para tres años en el país.",
    "it": "Il contratto è stato firmato dalle due parti in primavera ed è valido per tre anni dalla data della firma.",
    "pt": "O contrato foi assinado pelas duas partes na primavera e é válido por três anos, mas não está em vigor.",
    "nl": "Het contract is in het voorjaar door beide partijen getekend en het is vanaf die dag voor drie jaar geldig.",
    "ja": "この契約は春に両当事者によって署名され、その日から三年間有効です。詳しくは担当者にお問い合わせください。",
    "zh": "该合同由双方于春季签署，自签署之日起三年内有效。如有任何问题，请联系负责的工作人员。",
    "ko": "이 계약은 봄에 양 당사자가 서명하였으며 그날부터 삼 년 동안 유효합니다.",
    "cyrillic": "Договор был подписан обеими сторонами весной и действует в течение трёх лет с этого дня.",
}


@pytest.mark.parametrize(("language", "text"), TEXTS.items(), ids=TEXTS)
def test_a_language_is_recognised(language: str, text: str) -> None:
    """Two lines of plain prose are enough to tell the language."""
    assert profile(text).language == language
    assert profile(text * 500).language == language


@pytest.mark.parametrize(
    "text", ["", "OK", "42 1999 3.5", "for i in range(10): total += i", "Berlin Paris Madrid Rome" * 4]
)
def test_what_says_too_little_has_none(text: str) -> None:
    """Short texts, numbers, code and names are in no language."""
    assert profile(text).language is None


def test_chinese_characters_among_kana_are_japanese() -> None:
    """Japanese shares the characters of Chinese, and may hold more of them than of its own."""
    assert (
        profile("東京都渋谷区の株式会社山田商事は契約書を送付した。代表取締役社長の署名が必要である。").language == "ja"
    )


def test_between_two_languages_there_is_none() -> None:
    """Half and half, a text is in no language rather than in the one that happens to lead."""
    assert profile(f"{TEXTS['es']} {TEXTS['pt']}").language is None


def test_a_second_language_is_seen() -> None:
    """A text half in another language names both."""
    found = profile(f"{TEXTS['en']} {TEXTS['de']}")

    assert {found.language, *found.others} >= {"de"} or found.language is None


def test_latin_beside_another_script_is_seen() -> None:
    """English beside Chinese is another language in the text, and not none."""
    found = profile(f"{TEXTS['zh']} {TEXTS['en']}")

    assert {found.language, *found.others} >= {"en", "zh"}


@given(st.text())
def test_any_text_has_a_profile(text: str) -> None:
    """No text, lone surrogates included, makes it fail."""
    found = profile(text)

    assert found.language is None or found.language not in found.others
