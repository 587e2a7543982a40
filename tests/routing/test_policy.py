from __future__ import annotations

import tomllib
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tierwise.errors import PolicyError
from tierwise.routing import policy as policies
from tierwise.routing.deployments import Deployments
from tierwise.routing.document import with_version
from tierwise.routing.policy import Change, Guard, Policy, Rule, ShadowPlan, When, diff, dump, parse
from tierwise.routing.rules import SHARED_KEYS
from tierwise.routing.window import DAYS
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
        attributes=st.dictionaries(names, st.lists(names, min_size=1, max_size=2, unique=True).map(tuple), max_size=2),
        hours=st.sampled_from([None, "08:00-18:00", "22:00-06:00"]),
        days=st.lists(st.sampled_from(DAYS), max_size=3, unique=True).map(tuple),
        timezone=st.just("UTC"),
    ) | st.builds(When, hours=st.just("08:00-18:00"), timezone=st.sampled_from(["UTC", "Europe/Berlin"]))


evidence_values: Any = st.recursive(
    st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(max_size=8) | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


guards = st.fixed_dictionaries(
    {},
    optional={
        "min_retention": st.floats(0, 1),
        "max_failure_rate": st.floats(0, 1),
        "daily_budget_usd": st.integers(1, 10**6).map(lambda cents: Decimal(cents) / 100),
        "auto_step_up": st.booleans(),
        "min_days": st.floats(0, 365),
        "min_calls": st.integers(0, 10**6),
    },
)


@st.composite
def rules(draw: st.DrawFn) -> Rule:
    """Any rule that a file can say."""
    rule_id, when, enabled = draw(names), draw(_whens()), draw(st.booleans())
    evidence = draw(st.dictionaries(st.text(max_size=5), evidence_values, max_size=3))
    if draw(st.booleans()):
        return Rule(rule_id, "pin", when, enabled=enabled, evidence=evidence)
    guard = draw(st.none() | guards)
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


def _deployments(names: dict[str, dict[str, str]]) -> Deployments:
    return Deployments({provider: of for provider, of in names.items() if of and len(set(of.values())) == len(of)})


any_policy = st.builds(
    Policy,
    version=st.integers(0, 10**6),
    mode=st.sampled_from(["off", "shadow", "enforce"]),
    rules=st.lists(rules(), max_size=4, unique_by=lambda rule: rule.id).map(tuple),
    shadow=shadow_plans(),
    deployments=st.dictionaries(names, st.dictionaries(names, names, max_size=2), max_size=2).map(_deployments),
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
            "line 6: rule \"invoice-extraction\" has kind 'rout'; known kinds: cascade, pin, route, speculative",
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
        (
            "max_input_tokens = 8000",
            'hours = "8-18"',
            "line 7: rule \"invoice-extraction\" when cannot be used: '8-18'",
        ),
        ("max_input_tokens = 8000", 'days = ["monday"]', "'monday' is not a day; known: mon, tue,"),
        ("max_input_tokens = 8000", 'hours = "08:00-18:00", timezone = "Mars/Base"', "'Mars/Base' is not a time zone"),
        ("max_input_tokens = 8000", 'timezone = "UTC"', "has a timezone and neither hours nor days"),
        ("max_input_tokens = 8000", "attributes = { plan = 3 }", 'line 7: rule "invoice-extraction" when [attributes]'),
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


def test_hours_days_and_attributes_read_as_they_say():
    """Lists and single texts are both taken; the time zone is kept."""
    when = (
        parse(
            TEXT.replace(
                "max_input_tokens = 8000",
                'attributes = { plan = ["free", "trial"], beta = "true" }, hours = "08:00-18:00", days = ["mon"], '
                'timezone = "Europe/Berlin"',
            )
        )
        .rules[0]
        .when
    )

    assert when.attributes == {"plan": ("free", "trial"), "beta": ("true",)}
    assert (when.hours, when.days, when.timezone) == ("08:00-18:00", ("mon",), "Europe/Berlin")


def test_a_diff_says_what_is_deployed_elsewhere():
    """A changed name of a deployment is a change to approve."""
    named = '\n[deployments."azure.ai.openai"]\n"gpt-4o" = "main"\n'

    changes = diff(parse(TEXT), parse(TEXT + named))

    assert [change.describe() for change in changes] == [
        "deployments azure.ai.openai: nothing becomes {'gpt-4o': 'main'}"
    ]


def _mutated(text: str, rng: Random) -> str:
    """`text` after one to three small accidents: lost, doubled, swapped or foreign characters, lines and values."""
    for _ in range(rng.randint(1, 3)):
        start = rng.randrange(len(text) + 1)
        end = min(len(text), start + rng.choice((1, 1, 2, 8, 60)))
        lines = text.splitlines(keepends=True)
        match rng.randrange(6):
            case 0:
                text = text[:start] + text[end:]
            case 1:
                text = text[:start] + rng.choice('"[]{}=#\n.,-\\\x00é0123456789eE_tf') + text[end:]
            case 2:
                text = text[:end] + text[start:]
            case 3 if lines:
                lines.insert(rng.randrange(len(lines)), lines.pop(rng.randrange(len(lines))))
                text = "".join(lines)
            case 4:
                text = text[:start]
            case _:
                values = ("true", "-1", "1e400", "nan", '""', "[]", "{}", "2026-11-24", '"off"', "[[]]")
                text = text[:start] + rng.choice(values) + text[end:]
    return text


def test_a_file_damaged_in_10000_ways_is_read_whole_or_refused_whole():
    """Damage gives a PolicyError that names the file, or a policy with every rule of the text, which writes itself
    back; nothing else is raised, and nothing comes out that is only a part."""
    rng = Random(20261124)
    complaints: list[str] = []

    for _ in range(10_000):
        text = _mutated(FUZZED, rng)
        try:
            policy = parse(text)
        except PolicyError as error:
            complaints.append(str(error))
            continue
        document = tomllib.loads(text)
        assert [rule.id for rule in policy.rules] == [table["id"] for table in document.get("rule", [])]
        assert policy.mode == document.get("mode", "shadow")
        assert parse(dump(policy)).content_hash == policy.content_hash

    assert 5_000 < len(complaints) < 9_900
    assert all(complaint.startswith("policy.toml, line ") for complaint in complaints)


FUZZED = TEXT.replace("max_input_tokens = 8000", 'attributes = { plan = ["free"] }, hours = "08:00-18:00"').replace(
    "[shadow]", '[deployments."azure.ai.openai"]\n"gpt-4o" = "main"\n\n[shadow]'
)
