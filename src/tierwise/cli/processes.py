"""Processes that a command starts, and how they end with it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Generator
from contextlib import contextmanager

from tierwise.errors import TierwiseError

_GRACE_S = 15.0
"""How long a process may take to end by itself; the collector lands what it has acknowledged."""


def require_free_port(host: str, port: int, what: str, option: str) -> None:
    """Refuse a port that something listens on already.

    Raises:
        TierwiseError: it is taken; the message names the option that chooses another.
    """
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise TierwiseError(
                f"the {what} cannot listen on {host}:{port} ({error.strerror}): stop what does, or choose another port "
                f"with {option}"
            ) from error


@contextmanager
def stopped_at_the_end(process: subprocess.Popen[bytes]) -> Generator[subprocess.Popen[bytes]]:
    """End `process` with the block, gently first. SIGTERM to this process ends the block as Ctrl-C does."""
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield process
    finally:
        signal.signal(signal.SIGTERM, before)
        stop(process)


def _interrupt(signal_number: int, frame: object) -> None:
    raise KeyboardInterrupt


def stop(process: subprocess.Popen[bytes]) -> None:
    """End `process`: SIGTERM, and SIGKILL when it does not listen."""
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(_GRACE_S)
    except subprocess.TimeoutExpired:
        # It leads a session of its own, so this reaches its children too.
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
