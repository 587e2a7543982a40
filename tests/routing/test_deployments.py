from __future__ import annotations

import pytest

from tierwise.errors import PolicyError
from tierwise.routing.deployments import Deployments
from tierwise.routing.policy import parse

AZURE = "azure.ai.openai"
NAMED = Deployments({AZURE: {"gpt-4o": "main", "gpt-4o-mini": "small"}, "aws.bedrock": {"claude": "arn:aws:1"}})


def test_names_lead_both_ways():
    """A model leads to its deployment and a deployment to its model, at its own provider only."""
    assert NAMED.name_of(AZURE, "gpt-4o-mini") == "small"
    assert NAMED.model_of(AZURE, "small") == "gpt-4o-mini"
    assert NAMED.model_of("openai", "small") == "small"
    assert NAMED.name_of("aws.bedrock", "claude") == "arn:aws:1"


def test_only_azure_needs_a_name():
    """Azure reaches no model without a deployment; the others know models by their own names."""
    assert NAMED.name_of(AZURE, "gpt-5-mini") is None
    assert NAMED.name_of("openai", "gpt-5-mini") == "gpt-5-mini"
    assert NAMED.name_of("aws.bedrock", "other") == "other"


def test_a_policy_says_them_in_words():
    """The policy's description names every deployment."""
    assert NAMED.describe() == [
        "At aws.bedrock claude is deployed as arn:aws:1.",
        "At azure.ai.openai gpt-4o is deployed as main, gpt-4o-mini is deployed as small.",
    ]


@pytest.mark.parametrize(
    ("table", "complaint"),
    [
        ('[deployments]\n"gpt-4o" = "main"', "line 2: .*a table is needed"),
        ('[deployments."azure.ai.openai"]\na = "x"\nb = "x"', "line 3: .*deploys two models as 'x'"),
        ('[deployments."azure.ai.openai"]\na = 3', "line 2: .*has a = 3"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused(table: str, complaint: str):
    """A table without a provider, a name used twice and a name that is no text are refused with their line."""
    with pytest.raises(PolicyError, match=complaint):
        parse(table)
