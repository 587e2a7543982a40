from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from cli.conftest import RunCommand


def test_set_check_remove(run: RunCommand, db: str) -> None:
    """A budget that is exceeded makes `check` fail; without it all is well again."""
    assert run("budget", "set", "0.001", "--why", "tiny").code == 0

    breached = run("budget", "check", "--json")
    listed = run("budget", "list")
    run("budget", "remove")

    assert breached.code == 1
    (status,) = breached.json["budgets"]
    assert (status["state"], breached.json["breached"]) == ("exceeded", True)
    assert [alert["kind"] for alert in breached.json["alerts"]][:1] == ["budget"]
    assert listed.code == 0
    assert "all traffic" in listed.out
    assert "No budget is set" in run("budget", "check").out


def test_a_scope_is_one(run: RunCommand, db: str) -> None:
    """A budget is of a tenant or of a use case, not of both."""
    assert run("budget", "set", "5", "--tenant", "acme", "--use-case", "x").code == 2


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["set"], 2),
        (["set", "much"], 1),
        (["set", "-1"], 1),
        (["remove", "--model", "gpt-9"], 1),
        (["check", "--notify"], 2),
    ],
)
def test_what_cannot_be_done_says_why(arguments: list[str], code: int, run: RunCommand, db: str) -> None:
    """No amount, no such budget, no webhook: each is named."""
    found = run("budget", *arguments)

    assert found.code == code
    assert found.err


def test_notify_tells_once(run: RunCommand, db: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """New alerts are posted; those told before are not."""
    sent: list[int] = []
    monkeypatch.setenv("TIERWISE_ALERT_WEBHOOK", "http://127.0.0.1:9")
    monkeypatch.setattr("tierwise.alerts.webhook.Webhook.send", lambda self, alerts: sent.append(len(alerts)))
    run("budget", "set", "0.001")

    for _ in range(2):
        run("budget", "check", "--notify")

    assert len(sent) == 1
