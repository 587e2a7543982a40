"""List what could run on a cheaper model, the dearest use case first, each with its evidence and state.

The list is worked out from stored calls and shadow pairs and kept in the store, so that an id can be acted on:
`tierwise policy apply --recommendation ID` puts one in force. Ways to save other than another model (levers) are kept
beside them: `--claim` says that somebody has taken one up.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

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

if TYPE_CHECKING:
    from tierwise.recommend.levers import Lever
    from tierwise.store import Store

EXAMPLES = """\
  tierwise recommend
  tierwise recommend rec_760c1b652445                 # one in full
  tierwise recommend rec_760c --explain               # each number with the SQL that gives it again
  tierwise recommend --levers --offline nightly-report  # batches, caches, failures, retired models…
  tierwise recommend rec_760c --dismiss --why "contract names the model"
  tierwise recommend rec_760c --snooze 2027-01-15
  tierwise recommend lev_1f2e --claim --why "batch job since Monday"
  tierwise recommend --json | jq '.[] | select(.state == "certified")'
"""


def configure(parser: ArgumentParser) -> None:
    parser.add_argument("id", nargs="?", metavar="ID", help="show this one in full (a unique beginning is enough)")
    action = parser.add_mutually_exclusive_group()
    action.add_argument("--explain", action="store_true", help="show the SQL behind each number of ID")
    action.add_argument("--levers", action="store_true", help="list ways to save other than another model, or show ID")
    action.add_argument("--dismiss", action="store_true", help="put ID away for good; give the reason with --why")
    action.add_argument("--snooze", type=moment, metavar="DATE", help="put ID away until DATE")
    action.add_argument("--claim", action="store_true", help="say that lever ID has been taken up, with --why")
    action.add_argument("--reopen", action="store_true", help="take ID up again")
    parser.add_argument(
        "--offline", action="append", default=[], metavar="USE_CASE", help="nobody waits for its answers (repeatable)"
    )
    parser.add_argument(
        "--as-of", type=moment, metavar="TIME", help="as it was at TIME, at its prices; nothing is kept in the store"
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
    if named is None and (options.dismiss or options.snooze or options.reopen or options.claim or options.explain):
        raise SettingsError("--dismiss, --snooze, --claim, --reopen and --explain need the ID of a recommendation")
    if options.levers or (named is not None and named.startswith("lev_")):
        return _levers(options)
    if options.claim:
        raise SettingsError("--claim is for levers; `tierwise policy apply --recommendation ID` puts a model in force")
    if options.as_of is not None:
        return _as_of(options)
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
                levers = _refreshed_levers(store, options) if named is None else []
            if named is None:
                print_recommendations(items, levers, as_json=options.json)
                return 0
        item = actions.find(store, named or "")
    if options.explain:
        print_explanation(item, as_json=options.json)
    elif options.json:
        print_json(item.to_dict())
    else:
        print_recommendation(item)
    return 0


def _as_of(options: Namespace) -> int:
    """What was to be recommended at an earlier moment."""
    from tierwise.recommend import recommend

    if options.dismiss or options.snooze or options.reopen:
        raise SettingsError("--as-of only looks back; decide about a recommendation as it is now")
    with opened_store(options) as store, progress("Weighing the evidence…"):
        found = recommend(
            store,
            now=options.as_of,
            rho=options.rho,
            alpha=options.alpha,
            seed=options.seed,
            scoring=scoring_prices(options),
        )
    if options.id is None:
        print_recommendations(found, [], as_json=options.json)
        return 0
    named = [item for item in found if item.id.startswith(options.id)]
    if len(named) != 1:
        raise StoreError(f"{len(named)} recommendations as of {options.as_of:%Y-%m-%d %H:%M} begin with {options.id!r}")
    if options.explain:
        print_explanation(named[0], as_json=options.json)
    elif options.json:
        print_json(named[0].to_dict())
    else:
        print_recommendation(named[0])
    return 0


def _levers(options: Namespace) -> int:
    from tierwise.recommend import kept_levers

    named: str | None = options.id
    decided = options.dismiss or options.snooze or options.claim or options.reopen
    with opened_store(options, writing=True) as store:
        if named is not None and options.dismiss:
            kept_levers.dismiss_lever(store, named, reason=options.why, who=who(options))
        elif named is not None and options.snooze:
            kept_levers.snooze_lever(store, named, until=options.snooze, who=who(options), why=options.why)
        elif named is not None and options.claim:
            kept_levers.claim_lever(store, named, who=who(options), why=options.why, now=datetime.now(UTC))
        elif named is not None and options.reopen:
            kept_levers.reopen_lever(store, named, who=who(options), why=options.why)
        if not decided:
            with progress("Looking at what else the calls show…"):
                found = _refreshed_levers(store, options)
            if named is None:
                print_levers(found, as_json=options.json)
                return 0
        item = kept_levers.find_lever(store, named or "")
    print_lever(item, as_json=options.json)
    return 0


def _refreshed_levers(store: Store, options: Namespace) -> list[Lever]:
    from tierwise.recommend.kept_levers import refresh_levers

    return refresh_levers(
        store,
        now=datetime.now(UTC),
        offline=options.offline,
        rho=options.rho,
        alpha=options.alpha,
        seed=options.seed,
    )
