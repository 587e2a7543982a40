"""The figures of a period as one HTML page that needs nothing else: no script, no font, no request."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from html import escape
from typing import Any

from tierwise.alerts.budgets import BudgetStatus
from tierwise.evidence.estimate import Estimate
from tierwise.recommend.recommendation import Recommendation
from tierwise.recommend.verify import Verification
from tierwise.reports.figures import Figures
from tierwise.reports.money import change, estimate, share, usd

_STYLE = """
:root { color-scheme: light dark; --line: #dde3e4; --soft: #5e6b70; --accent: #0f766e; }
@media (prefers-color-scheme: dark) { :root { --line: #2b393b; --soft: #94a3a6; --accent: #3dbbae; } }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; margin-bottom: 0; } h2 { font-size: 1.15rem; margin-top: 2.2rem; }
p.soft, .soft { color: var(--soft); }
dl.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(11rem, 1fr)); gap: .75rem; }
dl.cards div { border: 1px solid var(--line); border-radius: .5rem; padding: .6rem .8rem; }
dl.cards dt { color: var(--soft); } dl.cards dd { margin: 0; font-size: 1.4rem; font-weight: 600; }
dl.cards dd small { display: block; font-size: .8rem; font-weight: 400; color: var(--soft); }
.wide { overflow-x: auto; } table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .35rem .6rem; border-bottom: 1px solid var(--line); }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
svg { width: 100%; height: auto; } rect.day { fill: var(--accent); } text { fill: currentColor; font-size: 11px; }
ul { padding-left: 1.2rem; }
"""


def page(figures: Figures) -> str:
    """The page. Times are UTC, money is US dollars."""
    title = f"tierwise, {_period(figures)}"
    parts = [
        f"<h1>{escape(title)}</h1>",
        f'<p class="soft">{escape(_selection(figures))}</p>',
        _cards(figures),
        "<h2>Spend by day</h2>",
        _bars(figures),
        "<h2>Use cases by spend</h2>",
        _use_cases(figures.use_cases),
        "<h2>Budgets of this month</h2>",
        _budgets(figures.budgets),
        "<h2>What stood out</h2>",
        _alerts(figures.alerts),
        "<h2>What could run on a cheaper model</h2>",
        _recommendations(figures.recommendations),
        "<h2>What rules saved</h2>",
        _verifications(figures.verifications),
        "<h2>How far the numbers reach</h2>",
        _coverage(figures),
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>\n<body><main>\n"
        + "\n".join(parts)
        + "\n</main></body></html>\n"
    )


def _period(figures: Figures) -> str:
    end = f"{figures.until:%d %b %Y}"
    return f"until {end}" if figures.since is None else f"{figures.since:%d %b %Y} to {end}"


def _selection(figures: Figures) -> str:
    chosen = "; ".join(f"{name.replace('_', ' ')} {', '.join(values)}" for name, values in figures.filters.items())
    return f"As of {figures.until:%Y-%m-%d %H:%M} UTC, {chosen or 'all traffic'}. Shadow calls are in no amount."


def _cards(figures: Figures) -> str:
    now, totals = figures.spend_change, figures.overview_totals
    judged = f"; calls of judges, {usd(totals['judge_cost_usd'])}, are in the spend" if totals["judge_calls"] else ""
    cards = [
        ("Spend", usd(now["spend_usd"]), f"{change(now['spend_change'])} to the period before"),
        ("Calls", f"{now['calls']:,}", f"{change(now['calls_change'])} to the period before"),
        ("Cost of one call", usd(now["cost_per_call_usd"]), f"{change(now['cost_per_call_change'])}"),
        ("Evaluation", usd(totals["evaluation_cost_usd"]), f"what shadow calls cost{judged}"),
    ]
    return (
        '<dl class="cards">'
        + "".join(
            f"<div><dt>{escape(label)}</dt><dd>{escape(value)}<small>{escape(note)}</small></dd></div>"
            for label, value, note in cards
        )
        + "</dl>"
    )


def _bars(figures: Figures) -> str:
    by_day: dict[date, float] = {}
    for row in figures.spend_series:
        by_day[row["step"].date()] = by_day.get(row["step"].date(), 0.0) + float(row["spend_usd"] or 0)
    if not by_day:
        return '<p class="soft">No calls.</p>'
    first, last = min(by_day), max(by_day)
    days = [first + timedelta(days=place) for place in range((last - first).days + 1)]
    largest = max(by_day.values()) or 1.0
    width = 720 / len(days)
    bars = "".join(
        f'<rect class="day" x="{place * width:.1f}" y="{130 - 120 * by_day.get(day, 0.0) / largest:.1f}" '
        f'width="{max(width - 2, 1):.1f}" height="{120 * by_day.get(day, 0.0) / largest:.1f}">'
        f"<title>{day}: {escape(usd(by_day.get(day, 0.0)))}</title></rect>"
        for place, day in enumerate(days)
    )
    label = f"Spend by day, {usd(sum(by_day.values()))} in all, at most {usd(largest)} a day"
    return (
        f'<svg viewBox="0 0 720 150" role="img" aria-label="{escape(label)}">{bars}'
        f'<text x="0" y="146">{days[0]}</text><text x="720" y="146" text-anchor="end">{days[-1]}</text></svg>'
        f'<p class="soft">{escape(label)}.</p>'
    )


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]], *, empty: str) -> str:
    """A table; a column whose name begins with ">" is aligned to the right."""
    if not rows:
        return f'<p class="soft">{escape(empty)}</p>'
    right = [' class="n"' if column.startswith(">") else "" for column in columns]
    head = "".join(
        f'<th scope="col"{kind}>{escape(name.lstrip(">"))}</th>' for name, kind in zip(columns, right, strict=True)
    )
    body = "".join(
        "<tr>" + "".join(f"<td{kind}>{escape(text)}</td>" for text, kind in zip(row, right, strict=True)) + "</tr>"
        for row in rows
    )
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _use_cases(rows: Sequence[dict[str, Any]]) -> str:
    return _table(
        ["Use case", ">Spend", ">Share", ">Calls", ">Per call", "Task type", "Model asked for"],
        [
            [
                row["label"],
                usd(row["spend_usd"]),
                share(row["spend_share"]),
                f"{row['calls']:,}",
                usd(row["cost_per_call_usd"]),
                row["task_type"] or "",
                row["model"] or "",
            ]
            for row in rows
        ],
        empty="No calls.",
    )


def _budgets(statuses: Sequence[BudgetStatus]) -> str:
    return _table(
        ["Budget", ">A month", ">Spent", ">The month comes to", "State"],
        [
            [
                status.budget.subject,
                usd(status.budget.monthly_usd),
                f"{usd(status.spent_usd)} ({status.spent_share:.0%})",
                estimate(status.forecast),
                status.state,
            ]
            for status in statuses
        ],
        empty="No budget is set: tierwise budget set 500 sets one for all traffic.",
    )


def _alerts(rows: Sequence[dict[str, Any]]) -> str:
    if not rows:
        return '<p class="soft">Nothing.</p>'
    lines = (f"<li>{row['time']:%Y-%m-%d %H:%M} {escape(row['message'])}</li>" for row in rows)
    return f"<ul>{''.join(lines)}</ul>"


def _recommendations(items: Sequence[Recommendation]) -> str:
    order = ("certified", "candidate", "unproven", "enforced")
    shown = sorted((item for item in items if item.state in order), key=lambda item: order.index(item.state))
    return _table(
        ["Use case", "From", "To", "State", ">Saving a month", "Missing"],
        [
            [
                item.scope.label,
                item.scope.request_model,
                item.target,
                item.state,
                estimate(item.monthly_saving),
                item.missing[0] if item.missing else "",
            ]
            for item in shown
        ],
        empty="Nothing yet: tierwise recommend works it out.",
    )


def _verifications(rules: Sequence[Verification]) -> str:
    def quality(rule: Verification) -> str:
        kept = rule.realised.quality.change
        return (
            f"{kept.value:+.3f} ({kept.low:+.3f} to {kept.high:+.3f})" if isinstance(kept, Estimate) else estimate(kept)
        )

    return _table(
        ["Rule", "To", ">Saved per call", ">Saved in all", ">Score change", "Against what was predicted"],
        [
            [
                rule.rule_id,
                rule.target or "",
                estimate(rule.realised.per_call),
                estimate(rule.realised.total),
                quality(rule),
                "not enough data" if rule.comparison is None else rule.comparison.verdict,
            ]
            for rule in rules
        ],
        empty="No rule has been in force.",
    )


def _coverage(figures: Figures) -> str:
    totals = figures.overview_totals
    newest: datetime | None = totals["newest_call_time"]
    lines = [
        f"{share(totals['priced_share'])} of calls have a price; those without are in no amount",
        f"{share(totals['classified_spend_share'])} of spend has a known task type",
        f"{share(totals['estimated_share'])} of calls have token counts that are estimated",
        "newest call: " + ("none" if newest is None else f"{newest:%Y-%m-%d %H:%M} UTC"),
        "price lists: " + (", ".join(row["price_version"] for row in figures.price_versions) or "none"),
        *(
            f"{row['calls']:,} calls to {row['model']} have no price: {row['unpriced_reason']}"
            for row in figures.unpriced
        ),
    ]
    return "<ul>" + "".join(f"<li>{escape(line)}</li>" for line in lines) + "</ul>"
