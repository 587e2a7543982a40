"""The demo's summary for a person at a terminal."""

from __future__ import annotations

from tierwise.cli.figures import percent, retention, shown
from tierwise.cli.terminal import print_table, usd
from tierwise.demo.story import CANDIDATES, STANDS_FOR
from tierwise.demo.summary import Summary
from tierwise.recommend.recommendation import Recommendation
from tierwise.recommend.verify import Verification


def print_summary(summary: Summary) -> None:
    """Everything the demo found, with what it rests on."""
    print()
    _say_what_is_real(summary)
    print(
        f"{summary.calls:,} calls cost {usd(summary.spend_usd)}: {percent(summary.priced_share)} of calls priced, "
        f"{percent(summary.classified_share)} of spend classified.\n"
        f"Finding out cost {usd(summary.evaluation_cost_usd)} more, in shadow calls.\n"
    )
    print_table(
        ["use case", "task", "from", "to", ">spend", ">saves", ">quality kept", "state"],
        [_recommendation(item) for item in summary.recommendations],
        title="Recommendations. Quality kept: scored by the prompts' own reference answers, bounds valid at any look",
    )
    print()
    print_table(
        ["rule", ">moved", ">kept back", ">predicted per call", ">realised per call", ">score change"],
        [_verification(item) for item in summary.verifications],
        title=f"Policy version {summary.policy.version}, against the calls it kept back",
    )
    print()
    if summary.certificate is not None:
        print(f"quality    {summary.certificate.describe()}")
        print("           the policy as a whole, on pairs that were not used to choose its rules")
    print(f"predicted  {shown(summary.saving.predicted)} saved on the calls that moved")
    print(f"realised   {shown(summary.saving.realised)}{_verdict(summary)}")
    print(f"\nEvery number above is a query on {summary.db_path}. Took {summary.seconds:.0f} s.")


def _say_what_is_real(summary: Summary) -> None:
    print("Prompts are real (ZeroEval, MMLU-Pro). Answers are replayed, and each model name stands for an older model:")
    for requested, targets in CANDIDATES.items():
        for name in (requested, *targets):
            print(f"  {name:<16} answers with what {STANDS_FOR[name]} wrote")
    print(f"Prices are today's ({summary.price_version}). Token counts came with the data and are estimates.\n")


def _recommendation(item: Recommendation) -> list[str]:
    return [
        item.scope.label,
        item.scope.task_type,
        item.scope.request_model,
        item.target if item.share == 1.0 else f"{item.target}, {item.share:.0%} of calls",
        usd(item.spend_usd),
        shown(item.saving_share),
        retention(item.certificate),
        item.state,
    ]


def _verification(item: Verification) -> list[str]:
    comparison = item.comparison
    predicted = "nothing predicted"
    if comparison is not None and comparison.low is not None:
        predicted = f"{usd(comparison.low)} to {usd(comparison.high)}"
    elif comparison is not None:
        predicted = shown(comparison.predicted.per_call)
    return [
        item.rule_id,
        f"{item.realised.n_treated:,}",
        f"{item.realised.n_kept:,}",
        predicted,
        shown(item.realised.per_call),
        shown(item.realised.quality.change),
    ]


def _verdict(summary: Summary) -> str:
    if summary.saving.covered is None:
        return ""
    return ", inside the predicted interval" if summary.saving.covered else ", OUTSIDE the predicted interval"
