from __future__ import annotations

from pathlib import Path

import pytest

from tierwise.errors import SettingsError
from tierwise.ingest import tls

FILES = Path(__file__).parent / "certificates"


def path(name: str) -> str:
    return str(FILES / f"{name}.pem")


def test_no_files_are_no_tls() -> None:
    """TLS is off until both files are named."""
    assert tls.load(None, None) is None


def test_pair_is_read() -> None:
    """A certificate with its key is what is served, and the key shows in no representation."""
    identity = tls.load(path("valid"), path("key"))

    assert identity is not None
    assert identity.certificate == (FILES / "valid.pem").read_bytes()
    assert identity.key == (FILES / "key.pem").read_bytes()
    assert "BEGIN" not in repr(identity)


def test_chain_is_read(tmp_path: Path) -> None:
    """More certificates may follow the server's own."""
    chain = tmp_path / "chain.pem"
    chain.write_bytes((FILES / "valid.pem").read_bytes() + (FILES / "for-clients.pem").read_bytes())

    assert tls.load(str(chain), path("key")) is not None


@pytest.mark.parametrize(
    ("certificate", "key", "message"),
    [
        (path("valid"), None, "TIERWISE_TLS_KEY"),
        (None, path("key"), "TIERWISE_TLS_CERT"),
        (path("missing"), path("key"), "certificate .*missing.pem cannot be read: No such file"),
        (path("valid"), path("missing"), "private key .*missing.pem cannot be read: No such file"),
        (path("valid"), str(FILES), "cannot be read: Is a directory"),
        (path("valid"), path("other-key"), "is not the key of that certificate"),
        (path("valid"), path("encrypted-key"), "is encrypted"),
        (path("valid"), path("valid"), "no PEM"),
        (path("key"), path("key"), "no PEM"),
        (str(Path(__file__)), path("key"), "no PEM"),
        (path("expired"), path("key"), "has expired"),
        (path("not-yet-valid"), path("key"), "not yet valid"),
        (path("for-clients"), path("key"), "purpose"),
    ],
)
def test_files_that_are_of_no_use_say_why(certificate: str | None, key: str | None, message: str) -> None:
    """Whatever would keep clients away is said before anything listens, with the file's name."""
    with pytest.raises(SettingsError, match=message):
        tls.load(certificate, key)
