from __future__ import annotations

from tierwise import semconv as sc
from tierwise.call import Usage
from tierwise.instrumentation.batches import Tally, add_up
from tierwise.instrumentation.sdk import Reply


def test_calls_are_counted_by_model() -> None:
    """One booking for each model, with each call's own usage and their sum; answers without usage count for nothing."""
    tally = Tally("batch_1", "messages", ordered_s=5.0)
    for model, tokens in (("a", 1), ("b", 10), ("a", 2)):
        tally.add(Reply(model=model, usage=Usage(tokens, tokens)))
    tally.add(Reply(model="a"))

    first, second = tally.bookings()

    assert (first.reply.model, first.usages, first.reply.usage) == ("a", [Usage(1, 1), Usage(2, 2)], Usage(3, 3))
    assert first.reply.extra == {sc.BATCH_ID: "batch_1", sc.BATCH_REQUESTS: 2}
    assert (second.order_id, second.ordered_s, second.is_sum) == ("batch_1 b", 5.0, False)


def test_sums() -> None:
    """Every count and every unit is added up."""
    one = Usage(10, 5, cache_read_tokens=3, web_searches=1, units=(("audio_seconds", 1.5), ("storage_searches", 1)))

    assert add_up([one, Usage(1), one]) == Usage(
        21, 10, cache_read_tokens=6, web_searches=2, units=(("audio_seconds", 3.0), ("storage_searches", 2))
    )
