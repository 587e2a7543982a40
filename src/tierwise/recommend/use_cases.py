"""What people said about use cases, as recommendations need it: what is left out, and what a rule has to name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tierwise.recommend.recommendation import Scope

if TYPE_CHECKING:
    from tierwise.recommend.slices import Slice
    from tierwise.store import Store

_NO_TENANT = "no tenant"


@dataclass(frozen=True, slots=True)
class UseCases:
    """Edits of use cases that are in force."""

    excluded: frozenset[str]
    """Use cases as counted; of one that is split, its parts are meant too."""
    members: Mapping[str, tuple[str, ...]]
    """By the use case as counted, before it is split: the use cases that its calls name."""
    split_by: Mapping[str, str]

    def recommendable(self, found: Sequence[Slice]) -> list[Slice]:
        """The slices that may be recommended for, each with what a rule has to match for its calls."""
        scopes = [(item, self._scope(item.scope)) for item in found]
        return [replace(item, scope=scope) for item, scope in scopes if scope is not None]

    def leaves(self, use_case_id: str | None) -> bool:
        """Whether a use case may be recommended for."""
        return use_case_id is None or not self.excluded & {use_case_id, use_case_id.partition("/")[0]}

    def _scope(self, scope: Scope) -> Scope | None:
        if not self.leaves(scope.use_case_id):
            return None
        whole, _, part = scope.use_case_id.partition("/")
        if whole not in self.members:
            return scope
        tenant = part if self.split_by.get(whole) == "tenant" else None
        if tenant == _NO_TENANT:
            # A rule can name tenants, not their absence.
            return None
        return replace(scope, members=self.members[whole], tenant=tenant)


def read_use_cases(store: Store) -> UseCases:
    """The edits in force."""
    members: dict[str, list[str]] = {}
    split_by: dict[str, str] = {}
    for row in store.query("use_case_members").to_pylist():
        members.setdefault(row["use_case_id"], []).append(row["observed_use_case_id"])
        if row["split_by"] is not None:
            split_by[row["use_case_id"]] = row["split_by"]
    excluded = store.query("use_case_exclusions")["use_case_id"].to_pylist()
    # What counts as another keeps that one's own calls among its members.
    counted = {whole: tuple(sorted({whole, *named})) for whole, named in members.items()}
    return UseCases(frozenset(excluded), counted, split_by)
