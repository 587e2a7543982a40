"""Images, audio, videos and decisions, as the openai SDK reads them."""

from __future__ import annotations

import io
from typing import Any

import pytest
from openai import OpenAI

from tierwise.testing import Answer, LoopbackProvider, ProviderUsage

USAGE = ProviderUsage(input_tokens=100, output_tokens=40, image_input=90, audio_input=80)


@pytest.fixture(autouse=True)
def answers(provider: LoopbackProvider) -> None:
    provider.answer(lambda _: Answer("Paris", usage=USAGE))


def test_images(openai: OpenAI) -> None:
    """As many images as were asked for, with their tokens by kind; streamed, a partial one and the whole."""
    images = openai.images.generate(model="gpt-image-1", prompt="Paris", n=2)
    events = list(openai.images.edit(model="gpt-image-1", prompt="Paris", image=io.BytesIO(b"PNG"), stream=True))

    assert images.data is not None
    assert images.usage is not None
    assert len(images.data) == 2
    assert images.usage.input_tokens_details.image_tokens == 90
    assert [event.type for event in events] == ["image_edit.partial_image", "image_edit.completed"]


def test_speech(openai: OpenAI) -> None:
    """Bare audio, or events of it."""
    assert openai.audio.speech.create(model="tts-1", voice="alloy", input="a").content.startswith(b"ID3")
    events = openai.audio.speech.create(model="tts-1", voice="alloy", input="a", stream_format="sse").text
    assert '"speech.audio.done"' in events


def test_transcriptions(provider: LoopbackProvider, openai: OpenAI) -> None:
    """JSON with tokens or seconds, bare text, or events."""
    sound: Any = ("a.mp3", b"ID3")
    transcribe = openai.audio.transcriptions.create

    by_tokens = transcribe(model="gpt-4o-transcribe", file=sound)
    bare = transcribe(model="whisper-1", file=sound, response_format="text")
    events = list(transcribe(model="gpt-4o-transcribe", file=sound, stream=True))
    provider.answer(lambda _: Answer("Paris", usage=ProviderUsage(0, 0, audio_seconds=7)))
    by_seconds = transcribe(model="whisper-1", file=sound)

    assert by_tokens.usage is not None
    assert by_tokens.usage.type == "tokens"
    assert bare == "Paris"
    assert events[-1].type == "transcript.text.done"
    assert by_seconds.usage is not None
    assert by_seconds.usage.type == "duration"
    assert by_seconds.usage.seconds == 7


@pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")
def test_translations(openai: OpenAI) -> None:
    """A translation says nothing of what it used."""
    translations: Any = openai.audio.translations
    translation = translations.create(model="whisper-1", file=("a.mp3", b"ID3"))

    assert translation.text == "Paris"
    assert not hasattr(translation, "usage")


@pytest.mark.filterwarnings("ignore:The Sora API:DeprecationWarning")
def test_videos(openai: OpenAI) -> None:
    """A video is queued with the length that was asked for."""
    videos: Any = openai.videos
    video = videos.create(model="sora-2", prompt="Paris", seconds="8")

    assert (video.status, video.seconds, video.model) == ("queued", "8", "sora-2")


def test_decisions(openai: OpenAI) -> None:
    """Every question has its answer."""
    questions: Any = [{"type": "predicate", "question": "b", "name": "q"}]

    decision = openai.decisions.create(model="gpt-6-luna", input="a", questions=questions)

    assert [answer.name for answer in decision.answers] == ["q"]
    assert decision.usage.input_tokens == 100


def test_moderations_are_free(provider: LoopbackProvider, openai: OpenAI) -> None:
    """They do not use the script."""
    provider.script(["first"])

    assert openai.moderations.create(input="a").results == []
    assert openai.responses.create(model="gpt-4o", input="a").output_text == "first"


def test_parts_are_no_more_than_the_whole() -> None:
    """More audio or image tokens than tokens cannot be said."""
    with pytest.raises(ValueError, match="parts of input_tokens"):
        ProviderUsage(input_tokens=1, output_tokens=1, audio_input=2)
