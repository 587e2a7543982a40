"""The note a collector leaves beside the DuckDB file it holds, so that others find their way to it."""

from __future__ import annotations

import http.client
import json
import os
from pathlib import Path
from urllib.parse import urlsplit

_PROBE_TIMEOUT_S = 2.0


def sidecar_path(db_path: str | Path) -> Path:
    """Where the note of the collector that holds `db_path` is."""
    return Path(f"{db_path}.collector.json")


def write_sidecar(db_path: str | Path, url: str) -> None:
    """Say that this process serves `db_path` at `url`."""
    note = sidecar_path(db_path)
    draft = note.with_name(f"{note.name}.{os.getpid()}")
    draft.write_text(json.dumps({"url": url, "pid": os.getpid()}), encoding="utf-8")
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
    return url if _answers(url, pid) else None


def _answers(url: str, pid: int) -> bool:
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=_PROBE_TIMEOUT_S)
    try:
        connection.request("GET", "/healthz")
        body = json.loads(connection.getresponse().read())
    except (OSError, http.client.HTTPException, ValueError):
        return False
    finally:
        connection.close()
    # Another collector may have been given the port since.
    return isinstance(body, dict) and body.get("pid") == pid
