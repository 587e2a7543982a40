"""List what could run on a cheaper model, the dearest use case first, each with its evidence and state.

The list is worked out from stored calls and shadow pairs and kept in the store, so that an id can be acted on:
`tierwise policy apply --recommendation ID` puts one in force.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tierwise.cli.options import add_json, add_seed, add_signature, add_store, moment, opened_store, share, who
from tierwise.cli.terminal import print_json, print_table, progress, usd
from tierwise.errors import SettingsError

if TYPE_CHECKING:
    from tierwise.recommend import Recommendation

EXAMPLES = """\
  tierwise recommend
  tierwise recommend rec_760c1b652445                 # one in full
  tierwise recommend rec_760c --dismiss --why "contract names the model"
  tierwise recommend rec_760c --snooze 2027-01-15
  tierwise recommend --json | jq '.[] | select(.state == "certified")'
"""


def configure(parser: ArgumentParser) -> None:
    parser.add_argument("id", nargs="?", metavar="ID", help="show this one in full (a unique beginning is enough)")
    action = parser.add_mutually_exclusive_group()
    action.add_argument("--dismiss", action="store_true", help="put ID away for good; give the reason with --why")
    action.add_argument("--snooze", type=moment, metavar="DATE", help="put ID away until DATE")
    action.add_argument("--reopen", action="store_true", help="take ID up again")
    parser.add_argument("--rho", type=share, default=0.95, metavar="R", help="share of quality to keep (default: 0.95)")
    parser.add_argument("--alpha", type=share, default=0.05, metavar="A", help="chance of being wrong (default: 0.05)")
    add_signature(parser)
    add_seed(parser)
    add_store(parser)
    add_json(parser)


def run(options: Namespace) -> int:
    from tierwise.recommend import actions

    named: str | None = options.id
    if named is None and (options.dismiss or options.snooze or options.reopen):
        raise SettingsError("--dismiss, --snooze and --reopen need the ID of a recommendation")
    with opened_store(options, writing=True) as store:
        if named is not None and options.dismiss:
            actions.dismiss(store, named, reason=options.why, who=who(options))
        elif named is not None and options.snooze:
            actions.snooze(store, named, until=options.snooze, who=who(options), why=options.why)
        elif named is not None and options.reopen:
            actions.reopen(store, named, who=who(options), why=options.why)
        else:
            with progress("Weighing the evidence…"):
                items = actions.refresh(
                    store, now=datetime.now(UTC), rho=options.rho, alpha=options.alpha, seed=options.seed
                )
            if named is None:
                _print_list(items, as_json=options.json)
                return 0
        item = actions.find(store, named or "")
    if options.json:
        print_json(item.to_dict())
    else:
        _print_card(item)
    return 0


def _print_list(items: list[Recommendation], *, as_json: bool) -> None:
    from tierwise.cli.figures import retention, shown, span

    if as_json:
        print_json([item.to_dict() for item in items])
        return
    if not items:
        print("No recommendations: no priced use case in the last 30 days has a cheaper model that could serve it.")
        return
    rows = [
        [
            item.id,
            item.state,
            item.scope.label,
            f"{item.scope.request_model} → {item.target}",
            f"{item.calls:,}",
            usd(item.spend_usd),
            shown(item.window_saving),
            retention(item.certificate),
        ]
        for item in items
    ]
    columns = ["id", "state", "use case", "model", ">calls", ">spend", ">saving", ">quality kept"]
    print_table(columns, rows, title=f"In the last {span(items[0].window_days)}, had every call moved")


def _print_card(item: Recommendation) -> None:
    from tierwise.cli.figures import latency, retention, shown, span

    print(f"{item.scope.label}: {item.scope.request_model} → {item.target}   [{item.state}]")
    rows = [
        ["id", item.id],
        ["calls", f"{item.calls:,} in the last {span(item.window_days)}"],
        ["spend", usd(item.spend_usd)],
        ["saving", f"{shown(item.window_saving)}, {shown(item.saving_share)} of it"],
        ["saving a month", shown(item.monthly_saving)],
        ["quality kept", retention(item.certificate)],
        ["scores", f"{item.evaluation} ({item.evaluation_source})" if item.evaluation else "none"],
        ["time to answer", latency(item.latency)],
        ["evidence cost", usd(item.evaluation_cost_usd)],
    ]
    if item.needed.pairs:
        days = "" if item.needed.days is None else f", about {item.needed.days:,.0f} days"
        cost = "" if item.needed.cost_usd is None else f", about {usd(item.needed.cost_usd)}"
        rows.append(["still needed", f"{item.needed.pairs:,} scored pairs{cost}{days}"])
    if item.snoozed_until is not None:
        rows.append(["snoozed until", f"{item.snoozed_until:%Y-%m-%d %H:%M} UTC"])
    if item.decided_why:
        rows.append(["reason", item.decided_why])
    print_table(["", ""], rows)
    for title, lines in (
        ("Missing", item.missing),
        ("Compatibility", item.compatibility),
        ("Assumptions", item.assumptions),
        ("Alternatives", [f"{other.target}: {other.why_not}" for other in item.alternatives]),
    ):
        if lines:
            print(f"\n{title}")
            for line in lines:
                print(f"  - {line}")
