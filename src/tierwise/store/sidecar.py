"""The note a collector leaves beside the DuckDB file it holds, so that others find their way to it."""

from __future__ import annotations

import http.client
import json
import os
import ssl
from pathlib import Path
from urllib.parse import urlsplit

_PROBE_TIMEOUT_S = 2.0


def sidecar_path(db_path: str | Path) -> Path:
    """Where the note of the collector that holds `db_path` is."""
    return Path(f"{db_path}.collector.json")


def write_sidecar(db_path: str | Path, url: str, certificate: Path | None = None) -> None:
    """Say that this process serves `db_path` at `url`, and with which certificate where that is https."""
    note = sidecar_path(db_path)
    draft = note.with_name(f"{note.name}.{os.getpid()}")
    draft.write_text(
        json.dumps({"url": url, "pid": os.getpid(), "certificate": certificate and str(certificate.resolve())}),
        encoding="utf-8",
    )
    draft.replace(note)


def remove_sidecar(db_path: str | Path) -> None:
    """Take the note away."""
    sidecar_path(db_path).unlink(missing_ok=True)


def collector_of(db_path: str | Path) -> str | None:
    """URL of the collector that holds `db_path`; None when there is none, or the note outlived it."""
    try:
        note = json.loads(sidecar_path(db_path).read_text(encoding="utf-8"))
        url, pid = str(note["url"]), int(note["pid"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return url if _answers(url, pid, trusting_the_note(db_path)) else None


def trusting_the_note(db_path: str | Path) -> ssl.SSLContext | None:
    """Trusts the certificate that the note names, whatever host it is for; None when the note names none.

    The certificate is made for the name by which others reach the collector, and we reach it by a loopback address.
    Whoever may write the note may write the file that it is about.
    """
    try:
        certificate = json.loads(sidecar_path(db_path).read_text(encoding="utf-8"))["certificate"]
        if not isinstance(certificate, str):
            return None
        context = ssl.create_default_context(cafile=certificate)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def _answers(url: str, pid: int, context: ssl.SSLContext | None) -> bool:
    address = urlsplit(url)
    host, port = address.hostname or "", address.port
    connection = (
        http.client.HTTPSConnection(host, port, timeout=_PROBE_TIMEOUT_S, context=context)
        if address.scheme == "https"
        else http.client.HTTPConnection(host, port, timeout=_PROBE_TIMEOUT_S)
    )
    try:
        connection.request("GET", "/healthz")
        body = json.loads(connection.getresponse().read())
    except (OSError, http.client.HTTPException, ValueError):
        return False
    finally:
        connection.close()
    # Another collector may have been given the port since.
    return isinstance(body, dict) and body.get("pid") == pid
