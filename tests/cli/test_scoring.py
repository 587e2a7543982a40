from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError
from decimal import Decimal

import pytest

from tierwise.cli.scoring import add_scoring, scoring_prices, usd_amount


def test_the_options_become_prices() -> None:
    """What is given is exact, what is not is unknown."""
    parser = ArgumentParser()
    add_scoring(parser)

    found = scoring_prices(parser.parse_args(["--judge-usd", "0.02"]))

    assert (found.judge_usd, found.review_usd) == (Decimal("0.02"), None)


@pytest.mark.parametrize("text", ["a lot", "-1", "nan", "inf"])
def test_an_amount_is_a_number_of_zero_or_more(text: str) -> None:
    """Anything else is wrong usage."""
    with pytest.raises(ArgumentTypeError, match=text):
        usd_amount(text)
