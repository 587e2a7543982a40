from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from decimal import Decimal
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from tierwise.call import Call, Cost, Usage
from tierwise.recommend.recommendation import Scope
from tierwise.recommend.use_cases import read_use_cases
from tierwise.routing.policy import parse
from tierwise.savings.assignment import match, scope_of
from tierwise.savings.traffic import read_traffic
from tierwise.store.duckdb import DuckDBStore
from tierwise.store.rows import CallRecord

if TYPE_CHECKING:
    from tierwise.recommend.slices import Slice

SCOPE = Scope("uc_a", "replies", "extraction", "openai", "gpt-6.1-sol")
RULE = """
version = 1
mode = "enforce"
[[rule]]
id = "b"
kind = "route"
when = { use_case = ["uc_b"] }
to = "gpt-6-luna"
"""


@pytest.fixture
def store() -> Generator[DuckDBStore]:
    """Calls of two use cases by two tenants."""
    opened = DuckDBStore.open(None)
    calls: list[CallRecord] = []
    for number, (use_case, tenant) in enumerate([("uc_a", "acme"), ("uc_a", "globex"), ("uc_b", "acme")], 1):
        call = Call(
            operation="chat",
            provider="openai",
            request_model="gpt-6.1-sol",
            usage=Usage(input_tokens=10, output_tokens=10),
            cost=Cost(Decimal(1), Decimal(0), price_version="list 1"),
            task_type="extraction",
            use_case_id=use_case,
            tenant=tenant,
        )
        start = 1_790_000_000_000_000_000 + number
        calls.append(CallRecord(f"{number:032x}", f"{number:016x}", start, start + 1, call))
    opened.add_calls(calls)
    yield opened
    opened.close()


def slices_of(*scopes: Scope) -> list[Slice]:
    return [cast("Slice", _Slice(scope)) for scope in scopes]


class _Slice(SimpleNamespace):
    def __init__(self, scope: Scope) -> None:
        super().__init__(scope=scope)

    def __replace__(self, **changes: Any) -> _Slice:
        return _Slice(changes["scope"])


def scopes_left(store: DuckDBStore, *scopes: Scope, monkeypatch: pytest.MonkeyPatch) -> list[Scope]:
    monkeypatch.setattr("tierwise.recommend.use_cases.replace", _replaced)
    return [item.scope for item in read_use_cases(store).recommendable(slices_of(*scopes))]


def _replaced(item: Any, **changes: Any) -> Any:
    return _Slice(changes["scope"]) if isinstance(item, _Slice) else replace(item, **changes)


def test_without_edits_nothing_changes(store: DuckDBStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rule names the use case itself."""
    assert scopes_left(store, SCOPE, monkeypatch=monkeypatch) == [SCOPE]


def test_an_excluded_use_case_is_left_out(store: DuckDBStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is recommended for it, nor for its parts."""
    store.edit_use_case("exclude", "uc_a", "", who="ada", why="")

    assert scopes_left(store, SCOPE, replace(SCOPE, use_case_id="uc_a/acme"), monkeypatch=monkeypatch) == []


def test_a_merged_use_case_is_named_with_its_members(store: DuckDBStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rule has to name what the application sees: every use case whose calls count as this one."""
    store.edit_use_case("merge", "uc_b", "uc_a", who="ada", why="")

    (scope,) = scopes_left(store, SCOPE, monkeypatch=monkeypatch)

    assert scope.members == ("uc_a", "uc_b")


def test_a_part_is_named_with_its_tenant(store: DuckDBStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rule for one tenant's part names the whole and the tenant; the part without one cannot be named."""
    store.edit_use_case("split", "uc_a", "tenant", who="ada", why="")
    parts = [replace(SCOPE, use_case_id=f"uc_a/{tenant}") for tenant in ("acme", "no tenant")]

    (scope,) = scopes_left(store, *parts, monkeypatch=monkeypatch)

    assert (scope.members, scope.tenant) == (("uc_a",), "acme")


def test_rules_match_what_the_application_saw(store: DuckDBStore) -> None:
    """A rule in force from before a merge decides about the same calls after it."""
    policy = parse(RULE)
    before = match(policy, scope_of(read_traffic(store.query("savings_calls")))).rule.tolist()
    store.edit_use_case("merge", "uc_b", "uc_a", who="ada", why="")

    after = match(policy, scope_of(read_traffic(store.query("savings_calls")))).rule.tolist()

    assert before == after == [-1, -1, 0]
