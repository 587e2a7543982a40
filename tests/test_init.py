from __future__ import annotations

import importlib.metadata
import subprocess
import sys

import pytest

import tierwise
from tierwise import errors


def test_exported_names() -> None:
    """Every name in `__all__` is there, `dir()` shows it, and `__all__` is in order."""
    assert sorted(tierwise.__all__) == list(tierwise.__all__)
    assert set(tierwise.__all__) <= set(dir(tierwise))
    for name in tierwise.__all__:
        assert getattr(tierwise, name) is not None


def test_nothing_else_is_exported() -> None:
    """Exactly the public names come with `from tierwise import *`, in a fresh interpreter."""
    script = "from tierwise import *\nprint(sorted(name for name in globals() if not name.startswith('__')))"

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)

    public = [name for name in tierwise.__all__ if not name.startswith("__")]
    assert done.stdout.strip() == repr(public)


def test_every_error_is_exported() -> None:
    """Each exception that tierwise raises on purpose can be caught under its public name."""
    own = {name for name, value in vars(errors).items() if getattr(value, "__module__", None) == errors.__name__}

    assert own <= set(tierwise.__all__)


def test_version() -> None:
    """The version is the distribution's."""
    assert tierwise.__version__ == importlib.metadata.version("tierwise")


def test_unknown_name() -> None:
    """A name that does not exist is an AttributeError, as of any module."""
    with pytest.raises(AttributeError, match="module 'tierwise' has no attribute 'nonsense'"):
        tierwise.nonsense  # type: ignore[attr-defined]  # noqa: B018


def test_functions_are_not_hidden_by_modules() -> None:
    """`tierwise.instrument` is the function, also after the package that defines it was imported."""
    script = "import tierwise.auto, tierwise\nprint(callable(tierwise.instrument), callable(tierwise.use_case))"

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)

    assert done.stdout == "True True\n"
