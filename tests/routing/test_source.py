from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tierwise.errors import PolicyError
from tierwise.routing.signature import HEADER, sign, signature_path
from tierwise.routing.source import FileSource, SourceUnavailable, UrlSource, policy_source


@dataclass
class PolicyHost:
    """What a loopback server answers, and what it was asked."""

    status: int = 200
    text: bytes = b'mode = "enforce"'
    etag: str | None = '"1"'
    location: str = ""
    signature: str | None = None
    missing: int = 0
    """Bytes that are announced and do not come."""
    url: str = ""
    asked: list[dict[str, str]] = field(default_factory=list[dict[str, str]])


@contextmanager
def serving(host: PolicyHost) -> Generator[PolicyHost]:
    """Serve `host` on a free loopback port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            host.asked.append({name.lower(): value for name, value in self.headers.items()} | {"path": self.path})
            known = host.etag is not None and self.headers.get("If-None-Match") == host.etag
            status = 304 if known and host.status == 200 else host.status
            body = host.text if status == 200 else b""
            self.send_response(status)
            if host.etag is not None:
                self.send_header("ETag", host.etag)
            if host.signature is not None:
                self.send_header(HEADER, host.signature)
            if host.location:
                self.send_header("Location", host.location)
            self.send_header("Content-Length", str(len(body) + host.missing))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    host.url = f"http://127.0.0.1:{server.server_port}/v1/policy"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield host
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_location_is_a_url_or_a_path():
    """http and https are asked over the network; anything else is a file."""
    assert isinstance(policy_source("http://127.0.0.1/p"), UrlSource)
    assert isinstance(policy_source("https://example.com/p"), UrlSource)
    assert isinstance(policy_source("policy.toml"), FileSource)


def test_a_file_is_read_when_it_changed(tmp_path: Path):
    """The text comes once, and again after a change; a touch without a change is nothing new."""
    path = tmp_path / "policy.toml"
    path.write_text("a = 1", encoding="utf-8")
    source = FileSource(str(path))

    first = source.read_if_changed()
    again = source.read_if_changed()
    os.utime(path, ns=(1, 1))
    touched = source.read_if_changed()
    path.write_text("a = 2", encoding="utf-8")
    changed = source.read_if_changed()

    assert first is not None
    assert (first.text, first.origin) == ("a = 1", str(path))
    assert again is None
    assert touched is None
    assert changed is not None
    assert changed.text == "a = 2"


def test_a_file_replaced_by_one_of_the_same_size_and_time_is_noticed(tmp_path: Path):
    """An atomic rename counts as a change even when size and time are alike."""
    path, other = tmp_path / "policy.toml", tmp_path / "new.toml"
    path.write_text("a = 1", encoding="utf-8")
    other.write_text("a = 2", encoding="utf-8")
    os.utime(path, ns=(5, 5))
    os.utime(other, ns=(5, 5))
    source = FileSource(str(path))
    source.read_if_changed()

    other.rename(path)
    found = source.read_if_changed()

    assert found is not None
    assert found.text == "a = 2"


def test_a_file_that_goes_and_comes_back_is_read_again(tmp_path: Path):
    """A missing file is unavailable, not empty; once back, only a change is news."""
    path = tmp_path / "policy.toml"
    source = FileSource(str(path))

    with pytest.raises(SourceUnavailable, match=r"policy\.toml cannot be read: No such file"):
        source.read_if_changed()
    path.write_text("a = 1", encoding="utf-8")

    found = source.read_if_changed()
    assert found is not None
    assert found.text == "a = 1"


def test_a_file_that_is_not_text_is_refused_once(tmp_path: Path):
    """Bytes that are not UTF-8 are a bad policy; the same bytes are not complained about at each look."""
    path = tmp_path / "policy.toml"
    path.write_bytes(b"a = \xff")
    source = FileSource(str(path))

    with pytest.raises(PolicyError, match="not UTF-8 text"):
        source.read_if_changed()

    assert source.read_if_changed() is None


def test_a_url_is_asked_with_its_etag_and_the_token():
    """The second question carries the ETag and gets nothing new for an answer."""
    with serving(PolicyHost()) as host:
        source = UrlSource(host.url, token="secret")

        first = source.read_if_changed()
        second = source.read_if_changed()
        host.etag, host.text = '"2"', b'mode = "off"'
        third = source.read_if_changed()

    assert first is not None
    assert (first.text, first.origin) == ('mode = "enforce"', host.url)
    assert second is None
    assert third is not None
    assert third.text == 'mode = "off"'
    assert [asked.get("if-none-match") for asked in host.asked] == [None, '"1"', '"1"']
    assert {asked["authorization"] for asked in host.asked} == {"Bearer secret"}


def test_the_same_text_under_another_etag_is_nothing_new():
    """A server without stable ETags does not cause reloads."""
    with serving(PolicyHost(etag=None)) as host:
        source = UrlSource(host.url)

        assert source.read_if_changed() is not None
        assert source.read_if_changed() is None


def test_a_redirect_does_not_get_the_token():
    """The token goes to the address it was given for and to no other."""
    with serving(PolicyHost()) as other, serving(PolicyHost(status=302, location=other.url)) as host:
        source = UrlSource(host.url, token="secret")

        with pytest.raises(SourceUnavailable, match="answers 302"):
            source.read_if_changed()

    assert other.asked == []


@pytest.mark.parametrize(
    ("host", "complaint"),
    [
        (PolicyHost(status=404), "answers 404"),
        (PolicyHost(status=500), "answers 500"),
        (PolicyHost(text=b"\xff"), "is not UTF-8 text"),
        (PolicyHost(text=b" " * (4 * 1024 * 1024 + 1)), "holds more than 4,194,304 bytes"),
        (PolicyHost(text=b'mode = "enforce"\n', missing=8), "answered 17 of 25 bytes"),
        (PolicyHost(text=b""), "answers without a policy"),
        (PolicyHost(text=b"\n"), "answers without a policy"),
    ],
)
def test_an_answer_that_is_no_policy_is_unavailable(host: PolicyHost, complaint: str):
    """Errors, binary, oversized, cut off and empty answers name the URL and what is wrong."""
    with serving(host), pytest.raises(SourceUnavailable, match=complaint) as unavailable:
        UrlSource(host.url).read_if_changed()

    assert host.url in str(unavailable.value)


def test_a_silent_address_is_unavailable():
    """Nobody listening, or an address that is none, is not an error of the app's."""
    with serving(PolicyHost()) as host:
        gone = host.url

    with pytest.raises(SourceUnavailable, match="cannot be reached"):
        UrlSource(gone).read_if_changed()
    with pytest.raises(SourceUnavailable, match="cannot be reached"):
        UrlSource("http://127.0.0.1:notaport/").read_if_changed()


def test_a_signed_file_is_read_and_any_other_refused_once(tmp_path: Path):
    """With a key a file counts only with its signature; a refusal is not repeated, and a new signature is looked at."""
    path = tmp_path / "policy.toml"
    path.write_bytes(b"a = 1")
    source = FileSource(str(path), key="key")

    with pytest.raises(PolicyError, match="is not signed"):
        source.read_if_changed()
    assert source.read_if_changed() is None
    signature_path(path).write_text(sign(b"a = 2", "key"), encoding="ascii")
    with pytest.raises(PolicyError, match="changed after it was signed"):
        source.read_if_changed()
    signature_path(path).write_text(sign(b"a = 1", "key") + "\n", encoding="ascii")
    found = source.read_if_changed()

    assert found is not None
    assert found.text == "a = 1"


def test_a_file_and_its_signature_may_arrive_one_after_the_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A look between the two replacements waits a moment for the second, and refuses nothing."""
    path = tmp_path / "policy.toml"
    path.write_bytes(b"a = 1")
    signature_path(path).write_text(sign(b"a = 2", "key"), encoding="ascii")
    monkeypatch.setattr("time.sleep", lambda seconds: path.write_bytes(b"a = 2"))

    found = FileSource(str(path), key="key").read_if_changed()

    assert found is not None
    assert found.text == "a = 2"


def test_an_unsigned_answer_is_refused_once_and_taken_when_it_comes_signed():
    """With a key a URL counts only with the signature in its header, though its ETag stays the same."""
    with serving(PolicyHost()) as host:
        source = UrlSource(host.url, key="key")

        with pytest.raises(PolicyError, match="is not signed"):
            source.read_if_changed()
        assert source.read_if_changed() is None
        host.signature = sign(host.text, "other")
        with pytest.raises(PolicyError, match="another key"):
            source.read_if_changed()
        host.signature = sign(host.text, "key")
        found = source.read_if_changed()

        assert found is not None
        assert found.text == 'mode = "enforce"'
        assert source.read_if_changed() is None
