from __future__ import annotations

from dataclasses import replace

import pytest

from tierwise.call import Escalation, Request
from tierwise.errors import PolicyError
from tierwise.routing import escalation
from tierwise.routing.policy import Policy, dump, parse

REQUEST = Request(provider="openai", operation="chat", api="chat_completions", model="gpt-4o", body={"model": "gpt-4o"})


def policy(kind: str, table: str) -> Policy:
    return parse(
        f'version = 1\n[[rule]]\nid = "r"\nkind = "{kind}"\nto = "gpt-4o-mini"\n'
        f"when = {{ request_model = ['gpt-4o'] }}\n{table}\n"
    )


def test_a_cascade_needs_no_table():
    """Without a table an answer is checked for what takes no more than request and answer."""
    (rule,) = policy("cascade", "").rules

    assert escalation.cascade(rule, REQUEST) == Escalation(("gpt-4o",), ("schema", "refusal", "truncation"))
    assert escalation.tiers(rule, REQUEST) == ("gpt-4o-mini",)


def test_tiers_in_between_come_in_their_order_and_the_requested_model_last():
    """Each model is asked once, and the requested one always last, wherever the file names it."""
    (rule,) = policy("cascade", '[rule.escalate]\nto = ["gpt-4.1-mini", "gpt-4o", "gpt-4.1"]').rules

    assert escalation.tiers(rule, REQUEST) == ("gpt-4o-mini", "gpt-4.1-mini", "gpt-4.1")
    assert escalation.cascade(rule, REQUEST).models == ("gpt-4.1-mini", "gpt-4.1", "gpt-4o")


@pytest.mark.parametrize(
    ("complexity", "tokens", "reason"),
    [
        ("low", 100, None),
        ("unknown", 100, None),
        ("medium", 100, "its complexity is medium"),
        ("high", 100, "its complexity is high"),
        ("low", 5000, "it has about 5,000 input tokens, more than 4,000"),
    ],
)
def test_requests_that_skip_the_first_model(complexity: str, tokens: int, reason: str | None):
    """What is over a limit before the call goes to the next model, or stays where it is when that is the requested."""
    table = '[rule.escalate]\non = ["schema", "complexity"]\ncomplexity_at = "medium"\nmax_input_tokens = 4000\n'
    (short,) = policy("cascade", table).rules
    (tall,) = policy("cascade", table + 'to = "gpt-4.1-mini"').rules
    request = replace(REQUEST, complexity=complexity, input_tokens_estimate=tokens)

    assert escalation.why_skipped(short, request) == reason
    assert escalation.tiers(short, request) == (("gpt-4o-mini",) if reason is None else ())
    assert escalation.tiers(tall, request)[0] == ("gpt-4o-mini" if reason is None else "gpt-4.1-mini")
    assert escalation.cascade(short, request).checks == ("schema",)


def test_speculation():
    """A speculative rule asks the requested model beside the first, after its patience."""
    (rule,) = policy("speculative", '[rule.speculate]\npatience_s = 0.5\non = ["refusal"]\ncheck_timeout_s = 1').rules

    assert escalation.speculation(rule, REQUEST) == Escalation(("gpt-4o",), ("refusal",), 1.0, 0.5)


@pytest.mark.parametrize(
    ("kind", "table", "message"),
    [
        ("cascade", '[rule.escalate]\non = ["logprobs"]', "on = 'logprobs'; known: schema"),
        ("cascade", "[rule.escalate]\ncomplexity_at = 'high'", "has complexity_at, and no 'complexity' in on"),
        ("cascade", "[rule.escalate]\non = ['agreement']\nsamples = 1", "samples = 1; a whole number from 2 to 9"),
        ("cascade", "[rule.escalate]\nsamples = 3", "has samples, and no 'agreement' in on"),
        ("cascade", "[rule.escalate]\ncheck_timeout_s = 60", "check_timeout_s = 60; a number above 0 to 10"),
        ("cascade", "[rule.speculate]\npatience_s = 1", "unknown key 'speculate'"),
        ("speculative", "[rule.speculate]\npatience_s = -1", "patience_s = -1; a number from 0 to 600"),
        ("speculative", "[rule.speculate]\non = ['agreement']", "on = 'agreement'; known: schema"),
        ("speculative", "[rule.speculate]\nto = 'gpt-4o'", "unknown key 'to'"),
    ],
)
def test_what_cannot_be_used_is_refused(kind: str, table: str, message: str):
    """A table that cannot be carried out as written refuses the file, with the line and what would do."""
    with pytest.raises(PolicyError) as refused:
        policy(kind, table)

    assert message in str(refused.value)
    assert "line " in str(refused.value)


@pytest.mark.parametrize(
    ("kind", "table"),
    [
        ("cascade", ""),
        (
            "cascade",
            """
            [rule.escalate]
            on = ['schema', 'agreement', 'complexity']
            to = 'gpt-4.1-mini'
            complexity_at = 'low'
            max_input_tokens = 100
            samples = 4
            check_timeout_s = 0.5
            """,
        ),
        ("speculative", "[rule.speculate]\npatience_s = 1.5\non = 'schema'"),
    ],
)
def test_written_back_the_same(kind: str, table: str):
    """A policy with these tables survives being written and read."""
    given = policy(kind, table)

    assert parse(dump(given)) == given


def test_in_words():
    """A rule reads as a sentence that names the path, the checks and who skips the first model."""
    (cascade,) = policy(
        "cascade", '[rule.escalate]\non = ["schema", "refusal", "complexity"]\nto = "gpt-4.1-mini"'
    ).rules
    (speculative,) = policy("speculative", "[rule.speculate]\npatience_s = 1.5\non = ['schema']").rules

    assert cascade.describe() == (
        "Calls for gpt-4o go to gpt-4o-mini, and on to gpt-4.1-mini, then the model they ask for when the answer is "
        "found wanting in schema or refusal; requests of high complexity skip gpt-4o-mini."
    )
    assert speculative.describe() == (
        "Calls for gpt-4o go to gpt-4o-mini, and to the model they ask for beside it after 1.5 s, or at once when the "
        "answer is found wanting in schema; the first good answer counts."
    )
