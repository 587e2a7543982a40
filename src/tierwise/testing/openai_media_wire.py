"""OpenAI's images, audio, videos and decisions on the wire.

Shapes follow the types of openai 3.54.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any, Final

from tierwise.testing.exchange import Exchange, Wire, json_text, json_wire, sse_data, sse_event
from tierwise.testing.openai_responses_wire import usage_block as responses_usage_block

_PIXEL: Final = base64.b64encode(b"\x89PNG\r\n\x1a\n").decode()
"""Where an image would be: nothing here is looked at."""
_SOUND: Final = b"ID3\x04\x00\x00\x00\x00\x00\x00"
_TEXT_FORMATS: Final = frozenset({"text", "srt", "vtt"})


# --- images -----------------------------------------------------------------------------------------------------------


def _image_usage(exchange: Exchange) -> dict[str, Any]:
    usage = exchange.usage
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {
            "image_tokens": usage.image_input,
            "text_tokens": usage.input_tokens - usage.image_input,
        },
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"image_tokens": usage.output_tokens, "text_tokens": 0},
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }


def _images_body(exchange: Exchange) -> dict[str, Any]:
    count = int(exchange.request.body.get("n") or 1)
    body: dict[str, Any] = {"created": exchange.created_s, "data": [{"b64_json": _PIXEL} for _ in range(count)]}
    if exchange.answer.report_usage:
        body["usage"] = _image_usage(exchange)
    return body


def _image_events(exchange: Exchange) -> Iterator[bytes]:
    kind = "image_edit" if exchange.request.path.partition("?")[0].endswith("/edits") else "image_generation"
    image = {
        "b64_json": _PIXEL,
        "created_at": exchange.created_s,
        "size": "1024x1024",
        "quality": "low",
        "background": "opaque",
        "output_format": "png",
    }
    yield sse_event({"type": f"{kind}.partial_image", "partial_image_index": 0, **image})
    usage = _image_usage(exchange)
    del usage["output_tokens_details"]
    yield sse_event({"type": f"{kind}.completed", **image, "usage": usage})


# --- audio ------------------------------------------------------------------------------------------------------------


def _speech_content(exchange: Exchange) -> tuple[str, bytes]:
    if exchange.request.body.get("stream_format") != "sse":
        return "audio/mpeg", _SOUND
    usage = exchange.usage
    counts = {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }
    events = (
        {"type": "speech.audio.delta", "audio": base64.b64encode(_SOUND).decode()},
        {"type": "speech.audio.done", "usage": counts},
    )
    return "text/event-stream", b"".join(map(sse_data, events))


def _transcription_usage(exchange: Exchange) -> dict[str, Any]:
    usage = exchange.usage
    if usage.audio_seconds:
        return {"type": "duration", "seconds": usage.audio_seconds}
    return {
        "type": "tokens",
        "input_tokens": usage.input_tokens,
        "input_token_details": {
            "audio_tokens": usage.audio_input,
            "text_tokens": usage.input_tokens - usage.audio_input,
        },
        "output_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }


def _transcription_content(exchange: Exchange) -> tuple[str, bytes]:
    asked = exchange.request.body.get("response_format")
    if asked in _TEXT_FORMATS:
        return "text/plain; charset=utf-8", exchange.answer.text.encode()
    body: dict[str, Any] = {"text": exchange.answer.text}
    if asked == "verbose_json":
        body |= {"language": "english", "duration": exchange.usage.audio_seconds, "segments": []}
    # Translations are not said to use anything.
    if exchange.answer.report_usage and exchange.request.protocol == "transcriptions":
        body["usage"] = _transcription_usage(exchange)
    return "application/json", json_text(body).encode()


def _transcription_events(exchange: Exchange) -> Iterator[bytes]:
    for piece in exchange.deltas(exchange.answer.text):
        yield sse_event({"type": "transcript.text.delta", "delta": piece})
    done = {"type": "transcript.text.done", "text": exchange.answer.text, "usage": _transcription_usage(exchange)}
    yield sse_event(done)


# --- videos and decisions ---------------------------------------------------------------------------------------------


def _video_body(exchange: Exchange) -> dict[str, Any]:
    body = exchange.request.body
    return {
        "id": exchange.id("video_"),
        "object": "video",
        "created_at": exchange.created_s,
        "model": exchange.model or "sora-2",
        "status": "queued",
        "progress": 0,
        "seconds": str(body.get("seconds") or "4"),
        "size": str(body.get("size") or "720x1280"),
    }


def _decision_body(exchange: Exchange) -> dict[str, Any]:
    questions = exchange.request.body.get("questions") or ()
    return {
        "answers": [{"type": "predicate", "name": question.get("name"), "probability": 0.5} for question in questions],
        "model": exchange.model,
        "usage": responses_usage_block(exchange.usage),
    }


IMAGES: Final = json_wire(body=_images_body, events=_image_events)
IMAGE_VARIATIONS: Final = json_wire(body=_images_body, events=None)
SPEECH: Final = Wire(content=_speech_content, events=None)
TRANSCRIPTIONS: Final = Wire(content=_transcription_content, events=_transcription_events)
TRANSLATIONS: Final = Wire(content=_transcription_content, events=None)
VIDEOS: Final = json_wire(body=_video_body, events=None)
DECISIONS: Final = json_wire(body=_decision_body, events=None)
