"""The openai SDK's images, audio and videos: billed by tokens of several kinds, by characters, or by the second."""

from __future__ import annotations

from collections.abc import Mapping
from re import compile as regex
from typing import Any

from tierwise import semconv as sc
from tierwise.call import AttributeValue, Usage
from tierwise.instrumentation.sdk import (
    Accumulator,
    Parameters,
    Reply,
    Surface,
    as_object,
    count,
    number,
    text,
    units,
)

_OPERATION = "generate_content"

_IMAGE: Mapping[str, AttributeValue] = {sc.OUTPUT_TYPE: "image"}
_SPEECH: Mapping[str, AttributeValue] = {sc.OUTPUT_TYPE: "speech"}
_TEXT: Mapping[str, AttributeValue] = {sc.OUTPUT_TYPE: "text"}
_VIDEO: Mapping[str, AttributeValue] = {sc.OUTPUT_TYPE: "video"}


def _several(value: Any) -> int | None:
    images = count(value)
    return None if images == 1 else images


_IMAGE_PARAMETERS: Parameters = {"n": ((sc.REQUEST_CHOICE_COUNT, _several),)}
_AUDIO_PARAMETERS: Parameters = {"temperature": ((sc.REQUEST_TEMPERATURE, number),)}


# --- images -----------------------------------------------------------------------------------------------------------


def _image_usage(answer: Any) -> Usage | None:
    block = getattr(answer, "usage", None)
    input_tokens, output_tokens = (
        count(getattr(block, "input_tokens", None)),
        count(getattr(block, "output_tokens", None)),
    )
    if input_tokens is None and output_tokens is None:
        return None
    read, written = getattr(block, "input_tokens_details", None), getattr(block, "output_tokens_details", None)
    svg = getattr(answer, "svg_usage", None)
    return Usage(
        input_tokens,
        output_tokens,
        units=units(
            input_text_tokens=getattr(read, "text_tokens", None),
            input_image_tokens=getattr(read, "image_tokens", None),
            output_text_tokens=getattr(written, "text_tokens", None),
            # Until the details were introduced, an image was all that came out.
            output_image_tokens=output_tokens if written is None else getattr(written, "image_tokens", None),
            # Written by a model of its own, at its own price.
            svg_tokens=getattr(svg, "total_tokens", None),
        ),
    )


def _read_images(answer: Any, _: bool) -> Reply:
    images = getattr(answer, "data", None) or ()
    # Models before GPT Image are billed by the image and report nothing.
    usage = _image_usage(answer) or Usage(units=units(output_images=len(images)))
    return Reply(usage=usage, extra=dict(_IMAGE))


class ImageAccumulator:
    """A streamed image: partial images, and one closing event for each image with its usage."""

    __slots__ = ("_is_complete", "_usages")

    def __init__(self, _: bool) -> None:
        self._usages: list[Usage] = []
        self._is_complete = False

    def add(self, chunk: Any) -> None:
        if str(getattr(chunk, "type", "")).endswith(".completed"):
            self._is_complete = True
            if (usage := _image_usage(chunk)) is not None:
                self._usages.append(usage)

    def reply(self) -> Reply:
        usage = _sum(self._usages) if self._usages else Usage()
        return Reply(usage=usage, complete=self._is_complete, extra=dict(_IMAGE))


def _sum(usages: list[Usage]) -> Usage:
    amounts: dict[str, int] = {}
    for usage in usages:
        for unit, amount in usage.units:
            amounts[unit] = amounts.get(unit, 0) + int(amount)
    return Usage(
        sum(usage.input_tokens or 0 for usage in usages),
        sum(usage.output_tokens or 0 for usage in usages),
        units=units(**amounts),
    )


# --- audio ------------------------------------------------------------------------------------------------------------


def _speech(body: Mapping[str, Any]) -> Usage | None:
    """Speech comes as bare audio: what is known of it is what was to be said."""
    return Usage(units=units(input_characters=len(text(body.get("input")) or "")))


def _decode_speech(body: bytes) -> Any:
    """The closing event of speech that came as events; None for bare audio."""
    if not body.startswith((b"data:", b"event:")):
        return None
    done = [line for line in body.splitlines() if line.startswith(b"data:") and b'"speech.audio.done"' in line]
    return as_object(done[-1].removeprefix(b"data:")) if done else None


def _read_speech(answer: Any, _: bool) -> Reply:
    block = getattr(answer, "usage", None)
    input_tokens = count(getattr(block, "input_tokens", None))
    usage = None if input_tokens is None else Usage(input_tokens, count(getattr(block, "output_tokens", None)))
    return Reply(usage=usage, extra=dict(_SPEECH))


def _transcription_usage(answer: Any) -> Usage:
    block = getattr(answer, "usage", None)
    input_tokens = count(getattr(block, "input_tokens", None))
    if input_tokens is not None:
        details = getattr(block, "input_token_details", None)
        return Usage(
            input_tokens,
            count(getattr(block, "output_tokens", None)),
            units=units(
                input_audio_tokens=getattr(details, "audio_tokens", None),
                input_text_tokens=getattr(details, "text_tokens", None),
            ),
        )
    seconds = number(getattr(block, "seconds", None))
    if seconds is not None:
        return Usage(units=units(audio_seconds=seconds, input_audio_seconds=seconds))
    # The length of the recording, where the answer tells it: near what is billed, which is rounded.
    seconds = number(getattr(answer, "duration", None))
    return Usage(units=units(audio_seconds=seconds, input_audio_seconds=seconds), estimated=seconds is not None)


def _read_transcription(answer: Any, with_text: bool) -> Reply:
    reply = Reply(usage=_transcription_usage(answer), extra=dict(_TEXT))
    if with_text:
        reply.text = answer if isinstance(answer, str) else text(getattr(answer, "text", None)) or ""
    return reply


def _decode_transcription(body: bytes) -> Any:
    """A transcription as an object, or as the plain text, subtitles included, that was asked for."""
    return as_object(body) if body.lstrip().startswith(b"{") else body.decode(errors="replace")


class TranscriptionAccumulator:
    """A streamed transcription: its closing event carries its text and usage."""

    __slots__ = ("_done", "_with_text")

    def __init__(self, with_text: bool) -> None:
        self._with_text = with_text
        self._done: Any = None

    def add(self, chunk: Any) -> None:
        if getattr(chunk, "type", None) == "transcript.text.done":
            self._done = chunk

    def reply(self) -> Reply:
        reply = _read_transcription(self._done, self._with_text)
        reply.complete = self._done is not None
        return reply


# --- videos -----------------------------------------------------------------------------------------------------------


def _length(seconds: Any) -> Usage:
    """A video is billed by its length, which the API writes as a text."""
    known = float(seconds) if isinstance(seconds, str) and seconds.isdecimal() else number(seconds)
    return Usage(units=units(output_video_seconds=known))


def _read_video(video: Any, _: bool) -> Reply:
    reply = _read_extension(video, False)
    reply.usage = _length(getattr(video, "seconds", None))
    return reply


def _read_extension(video: Any, _: bool) -> Reply:
    """A video made longer: the answer tells the length of the whole, the request that of what is new."""
    return Reply(
        id=text(getattr(video, "id", None)),
        model=text(getattr(video, "model", None)),
        error_type="failed" if getattr(video, "status", None) == "failed" else None,
        extra=dict(_VIDEO),
    )


def _images(accumulator: type[Accumulator] | None) -> Surface:
    return Surface(_OPERATION, "images", _IMAGE_PARAMETERS, _read_images, accumulator, routable=False)


_VIDEOS = Surface(_OPERATION, "videos", {}, _read_video, routable=False)

# Other models of these kinds take other parameters, and their results are judged by eye and ear.
MEDIA: Mapping[str, Surface] = {
    "/images/generations": _images(ImageAccumulator),
    "/images/edits": _images(ImageAccumulator),
    "/images/variations": _images(None),
    "/audio/speech": Surface(
        _OPERATION, "speech", {}, _read_speech, routable=False, ordered=_speech, decode=_decode_speech
    ),
    "/audio/transcriptions": Surface(
        _OPERATION,
        "transcriptions",
        _AUDIO_PARAMETERS,
        _read_transcription,
        TranscriptionAccumulator,
        routable=False,
        decode=_decode_transcription,
    ),
    "/audio/translations": Surface(
        _OPERATION,
        "translations",
        _AUDIO_PARAMETERS,
        _read_transcription,
        routable=False,
        decode=_decode_transcription,
    ),
    "/videos": _VIDEOS,
    "/videos/edits": _VIDEOS,
    "/videos/extensions": Surface(
        _OPERATION, "videos", {}, _read_extension, routable=False, ordered=lambda body: _length(body.get("seconds"))
    ),
}
MEDIA_PATTERNS = ((regex(r"/videos/[^/]+/remix"), _VIDEOS),)
