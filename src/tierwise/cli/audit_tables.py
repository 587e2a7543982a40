"""An audit in a terminal: the answer first, then the tables it comes from, then what it leaves out and assumes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tierwise.audit import Audit, Candidate, ModelAudit
from tierwise.cli.figures import percent, shown
from tierwise.cli.terminal import print_table, usd
from tierwise.evidence.estimate import Estimate

HOW_TO_MEASURE = (
    "Whether a cheaper model answers as well is measured on your own traffic: put `import tierwise.auto` into the "
    "application, name a use case and a check, and a sampled share of its calls is put to the cheaper model as well "
    "(docs/evidence.md)."
)


def print_audit(audit: Audit) -> None:
    """The whole audit."""
    for line in headline(audit):
        print(line)
    _section("What the calls are for", ["task type", ">calls", ">share", ">spend", ">share"], task_rows(audit))
    _section(
        "What they cost, by model asked for",
        ["model", "provider", ">calls", ">input tokens", ">output tokens", ">spend", ">share"],
        model_rows(audit),
    )
    _section(
        "The dearest use cases",
        ["use case", "task type", "model", ">calls", ">spend", ">share", ">per 1,000 calls"],
        use_case_rows(audit),
    )
    _section(
        "The same calls on another model, at today's prices",
        ["model", "another", "", ">today", ">there", ">saving"],
        candidate_rows(audit),
    )
    for line in switch_lines(audit):
        print(line)
    print(f"\nSmall-model territory, by your own evidence: {audit.territory.words}")
    if audit.territory.share is None:
        print(HOW_TO_MEASURE)
    else:
        _section("Evidence", ["state", ">calls", ">spend"], territory_rows(audit))
    _section("Other levers, the largest first", ["lever", "where", ">calls", ">spend", ">saving"], lever_rows(audit))
    _section("Not in these sums", ["", ">calls"], gap_rows(audit))
    lines = assumptions(audit)
    if lines:
        print("\nTaken for granted")
        for line in lines:
            print(f"  - {line}")


def _section(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    if rows:
        print()
        print_table(columns, rows, title=title)


def headline(audit: Audit) -> list[str]:
    """The answer in three lines at most."""
    totals = audit.totals
    month = "" if audit.months is None or audit.spend_usd is None else _monthly(float(audit.spend_usd), audit.months)
    first = f"{totals['first_call_time']:%Y-%m-%d}"
    newest = f"{totals['newest_call_time']:%Y-%m-%d}"
    coverage = (
        f"{percent(totals['priced_share'])} of the calls have a price ({audit.price_version}), "
        f"{percent(totals['estimated_share'])} have estimated tokens; "
        f"{percent(totals['classified_spend_share'] or 0.0)} of the spend has a known task type"
    )
    lines = [f"{audit.calls:,} calls from {first} to {newest}: {usd(audit.spend_usd)}{month}", coverage]
    best = _best(audit)
    if best is not None:
        model, candidate = best
        lines.append(
            f"Largest single change: {model.model} → {candidate.target} would have cost {shown(candidate.cost)} "
            f"instead of {usd(model.today_usd)}"
        )
    return lines


def _monthly(amount: float, months: float) -> str:
    return f", about {usd(amount * months)} in 30 days like these"


def _best(audit: Audit) -> tuple[ModelAudit, Candidate] | None:
    found: tuple[ModelAudit, Candidate] | None = None
    largest = 0.0
    for model in audit.models:
        for candidate in model.candidates:
            if candidate.proposed and isinstance(candidate.saving, Estimate) and candidate.saving.value > largest:
                found, largest = (model, candidate), candidate.saving.value
    return found


def task_rows(audit: Audit) -> list[list[str]]:
    return [
        [
            row["task_type"].replace("_", " "),
            f"{row['calls']:,}",
            percent(row["call_share"]),
            usd(row["spend_usd"]),
            percent(row["spend_share"]),
        ]
        for row in audit.tasks
    ]


def model_rows(audit: Audit) -> list[list[str]]:
    return [
        [
            row["model"],
            row["provider"],
            f"{row['calls']:,}",
            _tokens(row["input_tokens"]),
            _tokens(row["output_tokens"]),
            usd(row["spend_usd"]),
            percent(row["spend_share"]),
        ]
        for row in audit.spend_by_model
    ]


def use_case_rows(audit: Audit) -> list[list[str]]:
    return [
        [
            row["label"],
            row["task_type"].replace("_", " "),
            row["model"] + (f" and {row['models'] - 1} more" if row["models"] > 1 else ""),
            f"{row['calls']:,}",
            usd(row["spend_usd"]),
            percent(row["spend_share"]),
            usd(row["cost_per_1k_calls_usd"]),
        ]
        for row in audit.use_cases
    ]


def candidate_rows(audit: Audit) -> list[list[str]]:
    rows: list[list[str]] = []
    for model in audit.models:
        for place, candidate in enumerate(model.candidates):
            rows.append(
                [
                    model.model if place == 0 else "",
                    candidate.target,
                    mark_of(candidate),
                    usd(model.today_usd) if place == 0 else "",
                    shown(candidate.cost),
                    shown(candidate.saving_share),
                ]
            )
        if not model.candidates:
            rows.append([model.model, "nothing cheaper with the same API", "", usd(model.today_usd), "", ""])
    return rows


def mark_of(candidate: Candidate) -> str:
    """Why a candidate is shown, in a word or two."""
    if candidate.successor:
        return "newer generation" + (", try first" if candidate.proposed else "")
    return "try first" if candidate.proposed else ""


def switch_lines(audit: Audit) -> list[str]:
    """What all the proposed models together would have saved, and what that does not say."""
    if not any(model.candidates for model in audit.models):
        return []
    saved, share = shown(audit.switch_all), shown(audit.switch_all_share)
    together = f"All of them on the one to try first: {saved} saved, {share} of it all."
    return [
        together,
        "The ranges are 95% intervals over conversations and token counts; they say nothing about quality.",
    ]


def territory_rows(audit: Audit) -> list[list[str]]:
    return [
        [name, f"{audit.territory.calls[name]:,}", usd(audit.territory.spend_usd[name])]
        for name in audit.territory.calls
        if audit.territory.calls[name]
    ]


def lever_rows(audit: Audit) -> list[list[str]]:
    return [
        [
            lever.kind.replace("_", " "),
            (lever.request_model if lever.use_case_id is None else f"{lever.label}, {lever.request_model}")
            + ("" if lever.target is None else f" → {lever.target}"),
            f"{lever.calls:,}",
            usd(lever.spend_usd),
            ("at most " if lever.at_most else "") + shown(lever.window_saving),
        ]
        for lever in audit.levers
    ]


def gap_rows(audit: Audit) -> list[list[str]]:
    """Calls that the sums leave out, or that they hold by estimate."""
    rows = [
        [f"{row['model']} ({row['provider']}), no price: {row['unpriced_reason']}", f"{row['calls']:,}"]
        for row in audit.unpriced
    ]
    estimated = round((audit.totals["estimated_share"] or 0) * audit.calls)
    if estimated:
        rows.append(["tokens estimated from the length of the texts (in the sums)", f"{estimated:,}"])
    unknown: Mapping[str, Any] = next((row for row in audit.tasks if row["task_type"] == "unknown"), {})
    if unknown:
        rows.append(["task type not known: no text in the log, or nothing in it that tells", f"{unknown['calls']:,}"])
    return rows


def assumptions(audit: Audit) -> list[str]:
    """What the costs on other models rest on, each once."""
    proposed = [candidate for model in audit.models for candidate in model.candidates if candidate.proposed]
    lines = dict.fromkeys(line for candidate in proposed for line in candidate.assumptions)
    notes = dict.fromkeys(f"{candidate.target}: {note}" for candidate in proposed for note in candidate.notes)
    return [*lines, *notes]


def _tokens(count: int | None) -> str:
    return "unknown" if count is None else f"{count:,}"
