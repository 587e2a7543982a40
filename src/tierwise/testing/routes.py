"""Which protocol a path speaks, and a request as the provider understood it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import unquote

from tierwise.testing.answers import ProviderRequest
from tierwise.testing.anthropic_wire import MESSAGES
from tierwise.testing.exchange import Wire
from tierwise.testing.http_server import HttpRequest
from tierwise.testing.multipart import read_form
from tierwise.testing.openai_media_wire import (
    DECISIONS,
    IMAGE_VARIATIONS,
    IMAGES,
    SPEECH,
    TRANSCRIPTIONS,
    TRANSLATIONS,
    VIDEOS,
)
from tierwise.testing.openai_responses_wire import COMPACTIONS, RESPONSES
from tierwise.testing.openai_wire import CHAT_COMPLETIONS, COMPLETIONS, EMBEDDINGS

WIRES: Final[Mapping[str, Wire]] = {
    "chat_completions": CHAT_COMPLETIONS,
    "completions": COMPLETIONS,
    "embeddings": EMBEDDINGS,
    "messages": MESSAGES,
    "responses": RESPONSES,
    "compactions": COMPACTIONS,
    "images": IMAGES,
    "image_variations": IMAGE_VARIATIONS,
    "speech": SPEECH,
    "transcriptions": TRANSCRIPTIONS,
    "translations": TRANSLATIONS,
    "videos": VIDEOS,
    "decisions": DECISIONS,
}
BATCHED: Final[Mapping[str, tuple[str, Wire]]] = {
    "/v1/chat/completions": ("chat_completions", CHAT_COMPLETIONS),
    "/v1/responses": ("responses", RESPONSES),
    "/v1/completions": ("completions", COMPLETIONS),
    "/v1/embeddings": ("embeddings", EMBEDDINGS),
}
"""Endpoint of a batch → (protocol, wire)."""
_PATHS: Final = (
    # Matched at the end of the path, so a gateway's prefix does not matter. Longer names before their own endings.
    (re.compile(r"/chat/completions$"), "chat_completions"),
    (re.compile(r"/completions$"), "completions"),
    (re.compile(r"/responses$"), "responses"),
    (re.compile(r"/responses/compact$"), "compactions"),
    (re.compile(r"/responses/(?P<id>[^/]+)$"), "background"),
    (re.compile(r"/images/(generations|edits)$"), "images"),
    (re.compile(r"/images/variations$"), "image_variations"),
    (re.compile(r"/audio/speech$"), "speech"),
    (re.compile(r"/audio/transcriptions$"), "transcriptions"),
    (re.compile(r"/audio/translations$"), "translations"),
    (re.compile(r"/videos(/edits|/extensions|/[^/]+/remix)?$"), "videos"),
    (re.compile(r"/decisions$"), "decisions"),
    (re.compile(r"/moderations$"), "moderations"),
    (re.compile(r"/messages/batches(/(?P<id>[^/]+)(/results)?)?$"), "message_batches"),
    (re.compile(r"/batches(/(?P<id>[^/]+))?$"), "batches"),
    (re.compile(r"/files(/(?P<id>[^/]+)/content)?$"), "files"),
    (re.compile(r"/embeddings$"), "embeddings"),
    (re.compile(r"/messages/count_tokens$"), "count_tokens"),
    (re.compile(r"/messages$"), "messages"),
    (re.compile(r"/model/[^/]+/invoke$"), "messages"),
    (re.compile(r"/models/count-tokens:rawPredict$"), "count_tokens"),
    (re.compile(r"/models/[^/]+:(rawPredict|streamRawPredict)$"), "messages"),
    (re.compile(r"/models(/[^/]+)?$"), "models"),
)
LATER: Final = frozenset({"background", "batches", "files", "message_batches"})
_MODEL_IN_PATH: Final = re.compile(r"/(?:openai/deployments|model|publishers/anthropic/models)/([^/:]+(?::\d+)?)[/:]")
"""As Azure's deployments, Bedrock (whose model ids end in `:0`) and Vertex name it."""


def provider_request(http: HttpRequest, received_at: int) -> ProviderRequest:
    """What was asked; `received_at` is in nanoseconds since the epoch, UTC."""
    path = http.target.partition("?")[0]
    body = _request_body(http)
    named = _MODEL_IN_PATH.search(unquote(path))
    return ProviderRequest(
        method=http.method,
        path=http.target,
        headers=http.headers,
        body=body,
        model=str(body.get("model") or (named[1] if named else "")),
        protocol=next((protocol for pattern, protocol in _PATHS if pattern.search(path)), "unknown"),
        stream=body.get("stream") in (True, "true"),
        received_at=received_at,
    )


def _request_body(http: HttpRequest) -> Mapping[str, Any]:
    form = read_form(http.headers.get("content-type", ""), http.body)
    if form is not None:
        return form.fields
    try:
        body = json.loads(http.body) if http.body else {}
    except ValueError:
        body = {}
    return body if isinstance(body, dict) else {}


def later_id(path: str) -> str:
    """What a path of work done later names; empty where it orders some."""
    found = next((match for pattern, _ in _PATHS if (match := pattern.search(path)) is not None), None)
    return "" if found is None else found.groupdict().get("id") or ""
