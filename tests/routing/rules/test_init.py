from __future__ import annotations

from pathlib import Path

import pytest

from tierwise.routing import rules
from tierwise.routing.rules import SHARED_KEYS, known_kinds, rule_kind


def test_every_module_of_the_folder_is_a_kind():
    """A kind is known as soon as its file is there."""
    files = {path.stem for path in Path(rules.__file__).parent.glob("*.py")} - {"__init__"}

    assert set(known_kinds()) == files
    assert known_kinds() == ("cascade", "pin", "route", "speculative")


@pytest.mark.parametrize("name", known_kinds())
def test_every_kind_has_the_shape_of_one(name: str):
    """A kind module takes shared keys only and has the functions that the registry promises."""
    kind = rule_kind(name)

    assert kind.KEYS <= SHARED_KEYS
    assert all(callable(read) for read in kind.TABLES.values())
    assert callable(kind.target)
    assert callable(kind.escalation)
    assert callable(kind.describe)
