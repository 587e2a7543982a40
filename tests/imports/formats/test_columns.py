from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tierwise.call import Usage
from tierwise.imports.formats import columns
from tierwise.imports.logged import LoggedCall, Reading, UnreadableRow

ROW: dict[str, Any] = {
    "Timestamp": "2026-11-02 10:00:00",
    "Model": "gpt-5.4",
    "Prompt Tokens": "100",
    "completion_tokens": "7",
    "cached_tokens": "60",
    "latency_ms": "250",
    "Cost": "0.25",
    "Feature": "mail",
}


def read(row: dict[str, Any], **named: str) -> LoggedCall:
    (call,) = columns.read(row, Reading(column_map=named))
    return call


def test_usual_names() -> None:
    """Columns are known by their usual names, whatever their case and separators."""
    assert columns.claims(ROW)
    call = read(ROW)

    assert (call.provider, call.model, call.use_case_name) == ("openai", "gpt-5.4", "mail")
    assert call.reply.usage == Usage(100, 7, cache_read_tokens=60)
    assert (call.end_ns or 0) - (call.start_ns or 0) == 250_000_000
    assert call.stated_usd == Decimal("0.25")


def test_named_columns() -> None:
    """What `--map` says goes before the names, and a column that it names is nothing else."""
    row = {"llm": "gpt-5.4", "prompt_tok": "12", "answer_tok": "3", "at": "1793613600", "input": "5"}

    call = read(row, model="llm", input_tokens="prompt_tok", output_tokens="answer_tok", time="at", id="input")

    assert (call.reply.usage, call.own_id, call.body) == (Usage(12, 3), "5", {})
    assert call.start_ns == 1_793_613_600_000_000_000


def test_texts() -> None:
    """Prompts as texts, messages or whole requests are there for inference, and for an estimate of the tokens."""
    text = read({"model": "m", "prompt": "hi", "system": "Be brief.", "response": "hello"})
    listed = read({"model": "m", "messages": '[{"role": "user", "content": "hi"}]'})

    assert text.body == {"model": "m", "messages": [{"role": "user", "content": "hi"}], "system": "Be brief."}
    assert (text.reply.usage, text.reply.output_chars) == (None, 5)
    assert listed.body["messages"] == [{"role": "user", "content": "hi"}]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"input_tokens": "5"}, "--map model=COLUMN"),
        ({"model": "m", "input_tokens": "many"}, "no count of tokens"),
        ({"model": "m", "input_tokens": "5", "time": "noon"}, "no time"),
    ],
    ids=["model", "tokens", "time"],
)
def test_what_cannot_be_read_is_said(row: dict[str, Any], words: str) -> None:
    """A cell that is not what its column holds is reported with the column and the value."""
    with pytest.raises(UnreadableRow, match=words):
        read(row)


def test_what_it_leaves_to_others() -> None:
    """A table without a model, or with nothing about tokens or texts, is not claimed."""
    assert not columns.claims({"model": "m", "temperature": "1"})
    assert not columns.claims({"input_tokens": "5", "output_tokens": "5"})
