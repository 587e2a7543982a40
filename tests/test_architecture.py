from __future__ import annotations

import json
import subprocess
import sys

HEAVY = ("duckdb", "numpy", "pandas", "pyarrow", "rich", "starlette", "streamlit", "uvicorn")
SDKS = ("openai", "anthropic")


def modules_after(code: str) -> set[str]:
    """Top-level packages loaded in a fresh interpreter once `code` has run."""
    script = f"{code}\nimport json, sys\nprint(json.dumps(sorted({{name.partition('.')[0] for name in sys.modules}})))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_the_one_line_is_light() -> None:
    """`import tierwise.auto` loads no storage, analysis or web package, and neither SDK."""
    loaded = modules_after("import tierwise.auto")

    assert loaded.isdisjoint(HEAVY)
    assert loaded.isdisjoint(SDKS)


def test_an_observed_call_is_light_too() -> None:
    """Making calls with a policy in force, checks and shadow calls included, loads none of it either."""
    loaded = modules_after(
        """
import openai
import tierwise
from opentelemetry.sdk.trace import TracerProvider
from tierwise.routing.policy import parse
from tierwise.testing import LoopbackProvider

policy = parse('''
version = 1
mode = "enforce"
[[rule]]
id = "all"
kind = "route"
when = { request_model = ["gpt-6.1-sol"] }
to = "gpt-6-luna"
share = 0.5
sticky = "none"
[shadow]
sample = 1.0
daily_budget_usd = 1.0
''')
tierwise.instrument(policy, tracer_provider=TracerProvider())
tierwise.check("all")(lambda request, answer: bool(answer.text))
with LoopbackProvider() as provider, openai.OpenAI(base_url=provider.openai_base_url, api_key="x") as client:
    for _ in range(8):
        with tierwise.use_case("all"):
            client.chat.completions.create(model="gpt-6.1-sol", messages=[{"role": "user", "content": "hello"}])
    tierwise.flush(5)
    models = {request.model for request in provider.requests}
    assert models == {"gpt-6.1-sol", "gpt-6-luna"}, models
"""
    )

    assert loaded.isdisjoint(HEAVY)


def test_the_public_package_is_lazy() -> None:
    """`import tierwise` alone loads nothing but the standard library."""
    loaded = modules_after("import tierwise") - modules_after("pass") - set(sys.stdlib_module_names)

    assert loaded == {"tierwise"}


def test_help_is_quick_to_load() -> None:
    """`tierwise --help` loads neither DuckDB nor NumPy."""
    loaded = modules_after("from tierwise.cli import main\nmain(['--help'])")

    assert loaded.isdisjoint(HEAVY)
