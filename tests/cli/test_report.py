from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cli.conftest import RunCommand


def test_a_page_is_written(run: RunCommand, db: str, tmp_path: Path) -> None:
    """Without options the page goes to a file of its own name, else to where it is told."""
    assert run("report", "--days", "60").code == 0
    assert run("report", "-o", "no/such/folder.html").code == 1

    assert (tmp_path / "tierwise-report.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    assert run("report", "-o", "-").out.endswith("</html>\n")


def test_filters_narrow_the_figures(run: RunCommand, db: str) -> None:
    """JSON holds the figures of the calls that the filters leave."""
    everything = run("report", "--days", "3650", "--json").json
    one = run("report", "--days", "3650", "--use-case", "uc_0", "--json").json
    none = run("report", "--days", "3650", "--use-case", "uc_0", "--tenant", "nobody", "--json").json

    assert 0 < one["overview_totals"]["calls"] <= everything["overview_totals"]["calls"]
    assert one["filters"] == {"use_case": ["uc_0"]}
    assert none["overview_totals"]["calls"] == 0


def test_focus_holds_what_was_spent(run: RunCommand, db: str) -> None:
    """The rows of costs add up to the spend of the report."""
    import csv
    import io

    spent = run("report", "--days", "3650", "--json").json["overview_totals"]["spend_usd"]

    rows = list(csv.DictReader(io.StringIO(run("export", "--format", "focus", "--days", "3650").out)))

    assert abs(sum(float(row["BilledCost"]) for row in rows) - spent) < 1e-6
    assert {row["ChargeCategory"] for row in rows} == {"Usage"}
    assert run("export", "policies", "--format", "focus").code == 2
