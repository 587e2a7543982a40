from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from tierwise import prices
from tierwise import semconv as sc
from tierwise.call import Usage
from tierwise.imports.logged import LoggedCall
from tierwise.imports.records import NO_USAGE, inferred, to_record, usage_of
from tierwise.instrumentation.content_capture import ContentCapture
from tierwise.instrumentation.sdk import Reply
from tierwise.store.rows import CallRecord
from tierwise.tasks.memory import TaskMemory

AT_NS = 1_793_613_600_000_000_000
BODY = {"messages": [{"role": "user", "content": "Translate to French: good morning, how are you today?"}]}


@pytest.fixture(autouse=True)
def price_list() -> None:
    prices.load()


def logged(**changes: Any) -> LoggedCall:
    call = LoggedCall("openai", "gpt-5.4", AT_NS, Reply(usage=Usage(1000, 100)), body=BODY, own_id="call-1")
    return replace(call, **changes)


def record(call: LoggedCall, *, key: bytes = b"row", format_name: str = "openai", content: bool = False) -> CallRecord:
    return to_record(
        call,
        inferred(call, call.body, TaskMemory()),
        format_name=format_name,
        key=key,
        at_ns=5,
        service=None,
        capture=ContentCapture(on_spans=content),
    )


def test_a_call_is_priced_and_classified() -> None:
    """A logged call has the price of its own time, its task type, its complexity, and the name of its format."""
    found = record(logged())

    expected = prices.cost("openai", "gpt-5.4", Usage(1000, 100), at_ns=AT_NS)
    assert found.call.cost == expected
    assert (found.call.task_type, found.call.task_source) == ("translation", "inferred")
    assert found.call.complexity is not None
    assert (found.instrumentation, found.service_name) == ("tierwise.import.openai", "imported")


def test_labels_win() -> None:
    """A person's label for task and use case goes before what the text says."""
    call = record(logged(task="summary", use_case_name="mail")).call

    assert (call.task_type, call.task_source, call.use_case_name) == ("summarization", "tag", "mail")


def test_without_content_nothing_is_made_up() -> None:
    """Without text there is no task type, no complexity and no use case; a name still makes one."""
    bare = record(logged(body={})).call
    named = record(logged(body={}, use_case_name="mail")).call

    assert (bare.task_type, bare.task_source, bare.complexity, bare.use_case_id) == ("unknown", None, None, None)
    assert named.use_case_id is not None
    assert named.complexity is None


def test_usage_is_estimated_from_texts_and_marked() -> None:
    """Without counts the texts' lengths are taken, marked as an estimate; without texts there are none."""
    assert usage_of(logged(reply=Reply(output_chars=40)), 400) == Usage(100, 10, estimated=True)
    assert usage_of(logged(reply=Reply()), 0) == Usage()
    assert usage_of(logged(reply=Reply(), error_type="timeout"), 400) == Usage()
    assert usage_of(logged(reply=Reply(usage=Usage(5, 5), complete=False)), 400) == Usage(5, 5, partial=True)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"body": {}, "reply": Reply()}, NO_USAGE),
        ({"body": {}, "reply": Reply(), "error_type": "timeout"}, "the call failed"),
        ({"model": "house-model", "provider": "unknown"}, "no price for unknown/house-model"),
    ],
    ids=["no usage", "failed", "unknown model"],
)
def test_an_unknown_price_has_its_reason(changes: dict[str, Any], reason: str) -> None:
    """What has no price has none, and says why."""
    call = record(logged(**changes)).call

    assert (call.cost, call.unpriced_reason) == (None, reason)


def test_what_the_log_states() -> None:
    """Our price counts and the log's is kept beside it; where we have none the log's counts, marked as another's."""
    both = record(logged(stated_usd=Decimal("0.5"))).call
    only = record(logged(stated_usd=Decimal("0.5"), model="house-model", provider="unknown")).call

    assert both.cost is not None
    assert both.cost.source == "local"
    assert both.cost.total_usd != Decimal("0.5")
    assert both.extra[sc.COST_STATED_USD] == 0.5
    assert only.cost is not None
    assert (only.cost.total_usd, only.cost.source) == (Decimal("0.5"), "provider")


def test_ids_stay_the_same() -> None:
    """The same call has the same ids, told by the log's own id where there is one, else by its row."""
    assert record(logged()).span_id == record(logged(reply=Reply())).span_id
    assert record(logged()).span_id != record(logged(own_id="call-2")).span_id
    assert record(logged()).span_id != record(logged(), format_name="litellm").span_id
    assert record(logged(own_id=None), key=b"a").span_id == record(logged(own_id=None), key=b"a").span_id
    assert record(logged(own_id=None), key=b"a").span_id != record(logged(own_id=None), key=b"b").span_id


def test_opentelemetrys_own_ids_are_kept() -> None:
    """A span's ids stay what they are, and calls of one trace share it whatever it is called."""
    own = record(logged(own_id="b1946ac92492d234", trace="4bf92f35-77b3-4da6-a3ce-929d0e0e4736", parent="1" * 16))
    named = [record(logged(own_id=str(number), trace="trace one")).trace_id for number in (1, 2)]

    assert (own.span_id, own.trace_id) == ("b1946ac92492d234", "4bf92f3577b34da6a3ce929d0e0e4736")
    assert own.parent_span_id == "1" * 16
    assert named[0] == named[1]


def test_times() -> None:
    """A call without a time has the one it is given, and never ends before it begins."""
    undated = record(logged(start_ns=None, end_ns=None))
    backwards = record(logged(end_ns=AT_NS - 10))

    assert (undated.start_ns, undated.end_ns) == (5, 5)
    assert backwards.end_ns == AT_NS


def test_content_is_kept_only_when_asked() -> None:
    """Prompts and answers are in the record when they are to be kept, and nowhere in it otherwise."""
    call = logged(reply=Reply(usage=Usage(1, 1), text="bonjour", output_chars=7))

    plain, kept = record(call), record(call, content=True)

    assert "good morning" not in repr(plain)
    assert "bonjour" not in repr(plain)
    assert "good morning" in str(kept.call.extra[sc.INPUT_MESSAGES])
    assert "bonjour" in str(kept.call.extra[sc.OUTPUT_MESSAGES])
