from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
EXPECTED = {
    "enforce.py": ["enforced: claude-haiku-5-5", "off:      claude-opus-5-5"],
    "evidence.py": ["more pairs needed", "n=600"],
    "quickstart.py": ["chat gpt-6.1-sol: translation, 21 tokens in, $0.000082"],
}


def test_every_example_is_run() -> None:
    """No example is left out here."""
    assert {path.name for path in EXAMPLES.glob("*.py")} == set(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_example_runs(name: str) -> None:
    """Each example runs as its first lines say, and prints what it promises."""
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / name)], capture_output=True, text=True, timeout=60, check=False
    )

    assert done.returncode == 0, done.stderr
    for line in EXPECTED[name]:
        assert line in done.stdout
