from __future__ import annotations

import json
from datetime import UTC, datetime
from importlib.resources import files

import pytest

from tierwise.routing import capabilities
from tierwise.routing.capabilities import candidates, is_snapshot, lookup, region_of

NOW_S = datetime(2026, 11, 24, tzinfo=UTC).timestamp()


def test_the_table_says_where_it_comes_from_and_under_which_licence():
    """Source, version, date and licence travel with the table."""
    folder = files("tierwise.routing")
    document = json.loads(folder.joinpath("capabilities.json").read_text(encoding="utf-8"))

    assert capabilities.as_of() == f"{document['as_of']}, {document['source']}"
    assert datetime.fromisoformat(document["as_of"])
    assert document["source"].startswith("litellm ")
    assert "MIT License" in folder.joinpath("capabilities.LICENSE.txt").read_text(encoding="utf-8")


def test_the_table_is_small():
    """It travels in every wheel and is read in the user's process."""
    assert len(files("tierwise.routing").joinpath("capabilities.json").read_bytes()) < 150_000


def test_every_row_can_be_read():
    """No model of the table has a row that the reader does not understand."""
    for name in capabilities.known_models():
        model = capabilities.lookup("openai", name) or capabilities.lookup("anthropic", name)

        assert model is not None
        assert model.apis <= {"chat_completions", "responses", "messages"}
        assert model.max_input_tokens > 0
        assert model.max_output_tokens > 0


@pytest.mark.parametrize(
    ("provider", "model", "expected"),
    [
        ("anthropic", "claude-haiku-4-5", "claude-haiku-4-5"),
        ("openai", "gpt-4o-mini", "gpt-4o-mini"),
        ("azure.ai.openai", "gpt-4o-mini", "gpt-4o-mini"),
        ("aws.bedrock", "eu.anthropic.claude-haiku-4-5-20251001-v1:0", "claude-haiku-4-5-20251001"),
        ("aws.bedrock", "openai.gpt-5.4", "gpt-5.4"),
        ("gcp.vertex_ai", "claude-haiku-4-5@20251001", "claude-haiku-4-5-20251001"),
        ("anthropic", "gpt-4o-mini", None),
        ("openai", "claude-haiku-4-5", None),
        ("azure.ai.openai", "our-deployment", None),
        ("aws.bedrock", "claude-haiku-4-5", None),
        ("groq", "gpt-4o-mini", None),
    ],
)
def test_a_model_is_known_by_the_name_its_provider_uses(provider: str, model: str, expected: str | None):
    """A name is looked up where it is used; another maker's model or an own deployment is not known."""
    found = lookup(provider, model)

    assert (found and found.model) == expected


def test_features_come_from_the_table():
    """Known differences between models are there: sampling, thinking, forced tools, effort."""
    opus, haiku = lookup("anthropic", "claude-opus-5-5"), lookup("anthropic", "claude-haiku-4-5")
    gpt = lookup("openai", "gpt-5.2")

    assert opus is not None and haiku is not None and gpt is not None  # noqa: PT018
    assert {"always_thinks", "tools"} <= opus.features
    assert not {"sampling", "forced_tools", "prefill"} & opus.features
    assert {"sampling", "forced_tools", "prefill"} <= haiku.features
    assert haiku.thinking == {"enabled", "disabled"}
    assert opus.thinking == {"adaptive"}
    assert gpt.default_effort == "none"
    assert {"none", "low", "xhigh"} <= gpt.efforts


def test_a_model_is_retired_from_its_date_on():
    """A model with a date is served until then; one without is not retired."""
    dated, undated = lookup("openai", "gpt-4"), lookup("openai", "gpt-4o-mini")

    assert dated is not None and undated is not None  # noqa: PT018
    assert dated.retires_at_s is not None
    assert not dated.is_retired(dated.retires_at_s - 1)
    assert dated.is_retired(dated.retires_at_s)
    assert not undated.is_retired(NOW_S * 10)


@pytest.mark.parametrize(
    ("model", "pinned"),
    [
        ("gpt-4o-2024-08-06", True),
        ("claude-haiku-4-5-20251001", True),
        ("claude-haiku-4-5@20251001", True),
        ("us.anthropic.claude-haiku-4-5-20251001-v1:0", True),
        ("gpt-4o", False),
        ("claude-haiku-4-5", False),
        ("anthropic.claude-opus-4-6-v1", False),
    ],
)
def test_a_dated_name_is_a_snapshot(model: str, pinned: bool):
    """A name with a date pins one version, in every provider's spelling."""
    assert is_snapshot(model) is pinned


def test_a_bedrock_name_may_say_its_region():
    """The prefix of an inference profile is its region; other names have none."""
    assert region_of("us-gov.anthropic.claude-opus-5") == "us-gov"
    assert region_of("anthropic.claude-opus-5") == ""
    assert region_of("gpt-4.1") == ""


def test_candidates_are_served_general_models_of_the_same_provider():
    """Stand-ins are newest first, undated, general, still served, and not the model itself."""
    found = candidates("anthropic", "claude-opus-4-5", now_s=NOW_S)

    assert found[:2] == ["claude-sonnet-5-5", "claude-opus-5-5"]
    assert "claude-haiku-4-5" in found
    assert not {"claude-opus-4-5", "claude-opus-4-5-20251101", "claude-mythos-5"} & set(found)
    assert all(not is_snapshot(name) for name in found)
    assert "gpt-4" not in candidates("openai", "gpt-4o", now_s=NOW_S)
    assert "gpt-4" in candidates("openai", "gpt-4o", now_s=0)


def test_candidates_keep_the_region():
    """On Bedrock a stand-in is a profile of the same region."""
    found = candidates("aws.bedrock", "eu.anthropic.claude-opus-5-5", now_s=NOW_S)

    assert "eu.anthropic.claude-haiku-5-5" in found
    assert all(name.startswith("eu.anthropic.") for name in found)


def test_an_unknown_model_has_no_candidates():
    """Nothing is proposed in place of what the table does not know."""
    assert candidates("azure.ai.openai", "our-deployment", now_s=NOW_S) == []
