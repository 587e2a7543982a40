from __future__ import annotations

import subprocess
import sys
import threading
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tierwise.checks import KNOWN, Answer, CheckContext, ToolCall, UserCheck, run
from tierwise.checks.check import Deadline, OutOfTime

CONTEXT = CheckContext(task_type="extraction", schema={"type": "object"}, samples=(Answer("x"),))
REQUEST: dict[str, Any] = {
    "messages": [{"role": "user", "content": "Give the total of this invoice as JSON: total 12.50"}],
    "response_format": {"type": "json_object"},
}


def test_a_verdict_a_name() -> None:
    """Verdicts come in the order of the names, each with the time it took."""
    verdicts = run(["truncation", "schema"], REQUEST, Answer('{"total": 12.50}'))

    assert [(verdict.check, verdict.passed) for verdict in verdicts] == [("truncation", True), ("schema", True)]
    assert all(verdict.elapsed_s > 0 for verdict in verdicts)


def test_every_known_check_runs() -> None:
    """Each known name is a check, and says why where it does not apply."""
    verdicts = run(KNOWN, {}, Answer("Hello"))

    assert [verdict.check for verdict in verdicts] == list(KNOWN)
    assert all(verdict.reason for verdict in verdicts if verdict.passed is None)


def test_an_unknown_check_is_no_error() -> None:
    """A name that is none gives a verdict that says so."""
    [verdict] = run(["vibes"], {}, Answer("Hello"))

    assert verdict.passed is None
    assert "unknown check" in verdict.reason


def test_a_check_that_fails_is_no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of ours inside a check ends there, and the next check runs."""
    monkeypatch.setenv("TIERWISE_FIREWALL", "swallow")

    broken, fine = run(["truncation", "refusal"], {}, Answer("Hello", tool_calls=(None,)))  # type: ignore[arg-type]

    assert broken.passed is None
    assert fine.passed is True


def test_a_check_out_of_time_is_no_verdict() -> None:
    """A check that runs out of time does not apply, and says so."""
    [verdict] = run(["truncation"], {}, Answer("Hello"), timeout_s=0.0)

    assert (verdict.passed, verdict.reason) == (None, "timed out after 0 s")


def test_a_hanging_function_does_not_hold_the_call() -> None:
    """A function of the user's that never returns costs the time limit, and no more."""
    release = threading.Event()
    context = CheckContext(functions=(UserCheck("hangs", lambda request, answer: release.wait()),))

    [verdict] = run(["contradiction"], {}, Answer("Hello"), timeout_s=0.05, context=context)
    release.set()

    assert (verdict.passed, verdict.reason) == (None, "hangs timed out")
    assert verdict.elapsed_s < 10


def test_a_deadline_runs_out() -> None:
    """A deadline gives the seconds left, and raises when there are none."""
    Deadline(10.0).check()

    assert 0 < Deadline(10.0).left_s() <= 10
    with pytest.raises(OutOfTime):
        Deadline(-1.0).check()


TEXTS = st.text(max_size=80) | st.sampled_from(
    [
        "\ud800",
        "{" * 5000,
        "[" * 100_000,
        '{"a": ' * 2000,
        "```json\n" * 2000,
        '"' * 5000,
        "\\" * 3000,
        "\u3042漢字" * 500,
    ]
)
WORDS = (
    "type schema json_schema properties items required enum $ref anyOf content text role name parameters function "
    "input_schema format tools"
)
KEYS = "messages input system instructions tools functions tool_choice response_format text output_config task previous"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS.split()), inner, max_size=4),
    max_leaves=15,
)
BODIES = st.dictionaries(st.sampled_from(KEYS.split()), JSON, max_size=6)


@settings(max_examples=150)
@given(BODIES, TEXTS, st.lists(st.builds(ToolCall, TEXTS, TEXTS), max_size=2), JSON)
def test_nothing_makes_it_raise(body: dict[str, Any], text: str, calls: list[ToolCall], schema: Any) -> None:
    """Whatever stands in request, answer and registered schema, there is a verdict, and no error of ours."""
    context = CheckContext("extraction", schema, samples=(Answer(text),))

    verdicts = run(KNOWN, body, Answer(text, tuple(calls)), context=context)

    assert all("failed" not in verdict.reason for verdict in verdicts)


@pytest.mark.parametrize(
    "text",
    ["{" * 3_000_000, "[" * 1_500_000, "a " * 2_000_000, '{"a":"' + "\\" * 1_900_000, "```\n" * 700_000, "0." * 10**6],
)
def test_megabytes_take_bounded_time(text: str) -> None:
    """An answer of megabytes, built to be slow to read, takes no check more than a few seconds of a loaded machine."""
    verdicts = run(KNOWN, REQUEST, Answer(text), context=CONTEXT)

    assert max(verdict.elapsed_s for verdict in verdicts) < 5


def test_importing_checks_is_light() -> None:
    """No JSON Schema package, no pydantic and no SDK is loaded by running the checks."""
    script = "import sys; from tierwise.checks import *; from tierwise.checks import Answer, KNOWN, run; " + (
        "run(KNOWN, {}, Answer('x')); print(sorted({name.partition('.')[0] for name in sys.modules}))"
    )

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)

    assert not {"jsonschema", "pydantic", "numpy", "openai", "anthropic"} & set(done.stdout.strip("[]\n").split(", "))
    assert "tierwise" in done.stdout
