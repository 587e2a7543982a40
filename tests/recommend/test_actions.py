from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tierwise.errors import Conflict, PolicyError, StoreError
from tierwise.recommend import Recommendation, actions, recommend
from tierwise.routing.policy import Policy, parse

if TYPE_CHECKING:
    from conftest import World, Worlds
    from tierwise.store.duckdb import DuckDBStore

PINNED = """\
# keep the pilot customer where it is
version = 1
mode = "enforce"   # since October

[[rule]]
id = "pilot"
kind = "pin"
when = { tenant = ["pilot"] }

[[rule]]
id = "cheap-math"
when = { task_type = ["math"] }
to = "claude-haiku-5-5"
"""


@pytest.fixture
def item(worlds: Worlds, store: DuckDBStore, proven: World) -> Recommendation:
    """A certified recommendation, kept in the store."""
    (found,) = actions.refresh(store, now=worlds.AS_OF)
    assert found.state == "certified"
    return found


def state(store: DuckDBStore, item: Recommendation) -> str:
    return actions.find(store, item.id).state


def test_a_share_beyond_the_certified_one_is_refused(worlds: Worlds, store: DuckDBStore, item: Recommendation) -> None:
    """What is certified for a part of the calls is applied to no more of them, at once or later."""
    store.save_recommendations([replace(item, share=0.4).to_dict()])

    with pytest.raises(PolicyError, match=r"share of at most 0\.4 of its calls, not 0\.5"):
        actions.apply(store, [item.id], share=0.5, holdout=0.05, who="ada", why="")
    actions.apply(store, [item.id], share=0.4, holdout=0.05, who="ada", why="")

    with pytest.raises(PolicyError, match=r"share of at most 0\.4"):
        actions.step_up(store, item.id, share=1.0, who="ada", why="")


def policy(store: DuckDBStore) -> Policy:
    current = store.current_policy()
    assert current is not None
    return parse(current.text)


def apply(store: DuckDBStore, item: Recommendation, share: float = 0.1) -> None:
    actions.apply(store, [item.id], share=share, holdout=0.05, who="ada", why="certified")


def test_applying_puts_a_rule_in_force(store: DuckDBStore, item: Recommendation) -> None:
    """One new policy version with the rule and its evidence, the recommendation enforced, both in the audit log."""
    apply(store, item)

    (rule,) = policy(store).rules
    assert policy(store).mode == "enforce"
    assert (rule.id, rule.share, rule.holdout) == (item.rule_id, 0.1, 0.05)
    assert rule.evidence["recommendation"] == item.id
    assert state(store, item) == "enforced"
    assert {entry["action"] for entry in store.audit_log()} >= {"policy.apply", "recommendation.enforced"}
    assert {entry["who"] for entry in store.audit_log()} == {"ada"}


def test_the_approved_content_stays(worlds: Worlds, store: DuckDBStore, item: Recommendation) -> None:
    """Once enforced, a recommendation keeps what was approved, and its use case gets no second one."""
    apply(store, item)

    later = actions.refresh(store, now=worlds.AS_OF + timedelta(days=3))

    assert [(other.id, other.state) for other in later] == [(item.id, "enforced")]
    assert later[0].spend_usd == item.spend_usd
    assert later[0].as_of == item.as_of


def test_new_rules_stand_behind_pins_and_before_the_rest(store: DuckDBStore, item: Recommendation) -> None:
    """What a person pinned stays pinned; what was there keeps its place after the new rule."""
    store.put_policy(PINNED, who="ada", why="", based_on=None)

    apply(store, item)

    assert [rule.id for rule in policy(store).rules] == ["pilot", item.rule_id, "cheap-math"]


def test_other_rules_do_not_come_into_force_by_the_way(store: DuckDBStore, item: Recommendation) -> None:
    """Applying to a policy in shadow mode with rules of its own is refused: they would be enforced too."""
    store.put_policy(PINNED.replace("enforce", "shadow"), who="ada", why="", based_on=None)

    with pytest.raises(PolicyError, match="would also bring cheap-math into force"):
        apply(store, item)
    assert state(store, item) == "certified"
    assert policy(store).version == 1


def test_the_kill_switch_is_not_thrown_back_by_the_way(store: DuckDBStore, item: Recommendation) -> None:
    """While the policy is off nothing can be applied."""
    actions.switch(store, "off", who="ada", why="incident")

    with pytest.raises(PolicyError, match="mode off"):
        apply(store, item)


def test_evidence_limits_the_share(worlds: Worlds, store: DuckDBStore) -> None:
    """A candidate may take a small share, an unproven recommendation none."""
    worlds.fill(store, worlds.make(4, conversations=150, pair_share=0.2))
    (candidate,) = actions.refresh(store, now=worlds.AS_OF)
    assert candidate.state == "candidate"

    with pytest.raises(PolicyError, match=r"at most 0\.2, not 0\.5"):
        apply(store, candidate, share=0.5)
    apply(store, candidate, share=0.2)
    with pytest.raises(PolicyError, match=r"at most 0\.2"):
        actions.step_up(store, candidate.id, share=0.9, who="ada", why="")
    assert state(store, candidate) == "enforced"


def test_the_unproven_is_not_applied(worlds: Worlds, store: DuckDBStore) -> None:
    """What has no evidence cannot be enforced, and the message says what it needs."""
    worlds.fill(store, worlds.make(2, pair_share=0.0))
    (unproven,) = actions.refresh(store, now=worlds.AS_OF)

    with pytest.raises(PolicyError, match="is unproven; it needs about"):
        apply(store, unproven)


def test_nothing_is_applied_twice(store: DuckDBStore, item: Recommendation) -> None:
    """A second application is a conflict and changes nothing."""
    apply(store, item)

    with pytest.raises(Conflict, match="already sends"):
        apply(store, item)
    assert policy(store).version == 1


def test_stepping_up_changes_the_share_alone(store: DuckDBStore, item: Recommendation) -> None:
    """A new version with the larger share; id and evidence stay, so arms stay too."""
    apply(store, item)
    (before,) = policy(store).rules

    actions.step_up(store, item.id, share=0.5, who="ada", why="looks good")

    (after,) = policy(store).rules
    assert after.share == 0.5
    assert (after.id, after.evidence, after.holdout) == (before.id, before.evidence, before.holdout)


def test_rolling_back_takes_the_rule_out(worlds: Worlds, store: DuckDBStore, item: Recommendation) -> None:
    """The rule goes, the others stay, and the recommendation waits as rolled back until it is reopened."""
    store.put_policy(PINNED, who="ada", why="", based_on=None)
    apply(store, item)

    actions.rollback(store, item.id, who="grace", why="complaints")

    assert [rule.id for rule in policy(store).rules] == ["pilot", "cheap-math"]
    assert state(store, item) == "rolled_back"
    assert [other.state for other in recommend(store, now=worlds.AS_OF)] == ["rolled_back"]
    actions.reopen(store, item.id, who="grace", why="fixed")
    assert state(store, item) == "certified"


def test_only_what_is_in_force_is_rolled_back(store: DuckDBStore, item: Recommendation) -> None:
    """Without a rule that carries it out there is nothing to roll back."""
    with pytest.raises(StoreError, match="no rule of the policy in force carries it out"):
        actions.rollback(store, item.id, who="ada", why="")


def test_restoring_a_version_brings_the_states_along(store: DuckDBStore, item: Recommendation) -> None:
    """Going back to before the application rolls the recommendation back; going forth enforces it again."""
    store.put_policy(PINNED, who="ada", why="", based_on=None)
    apply(store, item)

    actions.restore(store, who="ada", why="incident")
    assert [rule.id for rule in policy(store).rules] == ["pilot", "cheap-math"]
    assert state(store, item) == "rolled_back"

    actions.restore(store, 2, who="ada", why="false alarm")
    assert item.rule_id in [rule.id for rule in policy(store).rules]
    assert state(store, item) == "enforced"
    assert policy(store).version == 4


def test_only_versions_that_exist_are_restored(store: DuckDBStore) -> None:
    """A missing version is refused with those that there are."""
    with pytest.raises(PolicyError, match="no policy in the store yet"):
        actions.restore(store, who="ada", why="")
    store.put_policy(PINNED, who="ada", why="", based_on=None)
    with pytest.raises(PolicyError, match="earlier versions: none"):
        actions.restore(store, 7, who="ada", why="")


def test_a_written_policy_rolls_back_what_it_leaves_out(store: DuckDBStore, item: Recommendation) -> None:
    """Applying a file without the rule takes the recommendation out of force, and a stale basis is a conflict."""
    apply(store, item)

    with pytest.raises(Conflict):
        actions.apply_text(store, PINNED, who="ada", why="", based_on=None)
    actions.apply_text(store, PINNED, who="ada", why="", based_on=1)

    assert state(store, item) == "rolled_back"


def test_dismissing_lasts(worlds: Worlds, store: DuckDBStore, item: Recommendation) -> None:
    """A dismissed recommendation stays dismissed, with the reason, however often the list is made again."""
    actions.dismiss(store, item.id, reason="contract", who="ada")

    (again,) = actions.refresh(store, now=worlds.AS_OF + timedelta(days=2))

    assert (again.state, again.evidence_state, again.decided_why) == ("dismissed", "certified", "contract")


def test_a_snooze_ends(worlds: Worlds, store: DuckDBStore, item: Recommendation) -> None:
    """Until its day a snoozed recommendation sleeps; on that day it is back in the state of its evidence."""
    actions.snooze(store, item.id, until=worlds.AS_OF + timedelta(days=2), who="ada", why="launch week")

    (asleep,) = actions.refresh(store, now=worlds.AS_OF + timedelta(days=1))
    (awake,) = actions.refresh(store, now=worlds.AS_OF + timedelta(days=2))

    assert (asleep.state, asleep.decided_why) == ("snoozed", "launch week")
    assert awake.state == "certified"
    assert state(store, item) == "certified"


def test_what_is_in_force_is_not_put_away(worlds: Worlds, store: DuckDBStore, item: Recommendation) -> None:
    """An enforced recommendation has to be rolled back before it is dismissed or snoozed."""
    apply(store, item)

    with pytest.raises(Conflict, match="roll it back first"):
        actions.dismiss(store, item.id, reason="", who="ada")
    with pytest.raises(Conflict, match="roll it back first"):
        actions.snooze(store, item.id, until=worlds.AS_OF, who="ada", why="")


def test_recommendations_are_found_by_a_beginning(store: DuckDBStore, item: Recommendation) -> None:
    """A unique beginning of the id is enough; none or several are refused."""
    assert actions.find(store, item.id[:8]).id == item.id
    with pytest.raises(StoreError, match="no recommendation has the id 'nope'"):
        actions.find(store, "nope")


def test_the_kill_switch_keeps_the_text(store: DuckDBStore) -> None:
    """Off and on change the mode and leave rules, comments and order as they were."""
    store.put_policy(PINNED, who="ada", why="", based_on=None)

    off = actions.switch(store, "off", who="ada", why="incident")
    on = actions.switch(store, "enforce", who="ada", why="over")

    assert off.text == PINNED.replace("version = 1", "version = 2").replace('"enforce"', '"off"')
    assert on.text == PINNED.replace("version = 1", "version = 3")
    assert (off.action, on.action) == ("off", "on")


def test_the_kill_switch_works_without_a_policy(store: DuckDBStore) -> None:
    """Off is off, also before there was a policy."""
    actions.switch(store, "off", who="ada", why="")

    assert policy(store).mode == "off"


def test_a_file_is_switched_in_one_step(tmp_path: Path) -> None:
    """The file's mode is replaced, its rights stay, and nothing else is left in the folder."""
    path = tmp_path / "policy.toml"
    path.write_text(PINNED)
    path.chmod(0o640)

    actions.switch_file(path, "off")

    assert path.read_text() == PINNED.replace('"enforce"', '"off"')
    assert path.stat().st_mode & 0o777 == 0o640
    assert [entry.name for entry in tmp_path.iterdir()] == ["policy.toml"]


def test_a_link_to_a_file_stays_a_link(tmp_path: Path) -> None:
    """When the policy is reached through a symbolic link, the file behind it is switched."""
    (tmp_path / "real.toml").write_text(PINNED)
    link = tmp_path / "policy.toml"
    link.symlink_to("real.toml")

    actions.switch_file(link, "off")

    assert link.is_symlink()
    assert parse((tmp_path / "real.toml").read_text()).mode == "off"


def test_a_broken_file_can_be_switched_off_but_not_on(tmp_path: Path) -> None:
    """In an emergency the switch works on whatever the file holds, and keeps it for a person to repair."""
    path = tmp_path / "policy.toml"
    path.write_text('mode = "enforce"\n[[rule\n')

    with pytest.raises(PolicyError):
        actions.switch_file(path, "enforce")
    actions.switch_file(path, "off")

    assert parse(path.read_text()).mode == "off"
    assert "# [[rule" in path.read_text()


def test_a_missing_file_is_made(tmp_path: Path) -> None:
    """The kill switch may be thrown before the file is there; a folder that is not there is an error."""
    actions.switch_file(tmp_path / "policy.toml", "off")

    assert parse((tmp_path / "policy.toml").read_text()).mode == "off"
    with pytest.raises(PolicyError, match="cannot be switched"):
        actions.switch_file(tmp_path / "no" / "policy.toml", "off")


def test_a_policy_without_a_mode_gets_one() -> None:
    """A text that does not say its mode says it first afterwards."""
    assert actions.with_mode("version = 3\n", "off") == 'mode = "off"\nversion = 3\n'


def test_what_has_expired_is_not_applied(worlds: Worlds, store: DuckDBStore, proven: World) -> None:
    """Past its date a recommendation is refused until it is worked out again."""
    (item,) = actions.refresh(store, now=worlds.AS_OF)
    assert item.expires_at is not None

    with pytest.raises(Conflict, match="has expired"):
        actions.apply(store, [item.id], share=0.1, holdout=0.03, who="ada", why="", now=item.expires_at)

    assert store.current_policy() is None
    actions.apply(store, [item.id], share=0.1, holdout=0.03, who="ada", why="", now=worlds.AS_OF)
