"""List what could run on a cheaper model, the dearest use case first, each with its evidence and state.

The list is worked out from stored calls and shadow pairs and kept in the store, so that an id can be acted on:
`tierwise policy apply --recommendation ID` puts one in force.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from datetime import UTC, datetime

from tierwise.cli.options import add_json, add_seed, add_signature, add_store, moment, opened_store, share, who
from tierwise.cli.recommendation_cards import (
    print_explanation,
    print_lever,
    print_levers,
    print_recommendation,
    print_recommendations,
)
from tierwise.cli.scoring import add_scoring, scoring_prices
from tierwise.cli.terminal import print_json, progress
from tierwise.errors import SettingsError, StoreError

EXAMPLES = """\
  tierwise recommend
  tierwise recommend rec_760c1b652445                 # one in full
  tierwise recommend rec_760c --explain               # each number with the SQL that gives it again
  tierwise recommend --levers --offline nightly-report  # batches, caches, failures, retired models…
  tierwise recommend rec_760c --dismiss --why "contract names the model"
  tierwise recommend rec_760c --snooze 2027-01-15
  tierwise recommend --json | jq '.[] | select(.state == "certified")'
"""


def configure(parser: ArgumentParser) -> None:
    parser.add_argument("id", nargs="?", metavar="ID", help="show this one in full (a unique beginning is enough)")
    action = parser.add_mutually_exclusive_group()
    action.add_argument("--explain", action="store_true", help="show the SQL behind each number of ID")
    action.add_argument("--levers", action="store_true", help="list ways to save other than another model, or show ID")
    action.add_argument("--dismiss", action="store_true", help="put ID away for good; give the reason with --why")
    action.add_argument("--snooze", type=moment, metavar="DATE", help="put ID away until DATE")
    action.add_argument("--reopen", action="store_true", help="take ID up again")
    parser.add_argument(
        "--offline", action="append", default=[], metavar="USE_CASE", help="nobody waits for its answers (repeatable)"
    )
    parser.add_argument("--rho", type=share, default=0.95, metavar="R", help="share of quality to keep (default: 0.95)")
    parser.add_argument("--alpha", type=share, default=0.05, metavar="A", help="chance of being wrong (default: 0.05)")
    add_scoring(parser)
    add_signature(parser)
    add_seed(parser)
    add_store(parser)
    add_json(parser)


def run(options: Namespace) -> int:
    from tierwise.recommend import actions

    named: str | None = options.id
    if named is None and (options.dismiss or options.snooze or options.reopen or options.explain):
        raise SettingsError("--dismiss, --snooze, --reopen and --explain need the ID of a recommendation")
    if options.levers or (named is not None and named.startswith("lev_")):
        return _levers(options)
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
                    store,
                    now=datetime.now(UTC),
                    rho=options.rho,
                    alpha=options.alpha,
                    seed=options.seed,
                    scoring=scoring_prices(options),
                )
            if named is None:
                print_recommendations(items, as_json=options.json)
                return 0
        item = actions.find(store, named or "")
    if options.explain:
        print_explanation(item, as_json=options.json)
    elif options.json:
        print_json(item.to_dict())
    else:
        print_recommendation(item)
    return 0


def _levers(options: Namespace) -> int:
    from tierwise.recommend.levers import find_levers

    with opened_store(options) as store, progress("Looking at what else the calls show…"):
        found = find_levers(
            store,
            now=datetime.now(UTC),
            offline=options.offline,
            rho=options.rho,
            alpha=options.alpha,
            seed=options.seed,
        )
    if options.id is None:
        print_levers(found, as_json=options.json)
        return 0
    named = [lever for lever in found if lever.id.startswith(options.id)]
    if len(named) != 1:
        raise StoreError(f"{len(named)} levers begin with {options.id!r}; `tierwise recommend --levers` lists them")
    print_lever(named[0], as_json=options.json)
    return 0
