from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys

import pytest

from tierwise.cli import processes
from tierwise.errors import TierwiseError


def sleeper(code: str = "import time; time.sleep(60)", *, stdout: int | None = None) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", code], start_new_session=True, stdout=stdout)


def test_a_taken_port_is_refused_with_a_way_out() -> None:
    """Something listening there already is said at once, with the option that chooses another port."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        with pytest.raises(TierwiseError, match=f"cannot listen on 127.0.0.1:{port} .* with --port"):
            processes.require_free_port("127.0.0.1", port, "collector", "--port")
    processes.require_free_port("127.0.0.1", port, "collector", "--port")


def test_the_process_ends_with_the_block() -> None:
    """When the block is left, the process goes."""
    process = sleeper()

    with processes.stopped_at_the_end(process):
        running = process.poll() is None

    assert running
    assert process.returncode == -signal.SIGTERM


def test_sigterm_ends_the_block_like_ctrl_c() -> None:
    """A service manager's stop reaches the parts, and the handler that was there before is back afterwards."""
    before = signal.getsignal(signal.SIGTERM)
    process = sleeper()

    with pytest.raises(KeyboardInterrupt), processes.stopped_at_the_end(process):
        os.kill(os.getpid(), signal.SIGTERM)

    assert process.poll() is not None
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_process_that_does_not_listen_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the grace period a stubborn process goes all the same."""
    monkeypatch.setattr(processes, "_GRACE_S", 0.2)
    process = sleeper(
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)",
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    process.stdout.readline()

    processes.stop(process)

    assert process.returncode == -signal.SIGKILL
    process.stdout.close()


def test_a_process_that_has_ended_is_left_alone() -> None:
    """Stopping twice is fine."""
    process = sleeper("pass")
    process.wait()

    processes.stop(process)

    assert process.returncode == 0
