from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tierwise.recommend.recommendation import Scope
from tierwise.recommend.timing import VALID_FOR, expires_at, retirement, why_now

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def scope(model: str) -> Scope:
    return Scope("uc_1", None, "extraction", "anthropic", model)


def test_a_retirement_within_reach_is_a_reason() -> None:
    """The date on which the present model goes is said, before and after it."""
    retires = retirement("anthropic", "claude-sonnet-4-5")
    assert retires is not None

    before = why_now(scope("claude-sonnet-4-5"), "claude-haiku-5-5", "unproven", since=NOW, now=retires - timedelta(1))
    after = why_now(scope("claude-sonnet-4-5"), "claude-haiku-5-5", "unproven", since=NOW, now=retires)
    long_before = why_now(
        scope("claude-sonnet-4-5"), "claude-haiku-5-5", "unproven", since=NOW, now=retires - timedelta(200)
    )

    assert any("is retired on" in line for line in before)
    assert any("no longer served" in line for line in after)
    assert not any("retired" in line for line in long_before)


def test_a_newer_generation_and_a_certificate_are_reasons() -> None:
    """What changed is said; without any change there is nothing to say."""
    lines = why_now(scope("claude-haiku-4-5"), "claude-haiku-5-5", "certified", since=NOW, now=NOW)

    assert "claude-haiku-5-5 is the newer generation of claude-haiku-4-5, and costs less" in lines
    assert "there are enough pairs now to certify it" in lines
    assert why_now(scope("claude-opus-5-5"), "claude-haiku-5-5", "unproven", since=NOW, now=NOW) == ()


def test_a_price_that_changed_in_the_window_is_a_reason() -> None:
    """A new price of either model within the window is said with its day."""
    openai = Scope("uc_1", None, "extraction", "openai", "gpt-5.5")
    since, now = datetime(2026, 7, 1, tzinfo=UTC), datetime(2026, 8, 15, tzinfo=UTC)

    lines = why_now(openai, "gpt-5.6-luna", "unproven", since=since, now=now)

    assert any(line.startswith("the price of gpt-5.6-luna changed on 2026-0") for line in lines)


def test_it_expires_after_two_weeks_or_with_the_target() -> None:
    """A target that goes earlier makes it expire earlier."""
    retires = retirement("anthropic", "claude-sonnet-4-5")
    assert retires is not None

    assert expires_at(scope("claude-opus-5-5"), "claude-haiku-5-5", now=NOW) == NOW + VALID_FOR
    assert expires_at(scope("claude-opus-5-5"), "claude-sonnet-4-5", now=retires - timedelta(3)) == retires
