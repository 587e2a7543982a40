"""Work out what a policy would have cost, saved and risked on stored traffic, and what that rests on."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tierwise.cli.options import add_days, add_json, add_seed, add_store, opened_store, positive, share, since
from tierwise.cli.scoring import add_scoring, scoring_prices
from tierwise.cli.terminal import print_json, print_table, progress, usd
from tierwise.errors import PolicyError

if TYPE_CHECKING:
    from tierwise.savings.simulate import Simulation

EXAMPLES = """\
  tierwise simulate                                   # the policy in force
  tierwise simulate --policy policy.toml --days 14
  tierwise simulate --policy policy.toml --share 3 --quality-floor 0.95 --json
"""


def configure(parser: ArgumentParser) -> None:
    parser.add_argument("--policy", metavar="FILE", help="the policy to simulate (default: the one in force)")
    parser.add_argument(
        "--share", type=positive, default=1.0, metavar="X", help="multiply every rule's share by X (default: 1)"
    )
    parser.add_argument(
        "--quality-floor", type=share, metavar="Q", help="leave out rules not certified to keep this share of quality"
    )
    parser.add_argument(
        "--cache-kept",
        type=share,
        default=0.0,
        metavar="S",
        help="share of prompt-cache reads that the target's cache serves too (default: 0)",
    )
    parser.add_argument(
        "--prices-today", action="store_true", help="today's prices for every call, not those of its own time"
    )
    add_scoring(parser)
    add_days(parser)
    add_seed(parser)
    add_store(parser)
    add_json(parser)


def run(options: Namespace) -> int:
    from tierwise.routing import policy as policies
    from tierwise.savings.cells import read_cells
    from tierwise.savings.moves import Pricing
    from tierwise.savings.simulate import WhatIf, simulate

    now = datetime.now(UTC)
    with opened_store(options) as store:
        if options.policy is not None:
            policy = policies.load(options.policy)
        else:
            current = store.current_policy()
            if current is None:
                raise PolicyError("no policy is in force; name one with --policy FILE")
            policy = policies.parse(current.text)
        start = since(options.days)
        with progress("Simulating…"):
            cells = read_cells(store, since=start, until=now, policy=policy)
            pairs = store.query("pairs", until=now)
            shadows = store.query("shadows", until=now)
            result = simulate(
                policy,
                cells.traffic,
                pairs,
                shadows=shadows,
                as_of=now,
                seed=options.seed,
                window_days=days_since(cells.oldest_ns, now),
                what_if=WhatIf(
                    share_multiplier=options.share,
                    quality_floor=options.quality_floor,
                    pricing=Pricing(
                        at_ns=int(now.timestamp() * 1e9) if options.prices_today else None,
                        cache_kept=options.cache_kept,
                    ),
                    scoring=scoring_prices(options),
                ),
            )
    if options.json:
        print_json(result)
    else:
        _print(result)
    return 0


def days_since(oldest_ns: int | None, now: datetime) -> float | None:
    """From the oldest call until now, an hour at least; None without calls."""
    return None if oldest_ns is None else max((now.timestamp() - oldest_ns / 1e9) / 86_400, 1 / 24)


def _print(result: Simulation) -> None:
    from tierwise.cli.figures import latency, percent, retention, shown

    coverage = result.coverage
    print(
        f"{coverage.calls:,} calls in {result.window_days:.1f} days, {percent(coverage.priced_share)} priced; "
        f"of spend {percent(coverage.classified_share)} classified, {percent(coverage.in_scope_share)} under a rule"
    )
    print_table(
        ["", ">"],
        [
            ["billed", usd(result.baseline_usd)],
            ["simulated", usd(result.simulated_usd)],
            ["saving", shown(result.saving)],
            ["  of what was billed", shown(result.saving_share)],
            ["evaluation", usd(result.evaluation_cost_usd)],
            ["saving, net of it", shown(result.net_saving)],
            ["paid back after", "unknown" if result.payback_days is None else f"{result.payback_days:,.1f} days"],
        ],
    )
    if result.rules:
        print()
        print_table(
            ["rule", "target", ">calls", ">moved", ">billed", ">saving", ">quality kept", ">time to answer"],
            [
                [
                    rule.rule_id,
                    rule.target or "",
                    f"{rule.calls:,}",
                    f"{rule.moved_calls:,.0f}",
                    usd(rule.baseline_usd),
                    f"left out: {rule.left_out}" if rule.left_out else shown(rule.saving),
                    retention(rule.certificate),
                    latency(rule.latency),
                ]
                for rule in result.rules
            ],
        )
    for line in result.assumptions:
        print(f"  - {line}")
