"""How a refusal begins, in eight languages."""

from __future__ import annotations

import re
from typing import NamedTuple

START_CHARS = 240
"""A refusal says so at once."""


class _Phrases(NamedTuple):
    """A refusal is an inability and an act, near each other; excuses may come before.

    An answer that tells what is not in a text ("I cannot find a date") is none: the acts are those of helping and
    answering.
    """

    excuses: str
    inabilities: str
    acts: str
    plain: str
    """What is a refusal by itself."""


_PHRASES = {
    "en": _Phrases(
        "i'm sorry|i am sorry|i'm very sorry|i'm really sorry|sorry|i apologize|i apologise|my apologies|unfortunately|"
        "thank you for your question|as an ai language model|as an ai assistant|as an ai|as a language model",
        "i can't|i cannot|i can not|i won't|i will not|i am unable to|i'm unable to|i am not able to|i'm not able to|"
        "i am not allowed to|i'm not allowed to|i'm not comfortable|i am not comfortable|i don't feel comfortable|"
        "we can't|we cannot|we are unable to|i do not feel comfortable|i must decline to|i have to decline to",
        "help|helping|assist|assisting|answer|answering|comply|provide|providing|fulfil|fulfill|complete|do that|"
        "do this|respond|discuss|discussing|engage|engaging|generate|generating|create|creating|write|writing|share|"
        "offer|continue|produce|process|participate|support|give advice|give you",
        "i must decline|i must respectfully decline|i have to decline|i respectfully decline|i refuse to",
    ),
    "de": _Phrases(
        "es tut mir leid|es tut mir sehr leid|tut mir leid|leider|entschuldigung|als ki-sprachmodell|als ki",
        "ich kann|ich darf|ich werde|kann ich|darf ich|werde ich|ich bin nicht in der lage|es ist mir nicht möglich",
        "nicht helfen|nicht weiterhelfen|nicht antworten|nicht beantworten|nicht unterstützen|nicht nachkommen|"
        "nicht bereitstellen|nicht erfüllen|nicht geben|nicht anbieten|nicht behilflich|keine auskunft|keine hilfe|"
        "keine informationen|keine anleitung|zu helfen|zu beantworten|zu unterstützen",
        "ich muss ablehnen|das muss ich ablehnen|ich lehne es ab|ich muss diese anfrage ablehnen",
    ),
    "fr": _Phrases(
        "je suis désolé|je suis désolée|je suis vraiment désolé|désolé|désolée|malheureusement|je regrette|"
        "en tant qu'ia|en tant que modèle de langage",
        "je ne peux pas|je ne peux|je ne puis|je ne suis pas en mesure|je ne suis pas capable|il m'est impossible|"
        "je ne suis pas autorisé",
        "aider|assister|répondre|fournir|satisfaire|accéder|donner|accompagner|traiter|générer|rédiger|proposer",
        "je dois décliner|je dois refuser|je refuse de",
    ),
    "es": _Phrases(
        "lo siento|lo siento mucho|lo lamento|disculpa|disculpe|perdón|lamentablemente|como ia|"
        "como modelo de lenguaje|como inteligencia artificial",
        "no puedo|no podemos|no me es posible|no estoy en condiciones de|no tengo permitido|no estoy autorizado",
        "ayudar|asistir|responder|proporcionar|cumplir|ofrecer|brindar|contestar|dar|generar|escribir|crear|atender",
        "debo rechazar|tengo que rechazar|me niego a",
    ),
    "it": _Phrases(
        "mi dispiace|mi spiace|purtroppo|spiacente|sono spiacente|come ia|come modello linguistico",
        "non posso|non sono in grado di|non mi è possibile|non sono autorizzato|non possiamo",
        "aiutar|assister|risponder|fornir|soddisfar|procedere|dare|offrir|generar|scriver|creare",
        "devo rifiutare|devo declinare|mi rifiuto di",
    ),
    "pt": _Phrases(
        "sinto muito|lamento|desculpe|desculpa|peço desculpa|infelizmente|como ia|como um modelo de linguagem",
        "não posso|não consigo|não estou autorizad|não me é possível|não podemos|não sou capaz de",
        "ajud|auxili|responder|fornecer|atender|oferecer|assist|dar|gerar|escrever|criar|prestar",
        "devo recusar|tenho que recusar|recuso-me a",
    ),
    "ja": _Phrases(
        "申し訳ございませんが|申し訳ありませんが|申し訳ございません|申し訳ありません|すみませんが|すみません|恐れ入りますが|残念ながら",
        "その|この|ご|お|それ|これ|あなた|私",
        "お手伝いできません|お答えできません|お応えできません|お答えすることはできません|お手伝いすることはできません|"
        "対応できません|対応いたしかねます|お答えできかねます|応じることはできません|提供できません|"
        "提供することはできません|回答できません|回答することはできません|お断り",
        "お答えできません|お手伝いできません|回答できません|対応できません|お答えできかねます|対応いたしかねます",
    ),
    "zh": _Phrases(
        "很抱歉|非常抱歉|抱歉|对不起|對不起|很遗憾|作为一个人工智能|作为人工智能|作为一个ai|作为ai",
        "我无法|我不能|我無法|我没办法|我不可以|无法|不能|無法",
        "帮助|协助|回答|提供|满足|完成|处理|處理|協助|幫助|回應|回应|参与|生成|继续",
        "我必须拒绝|我拒绝",
    ),
}


def _pattern(phrases: _Phrases) -> str:
    # At most two excuses, then an inability and, not far from it, an act; or what is a refusal by itself. All gaps are
    # bounded, so that the time taken does not depend on the text.
    refused = f"(?:{phrases.inabilities})[^.!?。！]{{0,60}}?(?:{phrases.acts})|{phrases.plain}"
    return f"(?:(?:{phrases.excuses}).{{0,40}}?){{0,2}}(?:{refused})"


_REFUSAL = re.compile("|".join(map(_pattern, _PHRASES.values())))


def begins_as_refusal(text: str) -> bool:
    """Whether the beginning of a text is that of a refusal in English, German, French, Spanish, Italian, Portuguese,
    Japanese or Chinese."""
    start = " ".join(text[:START_CHARS].replace("’", "'").casefold().split())
    return _REFUSAL.match(start) is not None
