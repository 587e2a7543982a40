from __future__ import annotations

import logging

import pytest

from tierwise import firewall as module
from tierwise.firewall import firewall


@pytest.fixture
def outside_pytest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIERWISE_FIREWALL", "swallow")
    monkeypatch.setattr(module, "_reported", set())


def test_errors_stop_here(outside_pytest: None, caplog: pytest.LogCaptureFixture) -> None:
    """In a user's process an error of ours is logged once at WARNING and goes no further."""
    caplog.set_level(logging.DEBUG, logger="tierwise")

    for _ in range(3):
        with firewall("pricing a call"):
            raise ValueError("Dear Sir, my secret is 42")

    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 1
    assert warnings[0].getMessage().startswith("tierwise failed while pricing a call (ValueError). Your call is not")
    assert "secret" not in warnings[0].getMessage()


def test_errors_show_under_pytest() -> None:
    """Under pytest an error of ours is re-raised, so that no test passes over it."""
    with pytest.raises(ValueError, match="seen"), firewall("pricing a call"):
        raise ValueError("seen")


def test_interrupts_pass(outside_pytest: None) -> None:
    """Ctrl-C and cancellation belong to the user and are never swallowed."""
    with pytest.raises(KeyboardInterrupt), firewall("pricing a call"):
        raise KeyboardInterrupt
