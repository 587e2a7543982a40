"""The demo's whole loop, as a newcomer runs it; every number it prints is looked up again elsewhere."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import format
import pytest
import streamlit as st
from opening import open_page

pytestmark = pytest.mark.timeout(300)


@dataclass(frozen=True)
class Demo:
    summary: dict[str, Any]
    db: Path

    def tierwise(self, *arguments: str) -> Any:
        done = run("--db", f"duckdb:{self.db}", arguments=arguments)
        return json.loads(done.stdout)

    def select(self, query: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.db), read_only=True) as connection:
            return connection.execute(query).fetchall()


def run(*options: str, arguments: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    # No key, no proxy, no setting of the developer's own reaches the demo.
    environment = {name: os.environ[name] for name in ("PATH", "HOME", "XDG_DATA_HOME") if name in os.environ}
    return subprocess.run(
        [sys.executable, "-m", "tierwise.cli", *arguments, *options],
        capture_output=True,
        text=True,
        check=True,
        timeout=240,
        env=environment,
    )


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    db = tmp_path_factory.mktemp("demo") / "demo.duckdb"
    done = run("--db", str(db), arguments=("demo", "--json", "--exit"))
    return Demo(json.loads(done.stdout), db)


def test_everything_is_priced_and_classified(demo: Demo) -> None:
    """Every call of the demo has a price and nearly all spend has a task type; no call failed."""
    assert demo.summary["calls"] > 5000
    assert demo.summary["failed_calls"] == 0
    assert demo.summary["priced_share"] == 1.0
    assert demo.summary["classified_share"] > 0.95


def test_realised_saving_lies_in_the_predicted_interval(demo: Demo) -> None:
    """What the holdout measured lies where the rules said it would when they were approved."""
    predicted, realised = demo.summary["predicted_saving"], demo.summary["realised_saving"]

    assert 0 < predicted["low"] <= realised["value"] <= predicted["high"]
    assert realised["low"] < realised["value"] < realised["high"]
    assert demo.summary["realised_within_predicted"] is True


def test_quality_is_certified_not_assumed(demo: Demo) -> None:
    """The policy's retention bound is that of a certificate on real pairs, and each use case keeps its floor: at its
    own lower bound, what moves of it costs at most 15% of its quality."""
    certificate = demo.summary["retention"]
    enforced = [item for item in demo.summary["recommendations"] if item["state"] == "enforced"]

    assert certificate["certified"]
    assert certificate["e_value"] >= 1 / certificate["alpha"]
    assert 0.95 <= certificate["low"] <= certificate["value"] <= certificate["high"]
    assert certificate["n"] > 200
    assert {"homework-help", "contest-math"} <= {item["use_case"] for item in enforced}
    assert all(item["share"] * (1 - item["retention"]["low"]) <= 0.15 + 1e-9 for item in enforced)


def test_sql_gives_the_same_numbers(demo: Demo) -> None:
    """Plain SQL on the DuckDB file gives the summary's calls, spend and policy version."""
    ((calls, spend, priced),) = demo.select(
        "SELECT count(*), sum(cost_usd), avg(priced::INT) FROM llm_calls WHERE shadow_of_span_id IS NULL"
    )
    ((evaluation_cost,),) = demo.select("SELECT sum(cost_usd) FROM llm_calls WHERE shadow_of_span_id IS NOT NULL")
    ((version, mode),) = demo.select(
        "SELECT version, regexp_extract(text, 'mode = \"(\\w+)\"', 1) FROM policies ORDER BY version DESC LIMIT 1"
    )

    assert calls == demo.summary["calls"]
    assert float(spend) == demo.summary["spend_usd"]
    assert priced == demo.summary["priced_share"]
    assert float(evaluation_cost) == demo.summary["evaluation_cost_usd"]
    assert (version, mode) == (demo.summary["policy_version"], "enforce")


def test_sql_gives_the_same_realised_saving(demo: Demo) -> None:
    """The realised saving is the arms' own: mean cost of what stayed minus what moved, times the calls moved."""
    rows = demo.select(
        """
        SELECT rule_id, count(*) FILTER (arm IN ('treated', 'canary')) AS moved,
               avg(cost_usd::DOUBLE) FILTER (arm IN ('holdout', 'control')) - avg(cost_usd::DOUBLE)
                       FILTER (arm IN ('treated', 'canary')) AS saved
        FROM llm_calls WHERE rule_id IS NOT NULL AND arm IS NOT NULL AND shadow_of_span_id IS NULL GROUP BY ALL
        """
    )
    by_rule = {rule["rule"]: rule for rule in demo.summary["rules"]}
    measured = {name: (moved, saved) for name, moved, saved in rows if "value" in by_rule[name]["realised_per_call"]}

    for name, (moved, saved) in measured.items():
        assert by_rule[name]["treated"] == moved
        assert by_rule[name]["realised_per_call"]["value"] == pytest.approx(saved, rel=1e-9)
    total = sum(moved * saved for moved, saved in measured.values())
    assert demo.summary["realised_saving"]["value"] == pytest.approx(total, rel=1e-9)


def test_the_command_line_gives_the_same_numbers(demo: Demo) -> None:
    """`recommend` and `verify` on the file say what the summary says."""
    recommended = {item["id"]: item for item in demo.tierwise("recommend", "--json")}
    verified = {item["rule_id"]: item for item in demo.tierwise("verify", "--json")}

    for item in demo.summary["recommendations"]:
        if item["state"] == "enforced":
            assert recommended[item["id"]]["certificate"]["low"] == pytest.approx(item["retention"]["low"])
    for rule in demo.summary["rules"]:
        assert verified[rule["rule"]]["realised"]["n_treated"] == rule["treated"]


def test_the_dashboard_gives_the_same_numbers(demo: Demo, monkeypatch: pytest.MonkeyPatch) -> None:
    """The Overview page shows the summary's spend and calls, the Verify page what each rule saved per call."""
    monkeypatch.setenv("TIERWISE_DB", f"duckdb:{demo.db}")
    shown: dict[str, list[tuple[str, str]]] = {}
    try:
        for page in ("overview", "verify"):
            metrics = open_page(page, range="30 days").metric
            # A dollar sign is escaped for Streamlit, which would take two of them for mathematics.
            shown[page] = [(metric.label, metric.value.replace("\\$", "$")) for metric in metrics]
    finally:
        st.cache_data.clear()
        st.cache_resource.clear()
    overview = dict(shown["overview"])
    verified = {value for label, value in shown["verify"] if label == "Saved per call"}

    assert overview["Spend"] == format.money(demo.summary["spend_usd"])
    assert overview["Calls"] == format.compact(demo.summary["calls"])
    for rule in demo.summary["rules"]:
        if "value" in rule["realised_per_call"]:
            assert format.money(rule["realised_per_call"]["value"]) in verified


def test_enforced_calls_went_to_the_cheaper_model(demo: Demo) -> None:
    """In the policy's second version the treated calls carry the cheaper model and say what was asked for."""
    rows = demo.select(
        "SELECT DISTINCT requested_model, request_model, response_model, decision FROM llm_calls WHERE arm = 'treated'"
    )

    assert {(requested, sent) for requested, sent, _, _ in rows} == {
        (item["from"], item["to"]) for item in demo.summary["recommendations"] if item["state"] == "enforced"
    }
    assert all(sent == answered and decision == "routed" for _, sent, answered, decision in rows)


def test_costs_are_the_price_lists(demo: Demo) -> None:
    """Each call's cost is its tokens times the published rates of claude-opus-5-5: $4 in and $20 out per million."""
    rows = demo.select(
        "SELECT input_tokens, output_tokens, cost_usd FROM llm_calls WHERE request_model = 'claude-opus-5-5' LIMIT 500"
    )

    assert len(rows) == 500
    assert all(cost == (inputs * 4 + outputs * 20) / Decimal(1_000_000) for inputs, outputs, cost in rows)


def test_no_prompt_text_was_stored(demo: Demo) -> None:
    """Without opting in, no attribute of any row holds prompt or answer text."""
    ((leaks,),) = demo.select(
        "SELECT count(*) FROM llm_calls WHERE regexp_matches(attributes::VARCHAR, 'messages|Question|reasoning')"
    )

    assert leaks == 0
