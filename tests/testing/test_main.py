from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.request

import pytest

from tierwise.testing import LoopbackProvider
from tierwise.testing.__main__ import main


@pytest.mark.parametrize("interrupt", [signal.SIGINT, signal.SIGTERM])
def test_it_prints_both_addresses_and_stops_cleanly(interrupt: signal.Signals) -> None:
    """The command serves an echo until Ctrl-C or SIGTERM, then exits 0 with nothing on stderr."""
    command = [sys.executable, "-W", "error", "-m", "tierwise.testing"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        openai_url = process.stdout.readline().split()[-1]
        anthropic_url = process.stdout.readline().split()[-1]
        body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "hello"}]}).encode()
        with urllib.request.urlopen(f"{openai_url}/chat/completions", data=body, timeout=5) as response:
            answer = json.load(response)
        process.send_signal(interrupt)
        _, errors = process.communicate(timeout=5)

    assert answer["choices"][0]["message"]["content"] == "hello"
    assert openai_url == f"{anthropic_url}/v1"
    assert (process.returncode, errors) == (0, "")


def test_a_taken_port_is_said_and_exits_1(capsys: pytest.CaptureFixture[str]) -> None:
    """A port in use is named on stderr, without a traceback."""
    with LoopbackProvider() as provider:
        exit_code = main(["--port", str(provider.port)])

        assert exit_code == 1
        assert f"port {provider.port} cannot be used" in capsys.readouterr().err


def test_help_shows_how_to_use_it(capsys: pytest.CaptureFixture[str]) -> None:
    """--help has examples for both SDKs."""
    with pytest.raises(SystemExit) as exit_info:
        main(["--help"])

    printed = capsys.readouterr().out
    assert exit_info.value.code == 0
    assert "OPENAI_BASE_URL" in printed
    assert "ANTHROPIC_BASE_URL" in printed
