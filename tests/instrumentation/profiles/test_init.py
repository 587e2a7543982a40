from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierwise.instrumentation.profiles import PROFILES, extra_attributes, headers
from tierwise.settings import EXPORT_PROFILES


def test_every_profile_can_be_set() -> None:
    """The names that the setting takes are the profiles there are."""
    assert tuple(PROFILES) == EXPORT_PROFILES


@pytest.mark.parametrize("name", PROFILES)
def test_spans_of_others_are_left_alone(name: str) -> None:
    """A span that tierwise did not write gets nothing, even if it is a call to a model."""
    assert extra_attributes({"http.request.method": "GET"}, [name]) == {}
    assert extra_attributes({"gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": 3}, [name]) == {}


@pytest.mark.parametrize("name", PROFILES)
def test_only_additions(name: str, attributes: Mapping[str, Any]) -> None:
    """A profile adds attributes, and none that the span has."""
    before = dict(attributes)

    extra = extra_attributes(attributes, [name])

    assert extra
    assert not extra.keys() & attributes.keys()
    assert attributes == before


def test_what_the_span_says_stays(attributes: Mapping[str, Any]) -> None:
    """An attribute that the app set itself is not replaced."""
    assert "session.id" not in extra_attributes({**attributes, "session.id": "mine"}, ["langfuse"])


def test_several(attributes: Mapping[str, Any]) -> None:
    """Several profiles add what each adds alone."""
    both = extra_attributes(attributes, ["openlit", "sentry"])

    assert both == extra_attributes(attributes, ["openlit"]) | extra_attributes(attributes, ["sentry"])


@pytest.mark.parametrize("name", PROFILES)
def test_no_price_is_no_cost(name: str, unpriced: Mapping[str, Any]) -> None:
    """A call without a price gets no cost in any backend's words, least of all 0."""
    assert not [key for key in extra_attributes(unpriced, [name]) if "cost" in key]


READ_KEYS = (
    "gen_ai.usage.input_tokens",
    "gen_ai.usage.output_tokens",
    "gen_ai.usage.cost.amount",
    "gen_ai.operation.name",
    "gen_ai.input.messages",
    "tierwise.use_case.name",
    "tierwise.route.requested_model",
)
ODD_VALUES = (None, True, -1, 10**400, float("nan"), float("inf"), "", "x", "[1]", [], ["a"], [None], {"a": 1}, b"x")


@pytest.mark.parametrize("name", PROFILES)
@given(given=st.dictionaries(st.sampled_from(READ_KEYS), st.sampled_from(ODD_VALUES)))
def test_odd_spans(name: str, given: dict[str, object]) -> None:
    """A value of a wrong type, as a span from the network may have, breaks no profile."""
    extra_attributes({"tierwise.priced": True, **given}, [name])


def test_headers(monkeypatch: pytest.MonkeyPatch) -> None:
    """MLflow gets the header that says which experiment is meant: its default, unless MLflow names one."""
    monkeypatch.delenv("MLFLOW_EXPERIMENT_ID", raising=False)

    assert headers(["phoenix", "sentry"]) == {}
    assert headers(["phoenix", "mlflow"]) == {"x-mlflow-experiment-id": "0"}
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", "7")
    assert headers(["mlflow"]) == {"x-mlflow-experiment-id": "7"}
