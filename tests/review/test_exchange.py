from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tierwise.errors import StoreError
from tierwise.review.exchange import Imported, import_lines, to_line
from tierwise.review.queue import read_queue, read_shared

if TYPE_CHECKING:
    from tierwise.store.duckdb import DuckDBStore

    from .conftest import AddPairs


@pytest.fixture
def lines(store: DuckDBStore, add_pairs: AddPairs) -> list[str]:
    """The waiting pairs as exported."""
    add_pairs(100, weak_scores=lambda number: 0.0, texts=True)
    return [to_line(item, read_shared(store, item)) for item in read_queue(store).waiting]


def filled_in(line: str, verdict: str | None, **fields: object) -> str:
    return json.dumps({**json.loads(line), "verdict": verdict, **fields})


def test_lines_do_not_say_whose_answer_is_whose(lines: list[str]) -> None:
    """A line has the texts under letters and no model, probability or side."""
    content = json.loads(lines[0])

    assert set(content) == {"pair", "use_case", "asked", "a", "b", "link_a", "link_b", "verdict"}
    assert {content["a"], content["b"]} == {"answer of strong", "answer of weak"}


def test_verdicts_come_back(store: DuckDBStore, lines: list[str]) -> None:
    """Filled-in lines become reviews with the propensity of the store's own draw; the same file again adds nothing."""
    items = {item.key: item for item in read_queue(store).waiting}
    back = [filled_in(lines[0], "a", propensity=1.0, reviewer="grace"), filled_in(lines[1], "tie"), lines[2], ""]

    found = import_lines(store, back, reviewer="ada")
    again = import_lines(store, back, reviewer="ada")

    assert found == Imported(recorded=2, undecided=1, left_out=0)
    assert again == Imported(recorded=0, undecided=1, left_out=2)
    rows = {row["reviewer"]: row for row in store.query("reviews").to_pylist()}
    item = items[json.loads(lines[0])["pair"]]
    assert (rows["grace"]["verdict"], rows["grace"]["propensity"]) == (item.first, item.draw.propensity)
    assert (rows["ada"]["verdict"], rows["ada"]["shown"]) == ("both_good", "content")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("not json", "line 2: not JSON"),
        ("[]", "line 2: no `pair`"),
        ('{"pair": "x", "verdict": "A"}', "line 2: verdict is 'A'; allowed: a, b, tie, bad, skip"),
    ],
)
def test_a_bad_line_stops_all(store: DuckDBStore, lines: list[str], line: str, words: str) -> None:
    """A line that cannot be read is named, and nothing is recorded, not even what came before it."""
    with pytest.raises(StoreError, match=words):
        import_lines(store, [filled_in(lines[0], "a"), line], reviewer="ada", origin="pairs.jsonl")

    assert store.query("reviews").num_rows == 0
