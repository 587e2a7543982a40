from __future__ import annotations

from datetime import UTC, datetime

import policies
import pytest

from tierwise.routing.policy import Policy
from tierwise.store import PolicyRecord


def test_no_version_is_the_policy_that_does_nothing() -> None:
    """Before the first version there are no rules."""
    assert policies.parsed(None) == Policy()


def test_stored_text_is_read() -> None:
    """A version is read with its mode."""
    record = PolicyRecord(4, 'mode = "off"', "hash", "ada", "", "off", datetime(2026, 11, 24, tzinfo=UTC))

    assert policies.parsed(record).mode == "off"


@pytest.mark.parametrize("text", ['mode = "on"', "mode = ", 'mod = "off"'])
def test_problem_says_why(text: str) -> None:
    """A text that is no policy is explained, with the file it is meant to be."""
    problem = policies.problem(text)

    assert problem is not None
    assert problem.startswith("policy.toml")


def test_policy_has_no_problem() -> None:
    """A policy is left alone."""
    assert policies.problem('mode = "shadow"') is None
