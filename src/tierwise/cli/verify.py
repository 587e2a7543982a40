"""Hold what each rule saved, measured on its own arms, against what was predicted when it was approved."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tierwise.cli.options import add_json, add_seed, add_store, moment, opened_store
from tierwise.cli.terminal import print_json, print_table, progress, usd

if TYPE_CHECKING:
    from tierwise.recommend.verify import Verification

EXAMPLES = """\
  tierwise verify
  tierwise verify --since 2026-11-01 --json
  tierwise verify --strict          # exit code 1 when something speaks against a rule, for a scheduled job
"""


def configure(parser: ArgumentParser) -> None:
    parser.add_argument("--since", type=moment, metavar="DATE", help="look no further back than DATE")
    parser.add_argument(
        "--strict", action="store_true", help="exit with 1 when something speaks against a rule in force"
    )
    add_seed(parser)
    add_store(parser)
    add_json(parser)


def run(options: Namespace) -> int:
    from tierwise.recommend.verify import verify

    with opened_store(options) as store, progress("Measuring…"):
        rules = verify(store, now=datetime.now(UTC), since=options.since, seed=options.seed)
    if options.json:
        print_json(rules)
    elif not rules:
        print("No rule has been in force yet; there is nothing to verify.")
    else:
        _print(rules)
    return 1 if options.strict and any(rule.concerns for rule in rules if rule.share is not None) else 0


def _print(rules: list[Verification]) -> None:
    from tierwise.cli.figures import shown

    def predicted(rule: Verification) -> str:
        comparison = rule.comparison
        if comparison is None:
            return "nothing predicted"
        if comparison.low is None:
            return shown(comparison.predicted.per_call)
        return f"{usd(comparison.low)} to {usd(comparison.high)}"

    print_table(
        ["rule", "target", ">share", ">treated", ">kept", ">saved per call", ">predicted", "verdict", ">saved in all",
         ">quality change", ">failed"],
        [
            [
                rule.rule_id,
                rule.target or "",
                "not in force" if rule.share is None else f"{rule.share:.0%}",
                f"{rule.realised.n_treated:,}",
                f"{rule.realised.n_kept:,}",
                shown(rule.realised.per_call),
                predicted(rule),
                "" if rule.comparison is None else rule.comparison.verdict,
                shown(rule.realised.total),
                shown(rule.realised.quality.change),
                f"{rule.realised.fell_back + rule.realised.failed:,}",
            ]
            for rule in rules
        ],
    )  # fmt: skip
    for rule in rules:
        for concern in rule.concerns:
            print(f"  ! {rule.rule_id}: {concern}")
