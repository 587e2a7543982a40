from __future__ import annotations

import json
from typing import Any

import pytest

from tierwise import semconv as sc
from tierwise.call import Usage
from tierwise.instrumentation.openai_media import MEDIA, MEDIA_PATTERNS
from tierwise.instrumentation.sdk import as_object

GENERATED = MEDIA["/images/generations"]
SPEECH = MEDIA["/audio/speech"]
TRANSCRIBED = MEDIA["/audio/transcriptions"]
VIDEO = MEDIA["/videos"]
EXTENDED = MEDIA["/videos/extensions"]


def read(surface: Any, body: dict[str, Any]) -> Any:
    return surface.read(as_object(json.dumps(body)), True)


@pytest.mark.parametrize("path", MEDIA)
def test_no_other_model_is_asked(path: str) -> None:
    """Pictures and sounds are not swapped for another model's."""
    assert not MEDIA[path].routable


def test_images() -> None:
    """Text and image tokens are told apart; what a second model used for an SVG is kept apart from both."""
    usage = {
        "input_tokens": 110,
        "input_tokens_details": {"text_tokens": 10, "image_tokens": 100},
        "output_tokens": 60,
        "output_tokens_details": {"text_tokens": 20, "image_tokens": 40},
    }

    reply = read(GENERATED, {"data": [{}], "usage": usage, "svg_usage": {"total_tokens": 7}})

    assert reply.usage == Usage(
        110,
        60,
        units=(
            ("input_image_tokens", 100),
            ("input_text_tokens", 10),
            ("output_image_tokens", 40),
            ("output_text_tokens", 20),
            ("svg_tokens", 7),
        ),
    )


def test_images_billed_by_the_image() -> None:
    """A model that reports no tokens is billed by the image."""
    assert read(GENERATED, {"data": [{}, {}]}).usage == Usage(units=(("output_images", 2),))


def test_streamed_images() -> None:
    """Each image has a closing event with its usage; partial images are no end."""
    assert GENERATED.accumulator is not None
    accumulator = GENERATED.accumulator(False)
    usage = {"input_tokens": 5, "output_tokens": 40, "input_tokens_details": {"text_tokens": 5, "image_tokens": 0}}
    accumulator.add(as_object('{"type": "image_generation.partial_image"}'))
    assert not accumulator.reply().complete
    for _ in range(2):
        accumulator.add(as_object(json.dumps({"type": "image_generation.completed", "usage": usage})))

    reply = accumulator.reply()

    assert reply.complete
    assert reply.usage == Usage(10, 80, units=(("input_text_tokens", 10), ("output_image_tokens", 80)))


@pytest.mark.parametrize("spoken", ["Bonjour!", None, ["odd"]])
def test_speech_is_what_was_to_be_said(spoken: Any) -> None:
    """Bare audio reports nothing; characters are counted in the request."""
    expected = (("input_characters", 8),) if isinstance(spoken, str) else ()

    assert SPEECH.ordered({"input": spoken}) == Usage(units=expected)
    assert SPEECH.read(SPEECH.decode(b"ID3\x00"), False).usage is None


def test_speech_as_events() -> None:
    """Speech that comes as events says its tokens in the last."""
    events = b'data: {"type": "speech.audio.delta"}\n\ndata: {"type": "speech.audio.done", "usage": %s}\n\n'
    usage = b'{"input_tokens": 3, "output_tokens": 9}'

    assert SPEECH.read(SPEECH.decode(events % usage), False).usage == Usage(3, 9)
    assert SPEECH.read(SPEECH.decode(b"data: {}\n"), False).usage is None


@pytest.mark.parametrize(
    ("body", "usage"),
    [
        (
            {"usage": {"input_tokens": 9, "output_tokens": 2, "input_token_details": {"audio_tokens": 8}}},
            Usage(9, 2, units=(("input_audio_tokens", 8),)),
        ),
        (
            {"usage": {"type": "duration", "seconds": 3}},
            Usage(units=(("audio_seconds", 3), ("input_audio_seconds", 3))),
        ),
        (
            {"duration": 2.5},
            Usage(units=(("audio_seconds", 2.5), ("input_audio_seconds", 2.5)), estimated=True),
        ),
        ({"text": "said"}, Usage()),
    ],
)
def test_transcriptions(body: dict[str, Any], usage: Usage) -> None:
    """By tokens, by seconds, or by the recording's length; nothing is made up for one that says nothing."""
    assert read(TRANSCRIBED, body).usage == usage


@pytest.mark.parametrize(("body", "said"), [(b'{"text": "Paris"}', "Paris"), (b"1\n00:00 Paris", "1\n00:00 Paris")])
def test_transcribed_text(body: bytes, said: str) -> None:
    """Text and subtitles are bare, the rest is JSON."""
    assert TRANSCRIBED.read(TRANSCRIBED.decode(body), True).text == said


def test_a_transcription_left_early() -> None:
    """Without its closing event a stream is not complete, and its usage not known."""
    assert TRANSCRIBED.accumulator is not None
    accumulator = TRANSCRIBED.accumulator(False)
    accumulator.add(as_object('{"type": "transcript.text.delta", "delta": "Par"}'))

    reply = accumulator.reply()

    assert (reply.complete, reply.usage) == (False, Usage())


def test_videos() -> None:
    """A video is billed by its seconds; of one made longer, by those that are new."""
    body = {"id": "video_1", "model": "sora-2", "seconds": "12", "status": "queued"}

    assert read(VIDEO, body).usage == Usage(units=(("output_video_seconds", 12.0),))
    assert read(VIDEO, body).extra == {sc.OUTPUT_TYPE: "video"}
    assert read(VIDEO, {**body, "status": "failed"}).error_type == "failed"
    assert read(EXTENDED, body).usage is None
    assert EXTENDED.ordered({"seconds": "4"}) == Usage(units=(("output_video_seconds", 4.0),))


def test_remixes_are_videos() -> None:
    """Their path names the video that they are made from."""
    ((pattern, surface),) = MEDIA_PATTERNS

    assert pattern.fullmatch("/videos/video_1/remix")
    assert not pattern.fullmatch("/videos/video_1/content")
    assert surface.api == "videos"
