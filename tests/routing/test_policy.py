from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tierwise.errors import PolicyError
from tierwise.routing import policy as policies
from tierwise.routing.document import with_version
from tierwise.routing.policy import Change, Guard, Policy, Rule, ShadowPlan, When, diff, dump, parse
from tierwise.routing.rules import SHARED_KEYS
from tierwise.tasks.taxonomy import TASKS

TEXT = """\
version = 7                       # given by the store
mode = "enforce"

[[rule]]
id = "invoice-extraction"
kind = "route"
when = { task_type = ["extraction"], use_case = "uc_3f", request_model = ["claude-opus-5-5"], max_input_tokens = 8000 }
to = "claude-haiku-5-5"
share = 0.10
sticky = "conversation"
holdout = 0.03
[rule.guard]
min_retention = 0.95
max_failure_rate = 0.05
[rule.evidence]
n = 412
retention = [0.97, 1.02]
as_of = 2026-11-24

[[rule]]
id = "legal"
kind = "pin"
when.tenant = ["acme"]

[shadow]
sample = 0.1
daily_budget_usd = 5.0
[shadow.candidates]
"claude-opus-5-5" = ["claude-haiku-5-5"]
"""

names = st.text(min_size=1, max_size=12).filter(lambda text: bool(text.strip()))
name_lists = st.lists(names, max_size=3, unique=True).map(tuple)
shares = st.floats(0, 1, exclude_min=True)


def _whens() -> st.SearchStrategy[When]:
    return st.builds(
        When,
        task_type=st.lists(st.sampled_from(sorted(TASKS)), max_size=2).map(tuple),
        use_case=name_lists,
        request_model=name_lists,
        tenant=name_lists,
        provider=name_lists,
        complexity=st.lists(st.sampled_from(["low", "medium", "high", "unknown"]), max_size=2).map(tuple),
        min_input_tokens=st.none() | st.integers(0, 100),
        max_input_tokens=st.none() | st.integers(100, 10**7),
    )


evidence_values: Any = st.recursive(
    st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(max_size=8) | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@st.composite
def rules(draw: st.DrawFn) -> Rule:
    """Any rule that a file can say."""
    rule_id, when, enabled = draw(names), draw(_whens()), draw(st.booleans())
    evidence = draw(st.dictionaries(st.text(max_size=5), evidence_values, max_size=3))
    if draw(st.booleans()):
        return Rule(rule_id, "pin", when, enabled=enabled, evidence=evidence)
    guard = draw(st.none() | st.dictionaries(st.sampled_from(["min_retention", "max_failure_rate"]), st.floats(0, 1)))
    return Rule(
        rule_id,
        "route",
        when,
        to=draw(names.filter(lambda name: name not in when.request_model)),
        share=draw(shares),
        sticky=draw(st.sampled_from(["conversation", "use_case", "none"])),
        holdout=draw(st.floats(0, 0.5)),
        allow_unknown_target=draw(st.booleans()),
        enabled=enabled,
        options={} if guard is None else {"guard": guard},
        evidence=evidence,
    )


@st.composite
def shadow_plans(draw: st.DrawFn) -> ShadowPlan:
    """Any plan that a file can say."""
    cents = draw(st.integers(0, 10**6))
    pairs = draw(st.dictionaries(names, st.lists(names, min_size=1, max_size=2, unique=True).map(tuple), max_size=3))
    return ShadowPlan(
        sample=draw(st.floats(0, 1)),
        daily_budget_usd=Decimal(cents) / 100,
        candidates={model: cheaper for model, cheaper in pairs.items() if model not in cheaper},
    )


any_policy = st.builds(
    Policy,
    version=st.integers(0, 10**6),
    mode=st.sampled_from(["off", "shadow", "enforce"]),
    rules=st.lists(rules(), max_size=4, unique_by=lambda rule: rule.id).map(tuple),
    shadow=shadow_plans(),
)


def test_a_policy_file_reads_as_it_says():
    """Every part of the documented file arrives as a value of its type."""
    policy = parse(TEXT)

    assert policy == Policy(
        version=7,
        mode="enforce",
        rules=(
            Rule(
                "invoice-extraction",
                "route",
                When(
                    task_type=("extraction",),
                    use_case=("uc_3f",),
                    request_model=("claude-opus-5-5",),
                    max_input_tokens=8000,
                ),
                to="claude-haiku-5-5",
                share=0.10,
                holdout=0.03,
                options={"guard": {"min_retention": 0.95, "max_failure_rate": 0.05}},
                evidence=policy.rules[0].evidence,
            ),
            Rule("legal", "pin", When(tenant=("acme",))),
        ),
        shadow=ShadowPlan(0.1, Decimal(5), {"claude-opus-5-5": ("claude-haiku-5-5",)}),
    )
    assert policy.rules[0].guard == Guard(0.95, 0.05)
    assert policy.rules[1].guard is None
    assert policy.rules[0].evidence["retention"] == [0.97, 1.02]


def test_an_empty_file_is_a_policy_that_does_nothing():
    """No text at all is a valid policy without rules, in the mode that changes nothing."""
    assert parse("") == Policy(version=0, mode="shadow", rules=(), shadow=ShadowPlan())


@settings(max_examples=50)
@given(any_policy)
def test_parse_of_dump_is_the_policy(policy: Policy):
    """parse(dump(p)) == p, and the two say the same by their hash."""
    again = parse(dump(policy))

    assert again == policy
    assert again.content_hash == policy.content_hash


@settings(max_examples=50)
@given(any_policy, st.integers(0, 10**6))
def test_the_content_hash_is_blind_to_the_version_only(policy: Policy, version: int):
    """Another version keeps the content hash; another mode does not."""
    renumbered = parse(with_version(dump(policy), version))
    other_mode = "off" if policy.mode != "off" else "enforce"

    assert renumbered.version == version
    assert renumbered.content_hash == policy.content_hash
    assert Policy(version, other_mode, policy.rules, policy.shadow).content_hash != policy.content_hash


@settings(max_examples=50)
@given(any_policy, any_policy)
def test_diff_is_empty_exactly_when_two_policies_say_the_same(one: Policy, other: Policy):
    """A difference in content is a change shown, and no change is shown without one."""
    assert diff(one, one) == ()
    assert (diff(one, other) == ()) == (one.content_hash == other.content_hash)
    assert all(change.describe() for change in diff(one, other))


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        (
            'kind = "route"',
            'kind = "rout"',
            "policy.toml, line 6: rule \"invoice-extraction\" has kind 'rout'; known kinds: pin, route",
        ),
        ("share = 0.10", "share = 1.5", 'line 9: rule "invoice-extraction" has share = 1.5; a number above 0 to 1'),
        ("share = 0.10", "share = 0", 'line 9: rule "invoice-extraction" has share = 0; a number above 0 to 1'),
        ("holdout = 0.03", "holdout = 0.6", "line 11: "),
        ("max_input_tokens = 8000", "max_tokens = 8000", 'line 7: rule "invoice-extraction" when has an unknown'),
        ('["extraction"]', '["extracting"]', "line 7: rule \"invoice-extraction\" when has task_type = 'extracting'"),
        ("max_input_tokens = 8000", 'complexity = "easy"', "known: low, medium, high, unknown"),
        ("max_input_tokens = 8000", "max_input_tokens = 8, min_input_tokens = 9", "so it matches nothing"),
        ('to = "claude-haiku-5-5"', 'to = "claude-opus-5-5"', 'line 8: rule "invoice-extraction" sends claude-opus'),
        ('to = "claude-haiku-5-5"', "", "line 4: rule \"invoice-extraction\" has no 'to'"),
        ("min_retention = 0.95", "min_retention = 95", 'line 13: rule "invoice-extraction" [guard] has min_retention'),
        ("min_retention = 0.95", "retention = 0.95", "line 13: "),
        ('id = "legal"', 'id = "invoice-extraction"', 'line 21: rule "invoice-extraction" has id'),
        ('kind = "pin"', 'kind = "pin"\nto = "x"', "line 23: rule \"legal\" has an unknown key 'to'"),
        ('sticky = "conversation"', 'sticky = "user"', "allowed: conversation, use_case, none"),
        ('mode = "enforce"', 'mode = "on"', "line 2: the policy has mode = 'on'; allowed: off, shadow, enforce"),
        ("version = 7 ", "version = -1 ", "line 1: the policy has version = -1"),
        ("sample = 0.1", "sample = 2", "line 26: [shadow] has sample = 2"),
        ("daily_budget_usd = 5.0", "budget = 5.0", "line 27: [shadow] has an unknown key 'budget'"),
        (
            '["claude-haiku-5-5"]',
            '["claude-opus-5-5"]',
            "line 29: [shadow.candidates] shadows claude-opus-5-5 by itself",
        ),
        ('[[rule]]\nid = "legal"', '[rules]\nid = "legal"', "line 20: the policy has an unknown key 'rules'"),
    ],
)
def test_a_bad_file_is_refused_whole_with_line_value_and_way_out(old: str, new: str, complaint: str):
    """Whatever is wrong, the message names file and line, the value and what would be right."""
    assert TEXT.count(old) >= 1
    head, _, tail = TEXT.rpartition(old) if "shadow" in complaint else TEXT.partition(old)

    with pytest.raises(PolicyError) as refused:
        parse(head + new + tail)

    assert complaint in str(refused.value)


def test_a_missing_or_unreadable_file_is_a_policy_error(tmp_path: Path):
    """load() names the file that it could not read."""
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe")

    with pytest.raises(PolicyError, match=r"missing\.toml: cannot be read: No such file"):
        policies.load(tmp_path / "missing.toml")
    with pytest.raises(PolicyError, match=r"binary\.toml: cannot be read"):
        policies.load(binary)


def test_load_reads_the_file_at_a_path(tmp_path: Path):
    """A file on disk gives the policy its text says, and errors in it name the file."""
    path = tmp_path / "ours.toml"
    path.write_text(TEXT, encoding="utf-8")

    assert policies.load(path) == parse(TEXT)

    path.write_text('mode = "on"', encoding="utf-8")
    with pytest.raises(PolicyError, match=r"ours\.toml, line 1: "):
        policies.load(str(path))


def test_a_diff_says_what_a_person_has_to_approve():
    """Added, removed, moved and changed rules, mode and shadow plan are told apart, with old and new values."""
    old = parse(TEXT)
    new = parse(
        TEXT.replace("share = 0.10", "share = 0.5")
        .replace('mode = "enforce"', 'mode = "off"')
        .replace("max_input_tokens = 8000", "max_input_tokens = 9000")
        .replace("sample = 0.1", "sample = 0.2")
    )

    assert [change.describe() for change in diff(old, new)] == [
        "mode: enforce becomes off",
        'rule "invoice-extraction" share: 0.1 becomes 0.5',
        'rule "invoice-extraction" when.max_input_tokens: 8000 becomes 9000',
        "shadow sample: 0.1 becomes 0.2",
    ]
    swapped = Policy(7, "enforce", old.rules[::-1], old.shadow)
    assert diff(old, swapped) == (
        Change("legal", "moved", before=2, after=1),
        Change("invoice-extraction", "moved", before=1, after=2),
    )
    shorter = Policy(7, "enforce", old.rules[1:], old.shadow)
    assert [change.describe() for change in diff(old, shorter)] == [
        f'rule "invoice-extraction" is gone: {old.rules[0].describe()}'
    ]
    assert [change.what for change in diff(shorter, old)] == ["added"]


def test_a_policy_describes_itself_line_by_line():
    """A person can read version, mode, each rule in order and the shadow plan in plain sentences."""
    assert parse(TEXT).describe().splitlines() == [
        "Version 7, mode enforce: rules are in force.",
        f"1. invoice-extraction: {parse(TEXT).rules[0].describe()}",
        "2. legal: Calls of tenant acme stay on the model they ask for.",
        "10% of eligible calls are shadowed, for at most $5.00 a day and process: claude-opus-5-5 by claude-haiku-5-5.",
    ]


def test_the_order_of_keys_that_say_nothing_is_not_in_the_hash():
    """Evidence and candidates written in another order are the same policy."""
    one = Policy(rules=(Rule("r", "pin", evidence={"n": 1, "method": {"a": 1, "b": [2]}}),))
    other = Policy(rules=(Rule("r", "pin", evidence={"method": {"b": [2], "a": 1}, "n": 1}),))

    assert one == other
    assert one.content_hash == other.content_hash


def test_every_shared_key_is_a_field_of_a_rule():
    """A kind cannot take a key that a rule has no place for."""
    assert set(Rule.__dataclass_fields__) >= SHARED_KEYS


def test_a_rule_is_found_by_its_id():
    """rule() gives the rule of that id, and None for an id that is not there."""
    policy = parse(TEXT)

    assert policy.rule("legal") is policy.rules[1]
    assert policy.rule("none") is None
