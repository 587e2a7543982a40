from __future__ import annotations

import subprocess
import sys
import textwrap

import tierwise.testing


def test_every_public_name_exists_and_the_list_is_sorted() -> None:
    """__all__ is what the package offers: constants, then classes, then functions, each in order."""
    names = tierwise.testing.__all__

    assert names == sorted(names, key=lambda name: (not name.isupper(), name[0].islower(), name))
    assert [name for name in names if not hasattr(tierwise.testing, name)] == []


def test_the_docstring_s_example_runs() -> None:
    """The first thing a user copies works as printed."""
    docstring = tierwise.testing.__doc__ or ""
    code = textwrap.dedent(docstring[docstring.index("    from openai") : docstring.index("`python -m")])

    finished = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)

    assert (finished.returncode, finished.stderr) == (0, "")
    assert code.count("assert ") == 3


def test_importing_it_stays_light() -> None:
    """Only the standard library and OpenTelemetry: no numpy, no web framework, no SDK."""
    heavy = ("numpy", "starlette", "uvicorn", "duckdb", "pyarrow", "pandas", "openai", "anthropic", "httpx2")
    code = f"import sys, tierwise.testing; print([name for name in {heavy} if name in sys.modules])"

    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert printed.strip() == "[]"
