"""Who may give an application its policy: whoever holds the key that both sides share.

The signature is an HMAC-SHA256 of the policy's bytes. A collector sends it in a header; beside a file stands another of
the same name with `.sig` after it. With `TIERWISE_POLICY_KEY` set, a policy without the right one is refused whole.
"""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path

from tierwise.errors import PolicyError

HEADER = "X-Tierwise-Signature"
_SCHEME = "sha256="


def sign(content: bytes, key: str) -> str:
    """The signature of `content`, as header and file carry it: `sha256=` and 64 hexadecimal digits."""
    return _SCHEME + hmac.new(key.encode(), content, hashlib.sha256).hexdigest()


def require_signed(content: bytes, signature: str | None, key: str, *, origin: str) -> None:
    """Refuse `content` that does not bear the signature of `key`.

    Args:
        signature: None where there is none.
        origin: the file or URL, for the message.

    Raises:
        PolicyError: it is missing or another one.
    """
    if signature is None or not signature.strip():
        raise PolicyError(
            f"{origin} is not signed, and TIERWISE_POLICY_KEY asks for it; `tierwise policy sign` signs a file, a "
            "collector with the same key signs what it serves"
        )
    if not hmac.compare_digest(signature.strip().encode(), sign(content, key).encode()):
        raise PolicyError(
            f"{origin} is signed with another key than TIERWISE_POLICY_KEY, or was changed after it was signed"
        )


def signature_path(path: Path) -> Path:
    """Where the signature of the policy file at `path` stands."""
    return path.with_name(f"{path.name}.sig")


def read_signature(path: Path) -> str | None:
    """The signature beside the policy file at `path`; None where there is none that can be read."""
    try:
        return signature_path(path).read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        return None
