"""Where a policy comes from: a file or a URL, read again only when it changed."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from http.client import HTTPException, HTTPMessage
from pathlib import Path
from typing import IO, Protocol

from tierwise.errors import PolicyError
from tierwise.routing.signature import HEADER, read_signature, require_signed, signature_path

TIMEOUT_S = 5.0
MAX_BYTES = 4 * 1024 * 1024


class SourceUnavailable(Exception):
    """The policy cannot be read now; asking again later may help."""


@dataclass(frozen=True, slots=True)
class PolicyText:
    """What a source holds."""

    text: str
    origin: str
    """For messages: the path or the URL."""


class PolicySource(Protocol):
    """A file or a URL."""

    def read_if_changed(self) -> PolicyText | None:
        """The text when it differs from the last one returned; None when it does not.

        Raises:
            SourceUnavailable: no such file, no answer, or an answer that is not a policy.
            PolicyError: it is no text, or not signed as it must be. The same is not complained about twice.
        """
        ...


def policy_source(location: str, *, token: str | None = None, key: str | None = None) -> PolicySource:
    """The source at a path or an http(s) URL.

    Args:
        token: bearer token for a URL.
        key: with it, only a policy that bears its signature is returned.
    """
    if location.startswith(("http://", "https://")):
        return UrlSource(location, token=token, key=key)
    return FileSource(location, key=key)


_SIGNATURE_GRACE_S = 0.05
"""Policy and signature are two files; one that was replaced a moment ago waits for the other."""


class FileSource:
    """A policy file; a look costs one `stat` while nothing changes, or two of a signed one."""

    def __init__(self, path: str, *, key: str | None = None) -> None:
        self._path = Path(path)
        self._key = key
        self._seen: tuple[tuple[int, int, int] | None, ...] | None = None
        self._text: str | None = None

    def read_if_changed(self) -> PolicyText | None:
        try:
            seen = (_stamp(self._path), None if self._key is None else self._signature_stamp())
            if seen == self._seen:
                return None
            self._seen = seen
            text = self._read().decode("utf-8")
        except UnicodeDecodeError as error:
            raise PolicyError(f"{self._path}: not UTF-8 text: {error.reason} at byte {error.start}") from error
        except OSError as error:
            self._seen = None
            raise SourceUnavailable(f"{self._path} cannot be read: {error.strerror or error}") from error
        if text == self._text:
            return None
        self._text = text
        return PolicyText(text, str(self._path))

    def _read(self) -> bytes:
        content = self._path.read_bytes()
        if self._key is None:
            return content
        try:
            require_signed(content, read_signature(self._path), self._key, origin=str(self._path))
        except PolicyError:
            time.sleep(_SIGNATURE_GRACE_S)
            content = self._path.read_bytes()
            require_signed(content, read_signature(self._path), self._key, origin=str(self._path))
        return content

    def _signature_stamp(self) -> tuple[int, int, int] | None:
        try:
            return _stamp(signature_path(self._path))
        except OSError:
            return None


def _stamp(path: Path) -> tuple[int, int, int]:
    """What changes when the file at `path` is written to or replaced."""
    status = path.stat()
    return status.st_mtime_ns, status.st_size, status.st_ino


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    # A redirect would carry the token to wherever it points.
    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> None:
        return None


class UrlSource:
    """A policy behind a URL, such as a collector's `/v1/policy`; asked for with its ETag."""

    def __init__(self, url: str, *, token: str | None = None, key: str | None = None) -> None:
        self._url = url
        self._key = key
        self._refused: tuple[bytes, str | None] | None = None
        self._headers = {"Accept": "application/toml", "User-Agent": "tierwise"}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"
        self._etag: str | None = None
        self._text: str | None = None
        self._opener = urllib.request.build_opener(_NoRedirect())

    def read_if_changed(self) -> PolicyText | None:
        headers = self._headers | ({"If-None-Match": self._etag} if self._etag else {})
        try:
            request = urllib.request.Request(self._url, headers=headers)
            with self._opener.open(request, timeout=TIMEOUT_S) as response:
                body: bytes = response.read(MAX_BYTES + 1)
                etag: str | None = response.headers.get("ETag")
                signature: str | None = response.headers.get(HEADER)
                length: str | None = response.headers.get("Content-Length")
        except urllib.error.HTTPError as error:
            with error:
                if error.code == 304:
                    return None
            raise SourceUnavailable(f"{self._url} answers {error.code} {error.reason}") from error
        except (OSError, HTTPException, ValueError) as error:
            reason = getattr(error, "reason", error)
            raise SourceUnavailable(f"{self._url} cannot be reached: {reason}") from error
        if len(body) > MAX_BYTES:
            raise SourceUnavailable(f"{self._url} holds more than {MAX_BYTES:,} bytes")
        # The standard library gives what came of an answer that was cut off, and half a policy can be a valid one.
        if length is not None and length.isdecimal() and len(body) < int(length):
            raise SourceUnavailable(f"{self._url} answered {len(body):,} of {int(length):,} bytes")
        if not body.strip():
            raise SourceUnavailable(f'{self._url} answers without a policy; one that does nothing says mode = "off"')
        try:
            text = body.decode("utf-8")
        except UnicodeDecodeError as error:
            raise SourceUnavailable(f"{self._url} is not UTF-8 text") from error
        if self._key is not None:
            # Without the ETag of what is refused, so that the same policy is taken once it comes with its signature.
            if (body, signature) == self._refused:
                return None
            self._refused = (body, signature)
            require_signed(body, signature, self._key, origin=self._url)
            self._refused = None
        self._etag = etag
        if text == self._text:
            return None
        self._text = text
        return PolicyText(text, self._url)
