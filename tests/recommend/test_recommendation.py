from __future__ import annotations

import json
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from tierwise.errors import StoreError
from tierwise.evidence.estimate import Estimate, NotEnoughData
from tierwise.evidence.retention import certify
from tierwise.recommend.recommendation import (
    Alternative,
    Needed,
    Recommendation,
    Scope,
    TokenUse,
    recommendation_id,
    to_rule,
)
from tierwise.routing.guard import Guard
from tierwise.routing.policy import Policy, dump, parse
from tierwise.savings.latency import LatencyChange
from tierwise.savings.predict import Prediction, from_evidence

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
SCOPE = Scope("uc_1", "Invoice extraction (EU)", "extraction", "anthropic", "claude-opus-5-5")
NONE = NotEnoughData(0, 1, "pairs")


def estimate(value: float, unit: str = "USD") -> Estimate:
    return Estimate(value, value / 2, value * 2, 0.95, 100, 90.0, "made up", unit)


@pytest.fixture
def recommendation() -> Recommendation:
    """One with everything there is."""
    proof = certify([1.0] * 200, [1.0] * 200)
    return Recommendation(
        id=recommendation_id(SCOPE, "claude-haiku-5-5"),
        scope=SCOPE,
        target="claude-haiku-5-5",
        state="certified",
        evidence_state="certified",
        calls=1000,
        spend_usd=Decimal("12.345678901234"),
        window_days=21.0,
        window_saving=estimate(10.5),
        monthly_calls=1428.5,
        monthly_spend_usd=Decimal("17.6"),
        monthly_saving=estimate(15.0),
        saving_share=estimate(0.5, "share"),
        evaluation_cost_usd=Decimal("0.5"),
        certificate=proof,
        policy_certificate=proof,
        needed=Needed(0, Decimal("1.5"), None, 0.1),
        latency=LatencyChange(estimate(-1.0, "s"), estimate(-2.0, "s"), 1.0, 2.0, 0.5, 1.0, 100),
        compatibility=("fits",),
        assumptions=("a", "b"),
        missing=(),
        alternatives=(Alternative("claude-sonnet-5-5", 0.5, 0, NONE, "not tried"),),
        pair_count=200,
        evaluation="exact",
        evaluation_source="check",
        prediction=Prediction(estimate(0.01), 0.02, 0.001, 1000, 200, NOW, "genai-prices 0.2.3"),
        as_of=NOW,
        price_version="genai-prices 0.2.3",
        snoozed_until=NOW,
        decided_why="later",
        since=NOW - timedelta(days=30),
        net_saving=estimate(10.0),
        priced_share=0.99,
        candidates=12,
        tokens=TokenUse(1.0, 0.8, 40.0, 200, 300),
        why_now=("it is cheaper",),
        expires_at=NOW + timedelta(days=14),
    )


def test_a_recommendation_survives_the_store(recommendation: Recommendation) -> None:
    """Through JSON and back it is the same value, with every number exact."""
    stored = json.loads(json.dumps(recommendation.to_dict(), allow_nan=False))

    assert Recommendation.from_dict(stored) == recommendation


def test_bounds_that_do_not_exist_survive_too(recommendation: Recommendation) -> None:
    """An infinite upper bound is null in JSON and infinite again when read."""
    open_ended = replace(recommendation, certificate=certify([], []), needed=Needed(None, None, None, 0.0))

    stored = json.loads(json.dumps(open_ended.to_dict(), allow_nan=False))

    assert stored["certificate"]["high"] is None
    assert Recommendation.from_dict(stored) == open_ended


def test_entries_of_a_newer_version_are_left_out(recommendation: Recommendation) -> None:
    """What this version does not know is no error."""
    assert Recommendation.from_dict({**recommendation.to_dict(), "colour": "green"}) == recommendation


def test_the_id_depends_on_scope_and_target_alone() -> None:
    """The same calls and target have the same id whatever they are called; another target has another."""
    renamed = replace(SCOPE, use_case_name="other name", task_type="math")

    assert recommendation_id(SCOPE, "a") == recommendation_id(renamed, "a") != recommendation_id(SCOPE, "b")
    assert recommendation_id(replace(SCOPE, request_model="x"), "a") != recommendation_id(SCOPE, "a")


def test_the_rule_carries_what_it_rests_on(recommendation: Recommendation) -> None:
    """The rule matches the scope, has share and holdout, and its evidence survives the policy file."""
    rule = to_rule(recommendation, share=0.1, holdout=0.03)

    written = parse(dump(Policy(mode="enforce", rules=(rule,)))).rules[0]

    assert written == rule
    assert (written.to, written.share, written.holdout) == ("claude-haiku-5-5", 0.1, 0.03)
    assert written.guard == Guard(min_retention=0.95, max_failure_rate=0.05)
    assert written.when.use_case == ("uc_1",)
    assert written.when.request_model == ("claude-opus-5-5",)
    assert written.evidence["recommendation"] == recommendation.id
    assert written.evidence["n"] == 200
    assert written.evidence["retention_low"] >= 0.95
    prediction = from_evidence(written.evidence)
    assert prediction is not None
    assert prediction.per_call.value == 0.01


def test_rule_ids_are_readable_and_distinct(recommendation: Recommendation) -> None:
    """A rule is named after its use case, with a part of the id against mix-ups."""
    other = replace(recommendation, id=recommendation_id(SCOPE, "other"), target="other")

    assert recommendation.rule_id.startswith("invoice-extraction-eu-")
    assert recommendation.rule_id != other.rule_id
    assert replace(recommendation, scope=replace(SCOPE, use_case_name="日本")).rule_id.startswith("use-case-")


def test_what_is_not_known_is_not_written(recommendation: Recommendation) -> None:
    """TOML has no null, so evidence that is missing leaves no entry."""
    bare = replace(recommendation, certificate=NONE, policy_certificate=None, prediction=NONE, evaluation=None)

    evidence = to_rule(bare, share=0.1, holdout=0.0).evidence

    assert "retention_low" not in evidence
    assert "evaluation" not in evidence
    assert "predicted_saving_usd" not in evidence


ALWAYS = {"id", "scope", "target", "as_of", "calls", "spend_usd", "window_days", "evaluation_cost_usd"}
"""Entries that every version has written."""
LATER = ("since", "net_saving", "priced_share", "candidates", "tokens", "why_now", "expires_at")
"""Entries that earlier versions did not write."""


def test_content_of_an_earlier_version_is_read(recommendation: Recommendation) -> None:
    """What was stored before an entry was added is read, with that entry unknown and no number made up."""
    content = {name: value for name, value in recommendation.to_dict().items() if name not in LATER}

    read = Recommendation.from_dict(json.loads(json.dumps(content)))

    assert read.calls == recommendation.calls
    assert isinstance(read.net_saving, NotEnoughData)
    assert (read.since, read.priced_share, read.tokens, read.why_now) == (None, None, None, ())


@pytest.mark.parametrize("name", [item.name for item in fields(Recommendation)])
def test_no_missing_entry_is_a_type_error(recommendation: Recommendation, name: str) -> None:
    """Whatever entry is missing: it is read as unknown, or refused with a message, and never a TypeError."""
    content = {key: value for key, value in recommendation.to_dict().items() if key != name}

    if name in ALWAYS:
        with pytest.raises(StoreError, match=f"no '{name}'.*works it out again"):
            Recommendation.from_dict(content)
        return
    value = getattr(Recommendation.from_dict(content), name)

    if name in ("share", "rule_kind"):
        # Before these were written, a recommendation was to route all calls.
        assert value == {"share": 1.0, "rule_kind": "route"}[name]
        return
    assert isinstance(value, NotEnoughData) or value in (None, (), 0, "unproven", "not recorded")


@pytest.mark.parametrize(
    ("entry", "inner"),
    [("certificate", "e_value"), ("latency", "pairs"), ("prediction", "sd_target"), ("window_saving", "method")],
)
def test_a_part_of_another_shape_is_unknown(recommendation: Recommendation, entry: str, inner: str) -> None:
    """A certificate, prediction or estimate that lacks an entry is not known, instead of breaking the whole."""
    content = json.loads(json.dumps(recommendation.to_dict()))
    del content[entry][inner]
    content["certificate"]["colour"] = "green"

    read = Recommendation.from_dict(content)

    assert isinstance(getattr(read, entry), NotEnoughData)


def test_the_content_hash_is_of_what_it_says(recommendation: Recommendation) -> None:
    """Deciding changes no hash, going through the store neither; another number does."""
    decided = replace(recommendation, state="dismissed", decided_why="no", snoozed_until=None)
    stored = Recommendation.from_dict(json.loads(json.dumps(recommendation.to_dict())))

    assert decided.content_hash == stored.content_hash == recommendation.content_hash
    assert replace(recommendation, calls=1).content_hash != recommendation.content_hash
    assert to_rule(recommendation, share=0.1, holdout=0.0).evidence["content_hash"] == recommendation.content_hash


def test_what_is_in_force_does_not_expire(recommendation: Recommendation) -> None:
    """After its date a recommendation is to be worked out again, unless it is in force."""
    late = NOW + timedelta(days=20)

    assert recommendation.is_stale(late)
    assert not replace(recommendation, state="enforced").is_stale(late)
    assert not replace(recommendation, expires_at=None).is_stale(late)


def test_a_cascade_becomes_a_rule_that_says_what_it_checks(recommendation: Recommendation) -> None:
    """The rule of a cascade names its checks, and goes through the policy's text unchanged."""
    cascade = replace(recommendation, rule_kind="cascade", strong_share=0.1)

    rule = to_rule(cascade, share=0.5, holdout=0.05)

    assert (rule.kind, rule.options["escalate"]) == ("cascade", {"on": ("schema", "refusal", "truncation")})
    (read,) = parse(dump(Policy(rules=(rule,)))).rules
    assert (read.kind, read.options) == (rule.kind, rule.options)
