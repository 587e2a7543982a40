from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from tierwise.call import Evaluation
from tierwise.errors import Conflict
from tierwise.evidence.estimate import Estimate, NotEnoughData
from tierwise.review import retune
from tierwise.review.queue import read_queue
from tierwise.review.verdicts import record
from tierwise.routing.policy import parse

from .conftest import START_NS, ids

if TYPE_CHECKING:
    from tierwise.store.duckdb import DuckDBStore

    from .conftest import AddPairs

POLICY = """\
version = 1
mode = "enforce"

[[rule]]
id = "cheap-first"
kind = "cascade"
when = { use_case = ["replies"] }
to = "claude-haiku-5-5"

[rule.escalate]
on = ["schema", "language", "complexity"]
complexity_at = "medium"
"""


def fill(
    store: DuckDBStore,
    add_pairs: AddPairs,
    *,
    is_wrong: Callable[[int], bool],
    fires: dict[str, Callable[[int], bool]],
    count: int = 1200,
) -> int:
    """Pairs whose weak answers are wrong, and whose checks fire, as given; every drawn pair is reviewed truthfully."""
    add_pairs(count, weak_scores=lambda number: float(number % 2))
    store.add_evaluations(
        [
            Evaluation(*ids(number + 10_000), name, "structural", float(not fired(number)), START_NS)
            for name, fired in fires.items()
            for number in range(count)
        ]
    )
    waiting = read_queue(store).waiting
    for item in waiting:
        number = int(item.shadow_span_id, 16) - 10_000
        strong_is_better = "a" if item.first == "strong" else "b"
        record(store, item, strong_is_better if is_wrong(number) else "tie", reviewer="ada", shown="link")
    return len(waiting)


def wrong(number: int) -> bool:
    return number % 3 == 0


def test_informative_triggers_come_in_and_chance_goes_out(store: DuckDBStore, add_pairs: AddPairs) -> None:
    """A check that fires on wrong answers is added, one that fires on right ones dropped with its keys, and the diff
    says so."""
    store.put_policy(POLICY, who="ada", why="")
    reviewed = fill(
        store,
        add_pairs,
        is_wrong=wrong,
        fires={"refusal": wrong, "schema": wrong, "language": lambda number: number % 3 == 1},
    )

    tuning = retune.propose(store)

    (rule,) = tuning.rules
    found = {trigger.name: trigger for trigger in rule.triggers}
    assert {name: found[name].advice for name in ("schema", "language", "refusal")} == {
        "schema": "keep",
        "language": "drop",
        "refusal": "add",
    }
    assert found["schema"].answers == reviewed
    assert isinstance(found["schema"].measured.recall, Estimate)
    assert found["schema"].measured.recall.value == 1.0
    assert isinstance(rule.wrong, Estimate)
    assert rule.wrong.low < 1 / 3 < rule.wrong.high
    assert tuning.proposed is not None
    assert tuning.proposed.rules[0].options["escalate"]["on"] == ("schema", "complexity", "refusal")
    assert len(tuning.changes) == 1


def test_applying_is_a_new_version_with_its_reasons(store: DuckDBStore, add_pairs: AddPairs) -> None:
    """The proposal becomes the next version, with who, why and what changed; made from an older one it is refused."""
    store.put_policy(POLICY, who="ada", why="")
    fill(store, add_pairs, is_wrong=wrong, fires={"refusal": wrong})
    tuning = retune.propose(store)

    record_of = retune.apply(store, tuning, who="grace", why="November")

    assert (record_of.version, record_of.action, record_of.who) == (2, "retune", "grace")
    assert record_of.why.startswith("November (")
    assert "refusal" in parse(record_of.text).rules[0].options["escalate"]["on"]
    assert store.audit_log()[0]["action"] == "policy.retune"
    with pytest.raises(Conflict):
        retune.apply(store, tuning, who="grace", why="again")


def test_few_reviews_change_nothing(store: DuckDBStore, add_pairs: AddPairs) -> None:
    """Below 30 reviewed answers there is no base rate, and the policy stays."""
    store.put_policy(POLICY, who="ada", why="")
    fill(store, add_pairs, is_wrong=wrong, fires={"refusal": wrong}, count=60)

    tuning = retune.propose(store)

    assert isinstance(tuning.rules[0].wrong, NotEnoughData)
    assert tuning.proposed is None
    with pytest.raises(ValueError, match="no change"):
        retune.apply(store, tuning, who="ada", why="")


def test_other_rules_are_left_alone(store: DuckDBStore, add_pairs: AddPairs) -> None:
    """A rule that does not escalate, or is about other calls, gets no advice from these reviews."""
    store.put_policy(POLICY.replace('["replies"]', '["letters"]'), who="ada", why="")
    fill(store, add_pairs, is_wrong=wrong, fires={"refusal": wrong}, count=400)

    (rule,) = retune.propose(store).rules

    assert [trigger.advice for trigger in rule.triggers] == ["not measured"] * 3
    assert retune.propose(store).proposed is None


def test_without_a_policy_there_is_nothing_to_tune(store: DuckDBStore) -> None:
    """A store without a policy has no rule to measure."""
    assert retune.propose(store).rules == ()


def test_the_last_trigger_stays(store: DuckDBStore, add_pairs: AddPairs) -> None:
    """A cascade keeps one trigger, however little it finds: without any it would never escalate."""
    only = POLICY.replace('on = ["schema", "language", "complexity"]\ncomplexity_at = "medium"', 'on = ["language"]')
    store.put_policy(only, who="ada", why="")
    fill(store, add_pairs, is_wrong=wrong, fires={"language": lambda number: number % 3 == 1})

    tuning = retune.propose(store)

    assert tuning.rules[0].triggers[0].advice == "drop"
    assert tuning.proposed is None
