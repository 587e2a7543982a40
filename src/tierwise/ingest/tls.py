"""The collector's certificate and key: read, and proved to work before anything listens."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from pathlib import Path

from tierwise.errors import SettingsError

_STEPS = 10
"""A handshake in memory is over after three; what is not by then never will be."""


@dataclass(frozen=True, slots=True)
class Identity:
    """A certificate and its key, as files and as what is in them (PEM)."""

    certificate_path: Path
    key_path: Path
    certificate: bytes = field(repr=False)
    """The server's own certificate first, then those between it and the one that clients trust."""
    key: bytes = field(repr=False)


def load(certificate: str | None, key: str | None) -> Identity | None:
    """The identity that two paths name; None when neither is given, which means no TLS.

    Raises:
        SettingsError: only one is given, or the pair is unreadable, no PEM, encrypted, mismatched, expired, not valid
            yet, or not meant for servers.
    """
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        missing = "TIERWISE_TLS_CERT (--tls-cert)" if certificate is None else "TIERWISE_TLS_KEY (--tls-key)"
        raise SettingsError(f"TLS needs a certificate and its key: {missing} is not set")
    certificate_path, key_path = Path(certificate).expanduser(), Path(key).expanduser()
    identity = Identity(
        certificate_path, key_path, _read(certificate_path, "certificate"), _read(key_path, "private key")
    )
    _shake_hands(_server_context(identity), identity)
    return identity


def _read(path: Path, what: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SettingsError(f"the TLS {what} {path} cannot be read: {error.strerror}") from error


def _server_context(identity: Identity) -> ssl.SSLContext:
    def no_password() -> str:
        # Without this OpenSSL would ask on the terminal, and a service would wait there for ever.
        raise SettingsError(f"the TLS private key {identity.key_path} is encrypted: store it without a passphrase")

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(identity.certificate_path, identity.key_path, no_password)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            problem = "is not the key of that certificate"
        else:
            problem = f"or the certificate is no PEM that OpenSSL reads ({error.reason or error})"
        raise SettingsError(
            f"TLS certificate {identity.certificate_path}, private key {identity.key_path}: the key {problem}"
        ) from error
    return context


def _shake_hands(server_context: ssl.SSLContext, identity: Identity) -> None:
    """Greet ourselves as a client that trusts just this certificate: who cannot, nobody can."""
    client_context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client_context.check_hostname = False
    client_context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    try:
        client_context.load_verify_locations(cadata=identity.certificate.decode("ascii"))
        client = client_context.wrap_bio(to_client, to_server)
        server = server_context.wrap_bio(to_server, to_client, server_side=True)
        for _ in range(_STEPS):
            waiting = False
            for side in (client, server):
                try:
                    side.do_handshake()
                except ssl.SSLWantReadError:
                    waiting = True
            if not waiting:
                return
    except ssl.SSLCertVerificationError as error:
        raise SettingsError(
            f"clients will refuse the TLS certificate {identity.certificate_path}: {error.verify_message}"
        ) from error
    except (ssl.SSLError, UnicodeDecodeError) as error:
        raise SettingsError(f"the TLS certificate {identity.certificate_path} does not work: {error}") from error
    raise SettingsError(f"the TLS certificate {identity.certificate_path} does not work: the handshake does not end")
