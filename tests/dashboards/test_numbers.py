"""Every number on a page is one that the command line gives as JSON for the same filters."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import estimates
import format
import pytest
from opening import OpenPage
from streamlit.testing.v1 import AppTest

from tierwise.cli import main
from tierwise.evidence.estimate import Estimate

CommandLine = Callable[..., Any]
FILTERS: dict[str, dict[str, str]] = {
    "everything": {},
    "one use case": {"use_case": "code-review"},
    "a task type of a service": {"task_type": "conversation", "service": "helpdesk", "model": "gpt-6.1-sol"},
}


@pytest.fixture
def command_line(populated_db: str, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    """Runs `tierwise … --json` on the store and gives back what it says."""

    def run(*arguments: str) -> Any:
        capsys.readouterr()
        assert main([*arguments, "--json", "--db", populated_db]) in (0, 1)
        said = capsys.readouterr().out
        return json.loads(said) if said.startswith(("{", "[")) else said

    return run


def report(command_line: CommandLine, chosen: dict[str, str]) -> Any:
    """The report's figures for the dashboard's 30 days, whose first begins at midnight."""
    since = (datetime.now(UTC) - timedelta(days=30)).replace(hour=0, minute=0, second=0, microsecond=0)
    options = [part for name, value in chosen.items() for part in (f"--{name.replace('_', '-')}", value)]
    return command_line("report", "--since", since.isoformat(), *options)


def shown(app: AppTest) -> str:
    """Everything a page says, without markup."""
    parts = [item.value for kind in (app.markdown, app.caption, app.metric, app.subheader) for item in kind]
    return " ".join(str(part).replace("\\", "") for part in parts)


def column(app: AppTest, name: str) -> list[Any]:
    """A column of the first table that has it."""
    return next(table.value[name].tolist() for table in app.dataframe if name in table.value)


def overview(app: AppTest, figures: Any) -> None:
    now = figures["spend_change"]
    assert [item.value.replace("\\", "") for item in app.metric] == [
        format.money(now["spend_usd"]),
        format.compact(now["calls"]),
        format.money(now["cost_per_call_usd"]),
        format.seconds(now["duration_s_p50"]),
    ]
    spent = [float("nan") if row["spend_usd"] is None else row["spend_usd"] for row in figures["use_cases"]]
    assert column(app, "spend_usd") == pytest.approx(spent, rel=1e-9, nan_ok=True)
    assert column(app, "calls") == [row["calls"] for row in figures["use_cases"]]


def coverage(app: AppTest, figures: Any) -> None:
    totals = figures["overview_totals"]
    assert [item.value.replace("\\", "") for item in app.metric][:3] == [
        format.percent(totals[name]) for name in ("priced_share", "classified_spend_share", "estimated_share")
    ]
    if figures["unpriced"]:
        assert column(app, "unpriced_reason") == [row["unpriced_reason"] for row in figures["unpriced"]]


def use_cases(app: AppTest, figures: Any) -> None:
    named = {row["use_case_id"]: row for row in figures["use_cases"] if row["use_case_id"] is not None}
    calls = dict(zip(column(app, "use_case_id"), column(app, "calls"), strict=True))
    spend = dict(zip(column(app, "use_case_id"), column(app, "spend_usd"), strict=True))
    assert calls == {name: row["calls"] for name, row in named.items()}
    assert spend == pytest.approx({name: row["spend_usd"] for name, row in named.items()}, rel=1e-9)


def traces(app: AppTest, figures: Any) -> None:
    listed, total = len(column(app, "trace_id")), figures["overview_totals"]["calls"]
    assert listed <= total
    assert sum(column(app, "calls")) <= total


def recommendations(app: AppTest, figures: Any) -> None:
    text = shown(app)
    for item in figures["recommendations"]:
        if item["state"] in ("certified", "candidate", "unproven") and item["monthly_saving"]["kind"] == "estimate":
            saving = item["monthly_saving"]
            assert format.money(saving["value"]) in text
            assert format.money_interval(saving["low"], saving["high"]) in text


@pytest.mark.parametrize("chosen", list(FILTERS.values()), ids=list(FILTERS))
def test_pages_say_what_the_report_says(chosen: dict[str, str], command_line: CommandLine, open_page: OpenPage) -> None:
    """Spend, counts, shares and savings are the same on each page and in `tierwise report --json`."""
    figures = report(command_line, chosen)

    for page in (overview, coverage, use_cases, traces, recommendations):
        app = open_page(page.__name__, range="30 days", **{name: [value] for name, value in chosen.items()})

        page(app, figures)


def test_budgets_say_what_the_command_line_says(command_line: CommandLine, open_page: OpenPage) -> None:
    """What is spent, its share of the budget and the state are those of `tierwise budget check --json`."""
    command_line("budget", "set", "1000", "--tenant", "acme")
    (status,) = command_line("budget", "check")["budgets"]

    text = shown(open_page("budgets"))

    assert format.money(status["spent_usd"]) in text
    assert format.percent(status["spent_share"]) in text
    assert status["state"].capitalize() in text


def test_rules_say_what_verify_says(command_line: CommandLine, open_page: OpenPage) -> None:
    """Arms, failures and the saving per call are those of `tierwise verify --json` with the page's seed."""
    import analysis

    (rule,) = command_line("verify", "--seed", str(analysis.SEED))

    text = shown(open_page("verify", range="all time"))

    saved = rule["realised"]["per_call"]
    figure = estimates.shown(Estimate(**saved))
    assert f"{format.count(rule['realised']['n_treated'])} calls on the target" in text
    assert figure.value in text
    assert figure.interval in text


def test_simulation_says_what_simulate_says(command_line: CommandLine, open_page: OpenPage) -> None:
    """What was billed, and for how many calls, is the same to the cent in `tierwise simulate --json`."""
    said = command_line("simulate", "--days", "400")

    text = shown(open_page("simulator", range="all time"))

    assert format.money(said["baseline_usd"]) in text
    assert f"{format.count(said['coverage']['calls'])} calls" in text
