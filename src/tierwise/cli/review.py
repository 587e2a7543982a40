"""Judge pairs of answers blind: which is better, A or B? What you say scores both, and corrects checks and judges."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tierwise.cli.options import add_json, add_signature, add_store, opened_store, resolved, who
from tierwise.cli.terminal import print_json, print_table
from tierwise.errors import StoreError

if TYPE_CHECKING:
    from tierwise.review.agreement import ReviewSummary
    from tierwise.review.retune import Tuning
    from tierwise.store import Store

EXAMPLES = """\
  tierwise review                                     # a or b better, t both good, n neither, s skip, u undo, q quit
  tierwise review --use-case support-replies --limit 20
  tierwise review --summary --json                    # what was reviewed, and who agrees with people
  tierwise review --export pairs.jsonl                # for reviewers elsewhere; fill in "verdict"
  tierwise review --import pairs.jsonl --who ada
  tierwise review --retune                            # what reviews say about a cascade's triggers
  tierwise review --retune --apply --why "reviews of November"
"""


def configure(parser: ArgumentParser) -> None:
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--summary", action="store_true", help="only say what was reviewed and how far checks agree")
    what.add_argument("--export", metavar="FILE", help="write the waiting pairs as JSON lines; - is standard output")
    what.add_argument("--import", metavar="FILE", dest="import_from", help="record the verdicts in JSON lines")
    what.add_argument("--retune", action="store_true", help="measure what cascades escalate on, and propose a policy")
    parser.add_argument("--apply", action="store_true", help="with --retune: put the proposed policy in force")
    parser.add_argument("--limit", type=int, default=None, metavar="N", help="at most N pairs")
    parser.add_argument("--use-case", action="append", default=[], metavar="NAME", help="only this one; repeatable")
    add_signature(parser)
    add_store(parser)
    add_json(parser)


def run(options: Namespace) -> int:
    filters: dict[str, Any] = {"use_case": options.use_case} if options.use_case else {}
    if options.apply and not options.retune:
        raise StoreError("--apply goes with --retune: `tierwise review --retune --apply`")
    if options.limit is not None and options.limit < 1:
        raise StoreError(f"--limit is {options.limit}; at least 1 pair is needed")
    writing = not (options.summary or options.export or (options.retune and not options.apply))
    with opened_store(options, writing=writing) as store:
        if options.export:
            _export(store, options, filters)
        elif options.import_from:
            _import(store, options)
        elif options.retune:
            _retune(store, options)
        else:
            if not options.summary:
                from tierwise.cli.review_terminal import review

                template = resolved(options).trace_url
                review(
                    store,
                    filters,
                    reviewer=who(options),
                    limit=options.limit,
                    trace_url=template,
                    # With --json standard output is for the document alone.
                    out=sys.stderr if options.json else sys.stdout,
                )
            _print_summary(store, filters, as_json=options.json)
    return 0


def _export(store: Store, options: Namespace, filters: dict[str, Any]) -> None:
    from tierwise.review.exchange import to_line
    from tierwise.review.queue import read_queue, read_shared

    waiting = read_queue(store, filters).waiting[: options.limit]
    template = resolved(options).trace_url
    lines = [to_line(item, read_shared(store, item, trace_url=template)) for item in waiting]
    text = "".join(f"{line}\n" for line in lines)
    if options.export == "-":
        print(text, end="")
        return
    Path(options.export).write_text(text, encoding="utf-8")
    if options.json:
        print_json({"file": options.export, "pairs": len(lines)})
    else:
        print(f"{len(lines):,} pairs written to {options.export}: fill in each verdict (a, b, tie, bad or skip).")


def _import(store: Store, options: Namespace) -> None:
    from tierwise.review.exchange import import_lines

    if options.import_from == "-":
        lines = sys.stdin.readlines()
    else:
        try:
            lines = Path(options.import_from).read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise StoreError(f"{options.import_from}: {error}") from error
    found = import_lines(store, lines, reviewer=who(options), origin=options.import_from)
    if options.json:
        print_json(found)
    else:
        print(
            f"{found.recorded:,} verdicts recorded, {found.undecided:,} lines without one, "
            f"{found.left_out:,} of pairs that no longer wait."
        )


def _retune(store: Store, options: Namespace) -> None:
    from tierwise.review import retune

    tuning = retune.propose(store)
    record = None
    if options.apply and tuning.proposed is not None:
        record = retune.apply(store, tuning, who=who(options), why=options.why)
    if options.json:
        print_json({**tuning.to_dict(), "applied_version": None if record is None else record.version})
        return
    _print_tuning(tuning)
    if record is not None:
        print(f"Policy version {record.version} is in force.")
    elif tuning.proposed is not None:
        print("Nothing was changed: `tierwise review --retune --apply` puts this in force as a new version.")


def _print_tuning(tuning: Tuning) -> None:
    from tierwise.cli.figures import shown

    if not tuning.rules:
        print("No rule of the policy in force escalates; there is nothing to tune.")
        return
    for rule in tuning.rules:
        print_table(
            ["trigger", ">answers", ">fired", ">precision", ">recall", ">AUC", "advice"],
            [
                [
                    f"{trigger.name}{'' if trigger.in_force else ' (not in force)'}",
                    f"{trigger.answers:,}",
                    f"{trigger.fired:,}",
                    shown(trigger.measured.precision),
                    shown(trigger.measured.recall),
                    shown(trigger.measured.auc),
                    trigger.advice,
                ]
                for trigger in rule.triggers
            ],
            title=f"{rule.rule_id}: {shown(rule.wrong)} of the cheaper model's answers were found wrong",
        )
    for change in tuning.changes:
        print(f"  - {change.describe()}")
    if tuning.proposed is None:
        print("The reviews propose no change.")


def _print_summary(store: Store, filters: dict[str, Any], *, as_json: bool) -> None:
    from tierwise.review.agreement import read_summary
    from tierwise.review.queue import read_queue

    summary, queue = read_summary(store, filters), read_queue(store, filters)
    if as_json:
        print_json({**summary.to_dict(), "waiting": len(queue.waiting)})
        return
    print_summary(summary, waiting=len(queue.waiting))


def print_summary(summary: ReviewSummary, *, waiting: int) -> None:
    """What was reviewed, what still waits, and how far checks and judges agree."""
    from tierwise.cli.figures import shown

    counts = summary.verdicts
    print(
        f"{summary.reviewed:,} pairs reviewed, {waiting:,} waiting: the model in use was better in "
        f"{counts['strong']:,}, the cheaper one in {counts['weak']:,}, both were good in "
        f"{counts['both_good']:,} and bad in {counts['both_bad']:,}; {counts['skip']:,} skipped."
    )
    if summary.evaluations:
        print_table(
            ["scores", ">pairs", ">at random", ">agree", ">kappa", ">for the cheaper one"],
            [
                [
                    f"{item.evaluation} ({item.source})",
                    f"{item.pairs:,}",
                    f"{item.at_random:,}",
                    shown(item.agreement.observed),
                    shown(item.agreement.kappa),
                    shown(item.leniency),
                ]
                for item in summary.evaluations
            ],
            title="Agreement with people, on the pairs drawn at random",
        )
