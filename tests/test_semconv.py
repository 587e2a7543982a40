from __future__ import annotations

import importlib.util
from decimal import Decimal
from pathlib import Path
from types import ModuleType

import pytest

from tierwise import semconv
from tierwise.attributes import to_attributes
from tierwise.call import Attempt, Call, Cost, Decision, Usage

ROOT = Path(__file__).parents[1]
CONSTANTS = {name: value for name, value in vars(semconv).items() if name.isupper()}

LEVELS = {"required", "conditionally required", "recommended", "opt-in", "—"}
CONVENTIONS = {
    "semconv",
    "semconv, stable",
    "semconv openai",
    "semconv 1.36",
    "semconv 1.41",
    "proposal 443",
    "anthropic SDK",
    "tierwise",
}
TYPES = {"string": str, "int": int, "int or double": (int, float), "double": float, "boolean": bool, "string[]": tuple}

WHOLE_CALL = Call(
    "chat",
    "openai",
    "gpt-4o",
    api="chat_completions",
    response_model="gpt-4o-2024-08-06",
    response_id="r",
    finish_reasons=("stop",),
    usage=Usage(100, 50, 20, 10, 6, 4, 5, 1, estimated=True, partial=True),
    cost=Cost(*map(Decimal, ("0.1", "0.2", "0.3", "0.4", "0.5")), price_version="v"),
    service_tier="default",
    stream=True,
    time_to_first_chunk_s=0.5,
    conversation_id="c",
    server_address="a",
    server_port=443,
    error_type="RateLimitError",
    task_type="extraction",
    task_confidence=0.9,
    task_source="inferred",
    task_sub_tag="judge",
    complexity="low",
    use_case_id="uc",
    use_case_name="u",
    tenant="t",
    decision=Decision("gpt-5", "gpt-4o", 7, "r", "treated", "routed", 0.5, "because"),
    attempt=Attempt("1-2", 2, 0.5, "schema", "because", True, (("schema", "failed"),), 0.1),
    shadow_of="1-2",
    shadow_propensity=0.1,
)


@pytest.fixture(scope="module")
def docs() -> ModuleType:
    """The script that writes the page."""
    spec = importlib.util.spec_from_file_location("docs_attributes", ROOT / "docs" / "attributes.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def source() -> str:
    return (ROOT / "src" / "tierwise" / "semconv.py").read_text(encoding="utf-8")


def test_the_page_is_current(docs: ModuleType, source: str) -> None:
    """docs/attributes.md says what semconv.py says; `python docs/attributes.py` writes it."""
    assert (ROOT / "docs" / "attributes.md").read_text(encoding="utf-8") == docs.page(source)


def test_every_key_has_a_row(docs: ModuleType, source: str) -> None:
    """Each constant is described once, with a known requirement level and convention."""
    rows = [row for section in docs.sections(source).values() for row in section]

    assert sorted(row.key.rstrip("*") for row in rows) == sorted(CONSTANTS.values())
    assert {row.level for row in rows} <= LEVELS
    assert {row.source for row in rows} <= CONVENTIONS
    assert all(row.says and row.present for row in rows)


def test_a_key_without_a_row_is_refused(docs: ModuleType) -> None:
    """The message names the constant and what is missing."""
    with pytest.raises(ValueError, match=r"KEY.*needs a text under it"):
        docs.page('KEY: Final = "a.b"\n"""Some words."""\n')


@pytest.mark.parametrize("call", [WHOLE_CALL, Call("chat", "anthropic", "claude", api="messages", service_tier="x")])
def test_spans_say_what_the_page_says(call: Call, docs: ModuleType, source: str) -> None:
    """Every attribute of a call is on the page, and of the type that the page gives."""
    rows = {row.key: row for section in docs.sections(source).values() for row in section}

    for key, value in to_attributes(call).items():
        row = rows.get(key) or rows[key.rpartition(".")[0] + ".*"]
        assert isinstance(value, TYPES[row.type]), key


def test_what_is_always_there_is(docs: ModuleType, source: str) -> None:
    """The page promises `always` only for what the barest call has."""
    sections = docs.sections(source)
    promised = {
        row.key
        for heading, section in sections.items()
        for row in section
        if row.present.startswith("always") and row.type in TYPES and not heading.startswith("evaluation")
    }
    observed = Call(
        "chat",
        "openai",
        "m",
        api="responses",
        server_address="a",
        server_port=1,
        complexity="unknown",
        use_case_id="uc",
    )

    assert promised == to_attributes(observed).keys()


def test_keys_are_distinct() -> None:
    """No two constants are the same key."""
    assert len(set(CONSTANTS.values()) - {"tierwise"}) == len(CONSTANTS) - 1
