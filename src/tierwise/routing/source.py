"""Where a policy comes from: a file or a URL, read again only when it changed."""

from __future__ import annotations

import urllib.error
import urllib.request
from dataclasses import dataclass
from http.client import HTTPException, HTTPMessage
from pathlib import Path
from typing import IO, Protocol

from tierwise.errors import PolicyError

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
        """
        ...


def policy_source(location: str, *, token: str | None = None) -> PolicySource:
    """The source at a path or an http(s) URL."""
    return UrlSource(location, token=token) if location.startswith(("http://", "https://")) else FileSource(location)


class FileSource:
    """A policy file; a look costs one `stat` while nothing changes."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._seen: tuple[int, int, int] | None = None
        self._text: str | None = None

    def read_if_changed(self) -> PolicyText | None:
        try:
            status = self._path.stat()
            seen = (status.st_mtime_ns, status.st_size, status.st_ino)
            if seen == self._seen:
                return None
            self._seen = seen
            text = self._path.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise PolicyError(f"{self._path}: not UTF-8 text: {error.reason} at byte {error.start}") from error
        except OSError as error:
            self._seen = None
            raise SourceUnavailable(f"{self._path} cannot be read: {error.strerror or error}") from error
        if text == self._text:
            return None
        self._text = text
        return PolicyText(text, str(self._path))


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    # A redirect would carry the token to wherever it points.
    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> None:
        return None


class UrlSource:
    """A policy behind a URL, such as a collector's `/v1/policy`; asked for with its ETag."""

    def __init__(self, url: str, *, token: str | None = None) -> None:
        self._url = url
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
        try:
            text = body.decode("utf-8")
        except UnicodeDecodeError as error:
            raise SourceUnavailable(f"{self._url} is not UTF-8 text") from error
        self._etag = etag
        if text == self._text:
            return None
        self._text = text
        return PolicyText(text, self._url)
