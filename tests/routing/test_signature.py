from __future__ import annotations

from pathlib import Path

import pytest

from tierwise.errors import PolicyError
from tierwise.routing.signature import read_signature, require_signed, sign, signature_path


def test_the_signature_is_hmac_sha256():
    """RFC 4231, test case 2: another implementation with the same key comes to the same signature."""
    expected = "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"

    assert sign(b"what do ya want for nothing?", "Jefe") == expected


def test_what_is_signed_with_the_key_is_accepted():
    """The right signature passes, with the line's end that an editor adds."""
    require_signed(b"policy", sign(b"policy", "key") + "\n", "key", origin="policy.toml")


@pytest.mark.parametrize(
    ("signature", "complaint"),
    [
        (None, "policy.toml is not signed"),
        ("  ", "policy.toml is not signed"),
        (sign(b"policy", "other"), "signed with another key"),
        (sign(b"changed", "key"), "changed after it was signed"),
        ("sha256=", "signed with another key"),
        ("é", "signed with another key"),
    ],
)
def test_anything_else_is_refused(signature: str | None, complaint: str):
    """No signature, another key's, another text's and one that is none are refused in words."""
    with pytest.raises(PolicyError, match=complaint):
        require_signed(b"policy", signature, "key", origin="policy.toml")


def test_the_signature_of_a_file_stands_beside_it(tmp_path: Path):
    """`policy.toml.sig` holds the signature of `policy.toml`; without it there is none."""
    path = tmp_path / "policy.toml"

    assert read_signature(path) is None
    signature_path(path).write_text("sha256=00", encoding="ascii")
    assert signature_path(path).name == "policy.toml.sig"
    assert read_signature(path) == "sha256=00"
