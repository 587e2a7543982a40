"""The charts. Each takes rows as a query or the library gave them, and draws; colours and fonts come from the theme.

Money axes and tooltips are formatted by the browser, times are UTC. An interval is always drawn with its value.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import altair as alt
import pyarrow as pa

from tierwise.evidence.estimate import Estimate
from tierwise.savings.flows import Flow

MONEY = "$,.4~g"
"""d3 format of a money axis: `$12,340`, `$0.0021`."""
_MONEY_TIP = "$,.4f"
_BAR_HEIGHT = 26
_PADDING = {"left": 0, "right": 6, "top": 2, "bottom": 2}


def _legend() -> alt.Legend:
    # Evaluated by the browser: a phone has room for two names side by side.
    columns = alt.ExprRef("width < 480 ? 2 : 5")
    return alt.Legend(orient="top", columns=columns, labelLimit=150, offset=8, symbolType="square")


def spend_over_time(series: pa.Table, *, since: datetime | None, step: timedelta, bucket_title: str) -> alt.Chart:
    """Stacked bars: `spend_series`, the dearest bucket at the bottom, what is left over on top.

    Args:
        since: where the time axis begins, an aware moment; it ends now. None: it covers the rows.
        step: how long a bar is.
    """
    order = list(dict.fromkeys(series["bucket"].to_pylist()))
    return (
        alt.Chart(series)
        .mark_bar()
        .encode(
            x=alt.X(
                "step:T",
                title=None,
                timeUnit=_time_unit(step),
                scale=alt.Undefined
                if since is None
                else alt.Scale(domain=[_date_time(since), _date_time(datetime.now(UTC))]),
                axis=alt.Axis(grid=False, tickCount=8, labelOverlap=True, format=_time_format(step)),
            ),
            y=alt.Y("spend_usd:Q", title="USD", stack="zero", axis=alt.Axis(format=MONEY, tickCount=5)),
            color=alt.Color("bucket:N", title=None, sort=order, legend=_legend()),
            order=alt.Order("rank:Q", sort="ascending"),
            tooltip=[
                alt.Tooltip("step:T", title="From (UTC)", timeUnit="utcyearmonthdatehoursminutes"),
                alt.Tooltip("bucket:N", title=bucket_title),
                alt.Tooltip("spend_usd:Q", title="Spend", format=_MONEY_TIP),
                alt.Tooltip("calls:Q", title="Calls", format=",d"),
            ],
        )
        .properties(height=300, padding=_PADDING)
    )


def _date_time(moment: datetime) -> alt.DateTime:
    return alt.DateTime(
        year=moment.year,
        month=moment.month,
        date=moment.day,
        hours=moment.hour,
        minutes=moment.minute,
        utc=True,
    )


def _time_unit(step: timedelta) -> alt.TimeUnitParams:
    if step >= timedelta(days=1):
        return alt.TimeUnitParams(unit="utcyearmonthdate", step=step.days)
    if step >= timedelta(hours=1):
        return alt.TimeUnitParams(unit="utcyearmonthdatehours", step=step // timedelta(hours=1))
    return alt.TimeUnitParams(unit="utcyearmonthdatehoursminutes", step=step // timedelta(minutes=1))


def _time_format(step: timedelta) -> str:
    return "%b %-d" if step >= timedelta(hours=6) else "%H:%M"


def token_mix(mix: pa.Table) -> alt.Chart:
    """One bar a model, all of the same length: what its tokens were."""
    models = list(dict.fromkeys(mix["model"].to_pylist()))
    return (
        alt.Chart(mix)
        .mark_bar(height=_BAR_HEIGHT - 8, cornerRadius=1)
        .encode(
            y=alt.Y("model:N", title=None, sort=models, axis=alt.Axis(labelLimit=170, ticks=False, domain=False)),
            x=alt.X(
                "share:Q",
                title=None,
                stack="zero",
                scale=alt.Scale(domain=[0, 1]),
                axis=alt.Axis(format="%", grid=False, tickCount=5),
            ),
            color=alt.Color(
                "kind:N",
                title=None,
                sort=["fresh input", "cache read", "cache write", "output", "reasoning"],
                legend=_legend(),
            ),
            order=alt.Order("kind_rank:Q", sort="ascending"),
            tooltip=[
                alt.Tooltip("model:N", title="Model"),
                alt.Tooltip("kind:N", title="Tokens"),
                alt.Tooltip("tokens:Q", title="Count", format=",d"),
                alt.Tooltip("share:Q", title="Share", format=".1%"),
                alt.Tooltip("cost_usd:Q", title="Cost", format=_MONEY_TIP),
            ],
        )
        .properties(height=alt.Step(_BAR_HEIGHT + 6), padding=_PADDING)
    )


def intervals(
    rows: Sequence[dict[str, Any]], *, value_title: str, axis_format: str, reference: float | None = None
) -> alt.LayerChart | alt.FacetChart:
    """Dots with their intervals, one line a subject and kind.

    Args:
        rows: `subject`, `kind`, `value`, `low`, `high` (the bounds may be None) and `n` each.
        reference: draws a dashed line, such as zero or the quality to keep.
    """
    table = pa.Table.from_pylist(list(rows))
    kinds = list(dict.fromkeys(row["kind"] for row in rows))
    subjects = list(dict.fromkeys(row["subject"] for row in rows))
    base = alt.Chart(table).encode(
        y=alt.Y("subject:N", title=None, sort=subjects, axis=alt.Axis(labelLimit=200, ticks=False, domain=False)),
        yOffset=alt.YOffset("kind:N", sort=kinds, scale=alt.Scale(paddingInner=0.2)),
        color=alt.Color("kind:N", title=None, sort=kinds, legend=_legend() if len(kinds) > 1 else None),
        tooltip=[
            alt.Tooltip("subject:N", title="Of"),
            alt.Tooltip("kind:N", title="What"),
            alt.Tooltip("value:Q", title=value_title, format=axis_format),
            alt.Tooltip("low:Q", title="Low", format=axis_format),
            alt.Tooltip("high:Q", title="High", format=axis_format),
            alt.Tooltip("n:Q", title="n", format=",d"),
        ],
    )
    axis = alt.Axis(format=axis_format, tickCount=6)
    scale = alt.Scale(zero=False, nice=True)
    layers: list[alt.Chart] = [
        base.mark_rule(strokeWidth=3, opacity=0.55, strokeCap="round").encode(
            x=alt.X("low:Q", title=value_title, axis=axis, scale=scale), x2="high:Q"
        ),
        base.mark_point(filled=True, size=110, opacity=1).encode(
            x=alt.X("value:Q", title=value_title, axis=axis, scale=scale)
        ),
    ]
    if reference is not None:
        line = alt.Chart(pa.table({"reference": [reference]}))
        layers.append(line.mark_rule(strokeDash=[4, 4], opacity=0.7, color="gray").encode(x="reference:Q"))
    return alt.layer(*layers).properties(height=alt.Step(24), padding=_PADDING)


def before_and_after(billed_usd: float, simulated: Estimate) -> alt.LayerChart | alt.FacetChart:
    """Two bars: what was billed, and what it would have been, with its interval."""
    rows = [
        {"what": "as billed", "usd": billed_usd, "low": None, "high": None},
        {"what": "with this policy", "usd": simulated.value, "low": simulated.low, "high": simulated.high},
    ]
    base = alt.Chart(pa.Table.from_pylist(rows)).encode(
        y=alt.Y("what:N", title=None, sort=None, axis=alt.Axis(ticks=False, domain=False)),
        tooltip=[
            alt.Tooltip("what:N", title="Cost"),
            alt.Tooltip("usd:Q", title="USD", format=_MONEY_TIP),
            alt.Tooltip("low:Q", title="Low", format=_MONEY_TIP),
            alt.Tooltip("high:Q", title="High", format=_MONEY_TIP),
        ],
    )
    axis = alt.Axis(format=MONEY, tickCount=6)
    bars = base.mark_bar(height=_BAR_HEIGHT - 6, cornerRadius=1).encode(
        x=alt.X("usd:Q", title="USD", axis=axis), color=alt.Color("what:N", sort=None, legend=None)
    )
    bounds = base.mark_errorbar(ticks=True, thickness=2, color="gray").encode(
        x=alt.X("low:Q", title="USD", axis=axis), x2="high:Q"
    )
    return alt.layer(bars, bounds).properties(height=alt.Step(_BAR_HEIGHT + 8), padding=_PADDING)


def sankey(flows: Sequence[Flow]) -> dict[str, Any]:
    """An ECharts specification: models asked for on the left, models sent on the right, as wide as what was billed."""
    asked = list(dict.fromkeys(flow.requested_model for flow in flows))
    sent = list(dict.fromkeys(flow.model for flow in flows))
    return {
        "tooltip": {"trigger": "item"},
        "series": [
            {
                "type": "sankey",
                "emphasis": {"focus": "adjacency"},
                "nodeGap": 14,
                "left": 0,
                "right": 130,
                "lineStyle": {"color": "gradient", "opacity": 0.35},
                # A model may stand on both sides, and a name may stand only once.
                "data": [{"name": f"{name} asked", "depth": 0, "label": {"formatter": name}} for name in asked]
                + [{"name": f"{name} sent", "depth": 1, "label": {"formatter": name}} for name in sent],
                "links": [
                    {
                        "source": f"{flow.requested_model} asked",
                        "target": f"{flow.model} sent",
                        "value": round(flow.billed_usd, 6),
                    }
                    for flow in flows
                ],
            }
        ],
    }


def flows_in_words(flows: Sequence[Flow]) -> str:
    """The same for who does not see it."""
    return "What calls were billed, by the model asked for and the model sent: " + "; ".join(
        f"{flow.requested_model} to {flow.model}, {flow.calls:,.0f} calls, ${flow.billed_usd:,.2f}" for flow in flows
    )


def waterfall(steps: Sequence[dict[str, Any]]) -> alt.Chart:
    """One bar a step from its begin to its end, in the order given.

    Args:
        steps: rows of `trace_steps`.
    """
    rows = [
        {
            "place": place,
            "step": f"{'  ' * step['depth']}{step['name']}",
            "kind": "failed" if step["status"] == "error" else step["kind"],
            "begin": step["offset_s"],
            # A bar without width is not seen.
            "end": step["offset_s"] + max(step["duration_s"], 1e-4),
            "took": step["duration_s"],
            "cost_usd": step["cost_usd"],
            "service": step["service_name"],
        }
        for place, step in enumerate(steps)
    ]
    names = json.dumps([row["step"] for row in rows])
    return (
        alt.Chart(pa.Table.from_pylist(rows))
        .mark_bar(cornerRadius=1, height=_BAR_HEIGHT - 12)
        .encode(
            y=alt.Y(
                "place:O",
                title=None,
                axis=alt.Axis(
                    labelExpr=f"{names}[datum.value]",
                    labelLimit=170,
                    ticks=False,
                    domain=False,
                ),
            ),
            x=alt.X("begin:Q", title="Seconds since the trace began", axis=alt.Axis(tickCount=6)),
            x2="end:Q",
            color=alt.Color("kind:N", title=None, sort=["call", "span", "failed"], legend=_legend()),
            tooltip=[
                alt.Tooltip("step:N", title="Step"),
                alt.Tooltip("service:N", title="Service"),
                alt.Tooltip("begin:Q", title="After", format=".3f"),
                alt.Tooltip("took:Q", title="Seconds", format=".3f"),
                alt.Tooltip("cost_usd:Q", title="Cost", format=_MONEY_TIP),
            ],
        )
        .properties(height=alt.Step(_BAR_HEIGHT), padding=_PADDING)
    )
