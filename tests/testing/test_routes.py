from __future__ import annotations

import json

import pytest

from tierwise.testing.http_server import HttpRequest
from tierwise.testing.routes import later_id, provider_request


def asked(path: str, body: bytes = b"", headers: dict[str, str] | None = None) -> tuple[str, str]:
    request = provider_request(HttpRequest("POST", path, headers or {}, body), 0)
    return request.protocol, request.model


@pytest.mark.parametrize(
    ("path", "protocol", "model"),
    [
        ("/v1/chat/completions", "chat_completions", ""),
        ("/gateway/v1/completions", "completions", ""),
        ("/v1/responses?beta=true", "responses", ""),
        ("/v1/responses/compact", "compactions", ""),
        ("/v1/responses/resp_1", "background", ""),
        ("/v1/images/edits", "images", ""),
        ("/v1/images/variations", "image_variations", ""),
        ("/v1/audio/speech", "speech", ""),
        ("/v1/videos/video_1/remix", "videos", ""),
        ("/v1/batches/batch_1", "batches", ""),
        ("/v1/files/file-1/content", "files", ""),
        ("/v1/messages/batches/msgbatch_1/results", "message_batches", ""),
        ("/v1/messages/count_tokens", "count_tokens", ""),
        ("/openai/deployments/my-gpt/chat/completions?api-version=1", "chat_completions", "my-gpt"),
        ("/model/anthropic.claude-haiku-4-5-v1%3A0/invoke", "messages", "anthropic.claude-haiku-4-5-v1:0"),
        ("/projects/p/locations/l/publishers/anthropic/models/claude-x:rawPredict", "messages", "claude-x"),
        ("/projects/p/locations/l/publishers/anthropic/models/claude-x:streamRawPredict", "messages", "claude-x"),
        ("/v1/nothing", "unknown", ""),
    ],
)
def test_paths(path: str, protocol: str, model: str) -> None:
    """A path tells the protocol and, with some providers, the model."""
    assert asked(path) == (protocol, model)


def test_bodies() -> None:
    """The model comes from JSON or from a form; what is neither has none."""
    form = b'--x\r\nContent-Disposition: form-data; name="model"\r\n\r\nwhisper-1\r\n--x--\r\n'
    headers = {"content-type": "multipart/form-data; boundary=x"}

    assert asked("/v1/responses", json.dumps({"model": "gpt-4o"}).encode()) == ("responses", "gpt-4o")
    assert asked("/v1/audio/transcriptions", form, headers) == ("transcriptions", "whisper-1")
    assert asked("/v1/responses", b"[1]") == ("responses", "")
    assert asked("/v1/responses", b"{broken") == ("responses", "")


def test_work_that_is_asked_for() -> None:
    """A path names the work it asks for, or orders some."""
    assert later_id("/v1/batches/batch_1") == "batch_1"
    assert later_id("/v1/messages/batches/msgbatch_1/results") == "msgbatch_1"
    assert later_id("/v1/batches") == ""
