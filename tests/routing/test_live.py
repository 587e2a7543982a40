from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tierwise.call import Decision, Request
from tierwise.errors import PolicyError
from tierwise.routing import live
from tierwise.routing.breaker import Breaker
from tierwise.routing.live import KnownConversations, Router
from tierwise.routing.policy import Policy, dump
from tierwise.routing.rule import Rule, ShadowPlan
from tierwise.routing.source import SourceUnavailable
from tierwise.settings import Settings

MakeRequest = Callable[..., Request]

OPUS, HAIKU = "claude-opus-5-5", "claude-haiku-5-5"
ROUTING = Policy(1, "enforce", (Rule("r", "route", to=HAIKU),))


@pytest.fixture
def started() -> Iterator[Callable[[Router], Router]]:
    """Starts a router and stops it when the test ends."""
    routers: list[Router] = []

    def start(router: Router) -> Router:
        router.start()
        routers.append(router)
        return router

    yield start
    for router in routers:
        router.stop()


def _eventually(condition: Callable[[], bool], timeout_s: float = 5.0) -> bool:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.005)
    return condition()


def _settings(location: str | Path, **fields: Any) -> Settings:
    return Settings(policy=str(location), policy_poll_s=0.05, **fields)


@pytest.fixture
def policy_file(tmp_path: Path) -> Path:
    path = tmp_path / "policy.toml"
    path.write_text(dump(ROUTING), encoding="utf-8")
    return path


def test_a_router_without_policy_changes_nothing(make_request: MakeRequest):
    """No policy set: every call goes out as it came, and there is no mode but off."""
    router = Router(Settings())
    router.start()

    assert router.decide(make_request()) == Decision(OPUS, OPUS, reason="no policy")
    assert router.shadow(make_request(), Decision(OPUS, OPUS)) is None
    assert (router.policy, router.mode) == (None, "off")


def test_the_policy_file_is_in_force_when_start_returns(
    policy_file: Path, make_request: MakeRequest, started: Callable[[Router], Router]
):
    """The first call after start() is already decided by the file."""
    router = started(Router(_settings(policy_file)))

    assert router.policy == ROUTING
    assert router.decide(make_request()).sent_model == HAIKU


def test_a_bad_or_missing_file_raises_at_start(tmp_path: Path):
    """A file that cannot be used is a mistake to hear about at once."""
    bad = tmp_path / "bad.toml"
    bad.write_text('mode = "on"', encoding="utf-8")

    with pytest.raises(PolicyError, match=r"bad\.toml, line 1: "):
        Router(_settings(bad)).start()
    with pytest.raises(PolicyError, match=r"cannot be read: No such file .*TIERWISE_POLICY"):
        Router(_settings(tmp_path / "none.toml")).start()


def test_switching_off_in_the_file_takes_effect_by_itself(
    policy_file: Path, make_request: MakeRequest, started: Callable[[Router], Router]
):
    """mode = off in the file stops routing within a poll, without a restart."""
    router = started(Router(_settings(policy_file)))

    policy_file.write_text(dump(Policy(2, "off", ROUTING.rules)), encoding="utf-8")

    assert _eventually(lambda: router.mode == "off")
    assert router.decide(make_request()) == Decision(OPUS, OPUS, 2, reason="off")


def test_a_bad_reload_keeps_the_last_good_policy_and_says_so_once(
    policy_file: Path, make_request: MakeRequest, caplog: pytest.LogCaptureFixture
):
    """The app goes on under the policy it has; the refusal is one WARNING however often the file is looked at."""
    router = Router(_settings(policy_file))
    router.refresh()

    policy_file.write_text('mode = "on"', encoding="utf-8")
    with caplog.at_level(logging.WARNING, logger="tierwise"):
        router.refresh()
        router.refresh()

    assert router.decide(make_request()).sent_model == HAIKU
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "refused, and version 1 stays in force: " in caplog.text
    assert "line 1" in caplog.text


def test_a_file_that_disappears_keeps_the_policy_and_is_mentioned_once(
    policy_file: Path, make_request: MakeRequest, caplog: pytest.LogCaptureFixture
):
    """A deleted file is not a policy without rules."""
    router = Router(_settings(policy_file))
    router.refresh()

    policy_file.unlink()
    with caplog.at_level(logging.WARNING, logger="tierwise"):
        router.refresh()
        router.refresh()

    assert router.decide(make_request()).sent_model == HAIKU
    assert caplog.text.count("cannot be read") == 1


class LateSource:
    """A URL that answers only after a while."""

    def __init__(self) -> None:
        self.text: str | None = None
        self.looks = 0

    def read_if_changed(self) -> Any:
        self.looks += 1
        if self.text is None:
            raise SourceUnavailable("http://policy.test cannot be reached: nobody listens")
        from tierwise.routing.source import PolicyText

        return PolicyText(self.text, "http://policy.test")


def test_an_unreachable_url_lets_the_app_start_and_is_tried_again(
    make_request: MakeRequest,
    monkeypatch: pytest.MonkeyPatch,
    started: Callable[[Router], Router],
    caplog: pytest.LogCaptureFixture,
):
    """start() returns at once without a policy; when the URL answers its policy comes into force."""
    source = LateSource()
    monkeypatch.setattr(live, "policy_source", lambda location, token, key: source)
    with caplog.at_level(logging.INFO, logger="tierwise"):
        router = started(Router(_settings("http://policy.test")))
        assert _eventually(lambda: source.looks >= 2)
        assert router.decide(make_request()).sent_model == OPUS

        source.text = dump(ROUTING)
        assert _eventually(lambda: router.policy is not None)
        assert _eventually(lambda: "can be read again" in caplog.text)

    assert router.decide(make_request()).sent_model == HAIKU
    assert caplog.text.count("cannot be reached") == 1


@pytest.mark.parametrize(
    ("setting", "in_policy", "in_force"),
    [
        (None, "enforce", "enforce"),
        (None, "shadow", "shadow"),
        ("shadow", "enforce", "shadow"),
        ("enforce", "shadow", "enforce"),
        ("off", "enforce", "off"),
        ("enforce", "off", "off"),
    ],
)
def test_off_wins_wherever_it_is_said(setting: Any, in_policy: Any, in_force: str):
    """The setting overrides the policy's mode, but neither can undo an off of the other."""
    router = Router(Settings(mode=setting), policy=Policy(1, in_policy))

    assert router.mode == in_force


def test_the_kill_switch_does_not_even_read_the_file(tmp_path: Path, make_request: MakeRequest):
    """TIERWISE_MODE=off beats a policy file that would be refused."""
    bad = tmp_path / "bad.toml"
    bad.write_text("][", encoding="utf-8")
    router = Router(_settings(bad, mode="off"))

    router.start()

    assert not router.decide(make_request()).changed


def test_an_error_of_ours_changes_nothing(
    make_request: MakeRequest, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    """When deciding fails the call goes out as it came; outside tests nobody sees more than a log line."""

    def broken(*args: object, **fields: object) -> Decision:
        raise RuntimeError("prompt text")

    router = Router(Settings(), policy=ROUTING)
    monkeypatch.setattr(live, "decide", broken)
    with pytest.raises(RuntimeError):
        router.decide(make_request())

    monkeypatch.setenv("TIERWISE_FIREWALL", "swallow")
    with caplog.at_level(logging.WARNING, logger="tierwise"):
        decision = router.decide(make_request())

    assert (decision.sent_model, decision.decision, decision.arm) == (OPUS, "unchanged", None)
    assert "prompt text" not in caplog.text


def test_a_target_that_keeps_failing_is_left_alone(make_request: MakeRequest, caplog: pytest.LogCaptureFixture):
    """Failures of routed calls suspend the rule; failures of calls that were not routed do not."""
    router = Router(Settings(), policy=ROUTING, breaker=Breaker(failures=2))
    routed = router.decide(make_request())
    for _ in range(5):
        router.note_failure(Decision(OPUS, OPUS, 1, "r", "control"), "RateLimitError")
        router.note_failure(Decision(OPUS, OPUS), "RateLimitError")
    assert router.decide(make_request()).changed

    with caplog.at_level(logging.WARNING, logger="tierwise"):
        router.note_failure(routed, "RateLimitError")
        router.note_failure(routed, "RateLimitError")

    assert router.decide(make_request()).decision == "refused"
    assert "Rule r is suspended" in caplog.text


def test_a_routed_conversation_carries_on_with_its_own_state(make_request: MakeRequest):
    """Thinking blocks of the target come back in the next turn, and the conversation stays on the target."""
    router = Router(Settings(), policy=ROUTING)
    history: list[dict[str, Any]] = [{"role": "user", "content": "One?"}]
    assert router.decide(make_request({"messages": list(history)})).sent_model == HAIKU

    history += [{"role": "assistant", "content": [{"type": "thinking"}]}, {"role": "user", "content": "Two?"}]

    assert router.decide(make_request({"messages": history})).sent_model == HAIKU
    assert Router(Settings(), policy=ROUTING).decide(make_request({"messages": history})).decision == "refused"


def test_a_conversation_is_on_the_model_that_answered(make_request: MakeRequest):
    """Once another model than the one decided on has answered, its state is not sent to the target."""
    router = Router(Settings(), policy=ROUTING)
    history: list[dict[str, Any]] = [{"role": "user", "content": "One?"}]
    first = make_request({"messages": list(history)})
    router.decide(first)
    router.note_answer(first, first.model)

    history += [{"role": "assistant", "content": [{"type": "thinking"}]}, {"role": "user", "content": "Two?"}]

    assert router.decide(make_request({"messages": history})).decision == "refused"


def test_known_conversations_are_bounded():
    """The least recently seen conversation is forgotten first."""
    known = KnownConversations(limit=2)
    known.note("a", "x")
    known.note("b", "x")
    known.note("a", "y")

    known.note("c", "x")

    assert dict(known.models) == {"a": "y", "c": "x"}


def test_shadow_calls_are_drawn_and_paid_for(make_request: MakeRequest):
    """shadow() gives a draw while the budget lasts; spent() books what it cost."""

    def estimate(request: Request, model: str) -> Decimal | None:
        return Decimal("0.6")

    plan = ShadowPlan(1.0, Decimal(1), {OPUS: (HAIKU,)})
    router = Router(Settings(), policy=Policy(1, "shadow", (), plan), rng=Random(1), estimate=estimate)
    decision = router.decide(make_request())

    draw = router.shadow(make_request(), decision)
    assert draw is not None
    assert router.shadow(make_request(), decision) is None
    router.spent(Decimal("0.1"), draw)
    assert router.shadow(make_request(), decision) is not None
    router.spent(Decimal("0.1"))

    off = Router(Settings(mode="off"), policy=Policy(1, "shadow", (), plan), estimate=estimate)
    assert off.shadow(make_request(), decision) is None


def test_stopping_ends_the_thread_and_keeps_the_policy(policy_file: Path, make_request: MakeRequest):
    """After stop() nothing polls any more; the policy in force stays; start() again begins anew."""
    router = Router(_settings(policy_file))
    router.start()
    router.start()
    assert [thread.name for thread in threading.enumerate()].count("tierwise-policy") == 1

    router.stop()

    assert "tierwise-policy" not in [thread.name for thread in threading.enumerate()]
    assert router.decide(make_request()).sent_model == HAIKU
    router.start()
    assert "tierwise-policy" in [thread.name for thread in threading.enumerate()]
    router.stop()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform has no fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_goes_on_polling(policy_file: Path, started: Callable[[Router], Router]):
    """A worker forked after start() sees a new policy, though the parent's thread is not in it."""
    router = started(Router(_settings(policy_file)))
    readable, writable = os.pipe()

    child = os.fork()
    if child == 0:
        seen = _eventually(lambda: router.policy is not None and router.policy.version == 2)
        os.write(writable, b"y" if seen else b"n")
        os._exit(0)
    policy_file.write_text(dump(Policy(2, "enforce", ROUTING.rules)), encoding="utf-8")
    answer = os.read(readable, 1)
    os.waitpid(child, 0)

    assert answer == b"y"
