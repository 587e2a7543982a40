from __future__ import annotations

import logging

import pytest

from tierwise import firewall as module
from tierwise.firewall import firewall, swallow


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


def test_a_clause_does_the_same(outside_pytest: None, caplog: pytest.LogCaptureFixture) -> None:
    """An `except` clause that ends in `swallow` stops and logs an error as the block does."""
    try:
        raise ValueError("Dear Sir, my secret is 42")
    except ValueError as error:
        swallow("reading a stream", error)

    assert [record.getMessage()[:49] for record in caplog.records] == [
        "tierwise failed while reading a stream (ValueErro"
    ]


def test_a_clause_shows_errors_under_pytest() -> None:
    """Under pytest `swallow` raises the error it was given."""
    with pytest.raises(ValueError, match="seen"):
        swallow("reading a stream", ValueError("seen"))


def test_a_log_that_raises(outside_pytest: None) -> None:
    """A logging filter of the app's own that raises does not bring our error back."""

    def fail(_: logging.LogRecord) -> bool:
        raise RuntimeError("broken filter")

    module.logger.addFilter(fail)
    try:
        with firewall("pricing a call"):
            raise ValueError("ours")
    finally:
        module.logger.removeFilter(fail)
