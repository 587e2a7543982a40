"""The options that say what judging and reviewing cost."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError, Namespace
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tierwise.savings.evaluation_cost import ScoringPrices


def add_scoring(parser: ArgumentParser) -> None:
    parser.add_argument("--judge-usd", type=usd_amount, metavar="USD", help="what a judge costs for one pair")
    parser.add_argument("--review-usd", type=usd_amount, metavar="USD", help="what a person costs for one pair")


def scoring_prices(options: Namespace) -> ScoringPrices:
    """What the options say."""
    from tierwise.savings.evaluation_cost import ScoringPrices

    return ScoringPrices(judge_usd=options.judge_usd, review_usd=options.review_usd)


def usd_amount(text: str) -> Decimal:
    """`0.02`: an amount of 0 or more."""
    try:
        amount = Decimal(text)
    except InvalidOperation as error:
        raise ArgumentTypeError(f"{text!r} is no amount in USD, such as 0.02") from error
    if not amount.is_finite() or amount < 0:
        raise ArgumentTypeError(f"{text!r} is no amount of 0 or more")
    return amount
