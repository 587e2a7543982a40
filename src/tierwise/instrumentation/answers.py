"""What the SDK answered with, whichever way it was asked: watched on its way to the user, or read when it is whole."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any, Literal

from tierwise.instrumentation.bodies import (
    DocumentReader,
    EventReader,
    read_along,
    read_document,
    read_events,
    watch_body,
)
from tierwise.instrumentation.observation import Observation
from tierwise.instrumentation.sdk import Reply, as_object
from tierwise.instrumentation.streams import StreamWatch, watch_stream


@lru_cache(maxsize=256)
def answer_kind(kind: type) -> Literal["parsed", "wrapper", "response"]:
    """What the SDK answered with: an object or a stream of its own, a wrapper of the HTTP response, or that itself."""
    if hasattr(kind, "http_request"):
        return "wrapper"
    return "response" if hasattr(kind, "iter_bytes") else "parsed"


def watch(observation: Observation, answer: Any, *, hides_usage: bool, is_async: bool) -> None:
    """Have an answer read, or watched on its way."""
    surface, outgoing = observation.surface, observation.outgoing
    kind = answer_kind(type(answer))
    response = None
    if kind != "parsed":
        # Bare bytes, such as speech, come in a wrapper of their own.
        response = answer.http_response if kind == "wrapper" else getattr(answer, "response", answer)
    if outgoing.request.stream and surface.accumulator is not None:
        stream_watch = StreamWatch(observation, surface.accumulator(observation.keeps_text), hides_usage=hides_usage)
        if response is None:
            watch_stream(answer, stream_watch, is_async=is_async)
            read_along(answer.response, EventReader(stream_watch), is_async=is_async)
        else:
            watch_body(response, EventReader(stream_watch), is_async=is_async)
    elif response is None:
        observation.finish(_read_parsed(observation, answer))
    elif response.is_closed:
        observation.finish(read_document(observation, response.content))
    else:
        watch_body(response, DocumentReader(observation), is_async=is_async)


def body_to_come(observation: Observation, answer: Any) -> Any:
    """The HTTP response whose body is still to be read; None for an answer that has arrived whole.

    Once it is read, whoever reads it again gets the same bytes: the SDK's stream over it, or the user.
    """
    kind = answer_kind(type(answer))
    if kind == "wrapper":
        response = answer.http_response
    elif kind == "response":
        response = getattr(answer, "response", answer)
    elif observation.outgoing.request.stream:
        response = answer.response
    else:
        return None
    return None if response.is_closed else response


def whole_reply(observation: Observation, answer: Any) -> Reply:
    """What an answer says that has arrived whole."""
    kind = answer_kind(type(answer))
    is_stream = observation.outgoing.request.stream and observation.surface.accumulator is not None
    if kind == "parsed" and not is_stream:
        return _read_parsed(observation, answer)
    response = answer.http_response if kind == "wrapper" else getattr(answer, "response", answer)
    read = read_events if is_stream else read_document
    return read(observation, response.content)


def _read_parsed(observation: Observation, answer: Any) -> Reply:
    document = as_object(json.dumps(answer)) if isinstance(answer, dict) else answer
    return observation.surface.read(document, observation.keeps_text)
