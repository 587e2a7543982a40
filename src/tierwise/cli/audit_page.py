"""An audit as one HTML page: no script, no request to anywhere, readable in light and dark, on paper and aloud."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from tierwise.audit import Audit, Candidate, ModelAudit
from tierwise.cli import audit_tables as tables
from tierwise.cli.terminal import usd
from tierwise.evidence.estimate import Estimate, NotEnoughData

if TYPE_CHECKING:
    from tierwise.imports.importer import Totals

_STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #57606a; --paper: #ffffff; --line: #d0d7de; --bar: #2f6f9f;
  --range: #9fc3dd; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --soft: #9da7b1; --paper: #0d1117; --line: #30363d;
  --bar: #58a6d6; --range: #27506e; } }
body { margin: 2rem auto; max-width: 62rem; padding: 0 1rem; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2.2rem; } p, li { max-width: 46rem; }
.answer { font-size: 1.15rem; } .soft { color: var(--soft); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--soft); padding-bottom: .4rem; }
th, td { padding: .3rem .6rem .3rem 0; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top; }
thead th { color: var(--soft); font-weight: 600; } tbody th { font-weight: 500; }
.number { text-align: right; white-space: nowrap; }
svg { display: block; } .fill { fill: var(--bar); } .range { fill: var(--range); } .rail { fill: var(--line); }
@media print { body { margin: 0; max-width: none; font-size: 11pt; } h2 { break-after: avoid; }
  tr { break-inside: avoid; } .scroll { overflow: visible; } }
"""
_BAR_WIDTH = 160
_BAR_HEIGHT = 12


def page(audit: Audit, totals: Totals | None = None) -> str:
    """The page.

    Args:
        totals: of the import the calls came from, where they came from one.
    """
    lines = tables.headline(audit)
    parts = [
        f'<p class="answer">{escape(lines[0])}</p>',
        *(f"<p>{escape(line)}</p>" for line in lines[1:]),
        _tasks(audit),
        _table("What the calls cost, by model asked for", _MODEL_COLUMNS, tables.model_rows(audit)),
        _table("The dearest use cases", _USE_CASE_COLUMNS, tables.use_case_rows(audit)),
        _candidates(audit),
        "<h2>Small-model territory, by your own evidence</h2>",
        f"<p>{escape(audit.territory.words)}</p>",
        f"<p>{escape(tables.HOW_TO_MEASURE)}</p>" if audit.territory.share is None else "",
        _table("Evidence", ("state", ">calls", ">spend"), tables.territory_rows(audit))
        if audit.territory.share is not None
        else "",
        _table("Other levers, the largest first", _LEVER_COLUMNS, tables.lever_rows(audit)),
        _table("Not in these sums", ("what", ">calls"), [*tables.gap_rows(audit), *_not_imported(totals)]),
        _list("Taken for granted", tables.assumptions(audit)),
    ]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Audit of {audit.calls:,} calls</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n"
        f"<h1>What {audit.calls:,} calls were for, and what they cost</h1>\n"
        + "\n".join(part for part in parts if part)
        + f'\n<p class="soft">Made by tierwise on {audit.as_of:%Y-%m-%d %H:%M} UTC. Prices: '
        f"{escape(audit.price_version)}.</p>\n</main>\n</body>\n</html>\n"
    )


_MODEL_COLUMNS = ("model", "provider", ">calls", ">input tokens", ">output tokens", ">spend", ">share")
_USE_CASE_COLUMNS = ("use case", "task type", "model", ">calls", ">spend", ">share", ">per 1,000 calls")
_LEVER_COLUMNS = ("lever", "where", ">calls", ">spend", ">saving")


def _tasks(audit: Audit) -> str:
    rows = [
        [*map(escape, row), _bar(_share(item["spend_share"]), f"{row[0]}: {row[4]} of the spend")]
        for row, item in zip(tables.task_rows(audit), audit.tasks, strict=True)
    ]
    columns = ("task type", ">calls", ">share of calls", ">spend", ">share of spend", "")
    return _marked_table("What the calls are for", columns, rows)


def _candidates(audit: Audit) -> str:
    rows: list[list[str]] = []
    for model in audit.models:
        for place, candidate in enumerate(model.candidates):
            rows.append(
                [
                    escape(model.model),
                    escape(candidate.target),
                    escape(tables.mark_of(candidate)),
                    usd(model.today_usd) if place == 0 else "",
                    _figure(candidate.cost),
                    _figure(candidate.saving_share),
                    _range(model, candidate),
                ]
            )
    columns = ("model", "another", "", ">today", ">there", ">saving", "share of today's cost")
    found = _marked_table("The same calls on another model, at today's prices", columns, rows)
    return found + "".join(f"<p>{escape(line)}</p>" for line in tables.switch_lines(audit))


def _figure(figure: Estimate | NotEnoughData) -> str:
    from tierwise.cli.figures import shown

    return escape(shown(figure))


def _share(value: Any) -> float:
    return 0.0 if value is None else min(max(float(value), 0.0), 1.0)


def _bar(share: float, label: str) -> str:
    filled = f'<rect class="fill" width="{share * _BAR_WIDTH:.1f}" height="{_BAR_HEIGHT}"/>'
    return _drawn(filled, label)


def _range(model: ModelAudit, candidate: Candidate) -> str:
    """The interval of the cost there, as a part of today's."""
    cost, today = candidate.cost, float(model.today_usd)
    if isinstance(cost, NotEnoughData) or today <= 0:
        return ""
    low, value, high = (_share(amount / today) * _BAR_WIDTH for amount in (cost.low, cost.value, cost.high))
    drawn = (
        f'<rect class="range" x="{low:.1f}" width="{max(high - low, 1):.1f}" height="{_BAR_HEIGHT}"/>'
        f'<rect class="fill" x="{max(value - 1, 0):.1f}" width="2" height="{_BAR_HEIGHT}"/>'
    )
    shares = f"{cost.value / today:.0%} of today's cost, {cost.low / today:.0%} to {cost.high / today:.0%}"
    return _drawn(drawn, f"{candidate.target}: {shares}")


def _drawn(content: str, label: str) -> str:
    return (
        f'<svg role="img" aria-label="{escape(label)}" width="{_BAR_WIDTH}" height="{_BAR_HEIGHT}" '
        f'viewBox="0 0 {_BAR_WIDTH} {_BAR_HEIGHT}"><rect class="rail" y="{_BAR_HEIGHT - 2}" width="{_BAR_WIDTH}" '
        f'height="2"/>{content}</svg>'
    )


def _table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return _marked_table(title, columns, [[escape(cell) for cell in row] for row in rows])


def _marked_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table whose cells are HTML already; nothing without rows. A column that begins with ">" is of numbers."""
    if not rows:
        return ""
    marks = [' class="number"' if column.startswith(">") else "" for column in columns]
    head = "".join(
        f'<th scope="col"{mark}>{escape(column.lstrip(">"))}</th>' if column else f"<td{mark}></td>"
        for column, mark in zip(columns, marks, strict=True)
    )
    body = "\n".join(
        "<tr>"
        + f'<th scope="row">{row[0]}</th>'
        + "".join(f"<td{mark}>{cell}</td>" for cell, mark in zip(row[1:], marks[1:], strict=True))
        + "</tr>"
        for row in rows
    )
    return (
        f'<h2>{escape(title)}</h2>\n<div class="scroll"><table>\n'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table></div>"
    )


def _list(title: str, lines: Sequence[str]) -> str:
    if not lines:
        return ""
    return f"<h2>{escape(title)}</h2>\n<ul>" + "".join(f"<li>{escape(line)}</li>" for line in lines) + "</ul>"


def _not_imported(totals: Totals | None) -> list[list[str]]:
    if totals is None:
        return []
    counted = [(reason, count) for reasons in (totals.refusals, totals.left_out) for reason, count in reasons.items()]
    return [[f"rows not imported: {reason}", f"{count:,}"] for reason, count in counted]
