"""Recommendations and levers in a terminal: a line each in lists, everything in cards, and the SQL behind a number."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tierwise.cli.terminal import print_json, print_table, usd

if TYPE_CHECKING:
    from tierwise.recommend import Recommendation
    from tierwise.recommend.levers import Lever


def print_recommendations(items: list[Recommendation], levers: list[Lever], *, as_json: bool) -> None:
    """One a line and how many levers there are, or an array of both: what has the `kind` model, then the levers."""
    from tierwise.cli.figures import retention, shown, span

    if as_json:
        print_json([*({"kind": "model", **item.to_dict()} for item in items), *(lever.to_dict() for lever in levers)])
        return
    if not items:
        print("No recommendations: no priced use case in the last 30 days has a cheaper model that could serve it.")
        _print_lever_count(levers)
        return
    rows = [
        [
            item.id,
            item.state,
            item.scope.label,
            f"{item.scope.request_model} → {item.target}" + (" (cascade)" if item.rule_kind == "cascade" else ""),
            f"{item.calls:,}" if item.share == 1.0 else f"{item.share:.0%} of {item.calls:,}",
            usd(item.spend_usd),
            shown(item.window_saving),
            retention(item.certificate),
        ]
        for item in items
    ]
    columns = ["id", "state", "use case", "model", ">calls", ">spend", ">saving", ">quality kept"]
    print_table(columns, rows, title=f"In the last {span(items[0].window_days)}, had the calls proposed moved")
    _print_lever_count(levers)


def _print_lever_count(levers: list[Lever]) -> None:
    if levers:
        print(f"{len(levers):,} other ways to save, such as batches and caches: `tierwise recommend --levers`")


def print_recommendation(item: Recommendation) -> None:
    """One in full."""
    from tierwise.cli.figures import latency, percent, retention, shown, span

    print(f"{item.scope.label}: {item.scope.request_model} → {item.target}   [{item.state}]")
    rows = [
        ["id", item.id],
        ["calls", f"{item.calls:,} in the last {span(item.window_days)}"],
        ["share of them to move", percent(item.share)],
        *(
            [["as a cascade", f"{percent(item.strong_share)} of what {item.scope.request_model} costs is still paid"]]
            if item.rule_kind == "cascade"
            else []
        ),
        ["spend", usd(item.spend_usd)],
        ["saving", f"{shown(item.window_saving)}, {shown(item.saving_share)} of it"],
        ["net of evaluation", shown(item.net_saving)],
        ["saving a month", shown(item.monthly_saving)],
        ["quality kept", retention(item.certificate)],
        ["scores", f"{item.evaluation} ({item.evaluation_source})" if item.evaluation else "none"],
        *_judged_rows(item),
        ["time to answer", latency(item.latency)],
        ["evidence cost", usd(item.evaluation_cost_usd)],
        ["calls with a price", percent(item.priced_share)],
        ["valid until", "unknown" if item.expires_at is None else f"{item.expires_at:%Y-%m-%d}"],
        ["content", item.content_hash[:16]],
    ]
    if item.needed.pairs:
        days = "" if item.needed.days is None else f", about {item.needed.days:,.0f} days"
        cost = "" if item.needed.cost_usd is None else f", about {usd(item.needed.cost_usd)}"
        most = "no end" if item.needed.pairs_high is None else f"{item.needed.pairs_high:,}"
        span_of_pairs = "" if item.needed.pairs_low is None else f" [{item.needed.pairs_low:,}, {most}]"
        rows.append(["still needed", f"{item.needed.pairs:,} scored pairs{span_of_pairs}{cost}{days}"])
    if item.snoozed_until is not None:
        rows.append(["snoozed until", f"{item.snoozed_until:%Y-%m-%d %H:%M} UTC"])
    if item.decided_why:
        rows.append(["reason", item.decided_why])
    print_table(["", ""], rows)
    for title, lines in (
        ("Why now", item.why_now),
        ("Missing", item.missing),
        ("Compatibility", item.compatibility),
        ("Assumptions", item.assumptions),
        ("Alternatives", [f"{other.target}: {other.why_not}" for other in item.alternatives]),
    ):
        if lines:
            print(f"\n{title}")
            for line in lines:
                print(f"  - {line}")


def _judged_rows(item: Recommendation) -> list[list[str]]:
    """What a judge and people have to do with it; nothing without both."""
    from tierwise.cli.figures import shown

    evidence = item.judged
    if evidence is None:
        return []
    waiting = f", {evidence.waiting:,} waiting" if evidence.waiting else ""
    return [
        ["judge", f"{evidence.judge}, {evidence.pairs:,} pairs, {evidence.counted:,} counted"],
        ["people", f"{evidence.reviewed:,} pairs reviewed, {evidence.skipped:,} skipped{waiting}"],
        ["judge and people agree", f"{shown(evidence.agreement)}, kappa {shown(evidence.kappa)}"],
        ["judge's leniency", shown(evidence.leniency)],
        ["judge's position bias", f"{shown(evidence.position_advantage)}, consistent {shown(evidence.consistency)}"],
        ["score now, by people", shown(evidence.strong_quality)],
        ["score then, by people", shown(evidence.weak_quality)],
    ]


def print_explanation(item: Recommendation, *, as_json: bool) -> None:
    """Each number with the statement that gives it again."""
    from tierwise.recommend.explain import explain

    found = explain(item)
    if as_json:
        print_json(found)
        return
    for figure in found.figures:
        value = f"{figure.value:,}" if isinstance(figure.value, int) else f"{figure.value}"
        print(f"-- {figure.name}: {value}\n{figure.sql};\n")
    for interval in found.intervals:
        seed = "nothing is drawn" if interval.seed is None else f"seed {interval.seed}"
        print(
            f"-- {interval.name}: {interval.value:.6g} [{interval.low:.6g}, {interval.high:.6g}], "
            f"{interval.level:.0%}, n={interval.n:,}: {interval.method}; {seed}\n"
            f"-- from these rows, by: {interval.command}\n{interval.sql};\n"
        )
    for note in found.notes:
        print(f"-- {note}")


def print_levers(levers: list[Lever], *, as_json: bool) -> None:
    """One a line, or an array of them."""
    from tierwise.cli.figures import shown, span

    if as_json:
        print_json([lever.to_dict() for lever in levers])
        return
    if not levers:
        print("No levers: the calls of the last 30 days show nothing else to save.")
        return
    rows = [
        [
            lever.id,
            lever.state,
            lever.kind.replace("_", " "),
            lever.label,
            lever.request_model + ("" if lever.target is None else f" → {lever.target}"),
            f"{lever.calls:,}",
            usd(lever.spend_usd),
            ("at most " if lever.at_most else "") + shown(lever.window_saving),
        ]
        for lever in levers
    ]
    columns = ["id", "state", "lever", "use case", "model", ">calls", ">spend", ">saving"]
    print_table(
        columns, rows, title=f"In the last {span(levers[0].window_days)}; levers on the same calls do not add up"
    )


def print_lever(lever: Lever, *, as_json: bool) -> None:
    """One in full."""
    from tierwise.cli.figures import retention, shown, span

    if as_json:
        print_json(lever.to_dict())
        return
    print(f"{lever.label}: {lever.action}   [{'taken up' if lever.state == 'enforced' else lever.state}]")
    rows = [
        ["id", lever.id],
        ["lever", lever.kind.replace("_", " ")],
        ["calls", f"{lever.calls:,} in the last {span(lever.window_days)}"],
        ["spend", usd(lever.spend_usd)],
        ["saving", ("at most " if lever.at_most else "") + shown(lever.window_saving)],
        ["saving a month", ("at most " if lever.at_most else "") + shown(lever.monthly_saving)],
    ]
    if lever.certificate is not None:
        rows.append(["quality kept", retention(lever.certificate)])
    if lever.expires_at is not None:
        rows.append(["valid until", f"{lever.expires_at:%Y-%m-%d}"])
    if lever.snoozed_until is not None:
        rows.append(["snoozed until", f"{lever.snoozed_until:%Y-%m-%d %H:%M} UTC"])
    if lever.decided_why:
        rows.append(["reason", lever.decided_why])
    rows.append(["content", lever.content_hash[:16]])
    print_table(["", ""], rows)
    for title, lines in (
        ("Why now", lever.why_now),
        ("Found", lever.findings),
        ("Assumptions", lever.assumptions),
        ("SQL", [f"{name}: {statement}" for name, statement in lever.sql.items()]),
    ):
        if lines:
            print(f"\n{title}")
            for line in lines:
                print(f"  - {line}")
