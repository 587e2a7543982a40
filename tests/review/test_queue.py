from __future__ import annotations

from typing import TYPE_CHECKING

from tierwise.review.queue import read_queue, read_shared, trace_link
from tierwise.review.verdicts import record

from .conftest import NOW_NS, SECOND_NS, START_NS

if TYPE_CHECKING:
    from tierwise.store.duckdb import DuckDBStore

    from .conftest import AddPairs


def test_a_few_of_all_and_many_of_the_disagreements(store: DuckDBStore, add_pairs: AddPairs) -> None:
    """Of pairs scored alike 3% wait for review, of those scored differently 30%, oldest first."""
    add_pairs(1000)
    add_pairs(1000, weak_scores=lambda number: 0.0, start=1000)

    waiting = read_queue(store, now_ns=NOW_NS).waiting

    alike = [item for item in waiting if item.made_at.timestamp() * 1e9 < START_NS + 1000 * SECOND_NS]
    assert 12 <= len(alike) <= 50
    assert 240 <= len(waiting) - len(alike) <= 360
    assert {item.draw.propensity for item in alike} == {0.03}
    assert {item.draw.propensity for item in waiting[len(alike) :]} == {0.3}
    assert [item.made_at for item in waiting] == sorted(item.made_at for item in waiting)


def test_a_score_that_comes_late_does_not_change_the_draw(store: DuckDBStore, add_pairs: AddPairs) -> None:
    """What arrived more than a minute after the shadow call does not make a pair a disagreement."""
    add_pairs(500, weak_scores=lambda number: 0.0, scored_after_s=61)

    waiting = read_queue(store, now_ns=NOW_NS).waiting

    assert {item.draw.propensity for item in waiting} == {0.03}


def test_a_pair_waits_until_it_is_settled(store: DuckDBStore, add_pairs: AddPairs) -> None:
    """Pairs of the last minute are not offered yet."""
    add_pairs(500, weak_scores=lambda number: 0.0)

    assert read_queue(store, now_ns=START_NS + 30 * SECOND_NS).waiting == ()
    young = read_queue(store, now_ns=START_NS + 311 * SECOND_NS).waiting
    assert max(item.made_at.timestamp() for item in young) <= START_NS / 1e9 + 250


def test_what_was_decided_no_longer_waits(store: DuckDBStore, add_pairs: AddPairs) -> None:
    """A verdict takes a pair out of the queue, whoever gave it."""
    add_pairs(300, weak_scores=lambda number: 0.0)
    before = read_queue(store, now_ns=NOW_NS)

    record(store, before.waiting[0], "tie", reviewer="ada", shown="link")

    after = read_queue(store, now_ns=NOW_NS)
    assert after.waiting == before.waiting[1:]
    assert after.reviewed == before.reviewed + 1


def test_filters_narrow_the_queue(store: DuckDBStore, add_pairs: AddPairs) -> None:
    """The filters that all queries share apply."""
    add_pairs(300, weak_scores=lambda number: 0.0)

    assert read_queue(store, {"use_case": ["replies"]}, now_ns=NOW_NS).waiting
    assert read_queue(store, {"use_case": ["other"]}, now_ns=NOW_NS).waiting == ()


def test_content_is_shown_blind(store: DuckDBStore, add_pairs: AddPairs) -> None:
    """Texts that were captured are shown under letters, in the order drawn."""
    add_pairs(200, weak_scores=lambda number: 0.0, texts=True)

    for item in read_queue(store, now_ns=NOW_NS).waiting[:10]:
        shared = read_shared(store, item)

        assert shared.asked == "Be brief.\n\nuser: Why?"
        assert (shared.a, shared.b) == (f"answer of {item.side('a')}", f"answer of {item.side('b')}")
        assert shared.shown == "content"
        assert item.side("a") == item.first


def test_links_stand_in_for_content(store: DuckDBStore, add_pairs: AddPairs) -> None:
    """Without texts there are links by the template, and without a template nothing."""
    add_pairs(200, weak_scores=lambda number: 0.0)
    item = read_queue(store, now_ns=NOW_NS).waiting[0]

    shared = read_shared(store, item, trace_url="https://apm/{trace_id}#{span_id}")

    links = {"strong": f"https://apm/{item.trace_id}#{item.span_id}"}
    links["weak"] = f"https://apm/{item.shadow_trace_id}#{item.shadow_span_id}"
    assert (shared.link_a, shared.link_b) == (links[item.side("a")], links[item.side("b")])
    assert (shared.a, shared.asked, shared.shown) == (None, None, "link")
    assert trace_link(None, "1", "2") is None
