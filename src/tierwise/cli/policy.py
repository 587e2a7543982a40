"""Look at the policy, change it, and take changes back.

Every change is a new version in the store with who, when and why. `off` is the kill switch; when TIERWISE_POLICY names
a file, `off` and `on` rewrite that file and need no store.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tierwise.cli.options import (
    add_json,
    add_signature,
    add_store,
    opened_store,
    policy_path,
    resolved,
    share,
    since,
    who,
)
from tierwise.cli.terminal import print_json, print_table
from tierwise.errors import PolicyError
from tierwise.routing import policy as policies
from tierwise.routing.signature import sign, signature_path

if TYPE_CHECKING:
    from tierwise.routing.policy import Policy
    from tierwise.store import PolicyRecord, Store

_DECIDING_DAYS = 7.0
"""How long after its last call an application is still named."""

EXAMPLES = """\
  tierwise policy check policy.toml
  tierwise policy diff policy.toml                    # against the one in force
  tierwise policy apply policy.toml --why "quarterly review"
  tierwise policy apply --recommendation rec_760c --share 10% --holdout 3% --why "certified"
  tierwise policy rollback                            # to the version before
  tierwise policy rollback --recommendation rec_760c --why "complaints"
  tierwise policy off --why "incident 42"             # nothing is routed any more
  tierwise policy proposals                           # which rules may take a larger share, and what the others lack
  tierwise policy step-up invoice-extraction --why "two good weeks"
  TIERWISE_POLICY_KEY=secret tierwise policy sign policy.toml
  tierwise policy history
"""


def configure(parser: ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)

    check = actions.add_parser("check", help="whether a file is a policy, and what it says")
    check.add_argument("file", metavar="FILE")
    add_json(check)

    show = actions.add_parser("show", help="the policy in force, or an earlier version")
    show.add_argument("--version", type=int, metavar="N", help="that version")
    show.add_argument("--text", action="store_true", help="as TOML")
    _add_common(show)

    diff = actions.add_parser("diff", help="what changes from one policy to another")
    diff.add_argument("policies", nargs="+", metavar="FILE|VERSION", help="two, or one against the policy in force")
    _add_common(diff)

    apply = actions.add_parser("apply", help="put a file, or recommendations, in force")
    apply.add_argument("file", nargs="?", metavar="FILE")
    apply.add_argument("--recommendation", action="append", default=[], metavar="ID", help="may be given several times")
    apply.add_argument(
        "--share", type=share, default=0.1, metavar="S", help="part that goes to the target (default: 10%%)"
    )
    apply.add_argument(
        "--holdout", type=share, default=0.03, metavar="S", help="part kept to measure by (default: 3%%)"
    )
    apply.add_argument("--mode", choices=("enforce", "shadow"), default="enforce", help="default: enforce")
    apply.add_argument("--based-on", type=int, metavar="N", help="refuse unless version N is in force")
    _add_common(apply, signed=True)

    rollback = actions.add_parser("rollback", help="go back to an earlier version, or take one recommendation out")
    rollback.add_argument("--to", type=int, metavar="N", help="that version (default: the one before)")
    rollback.add_argument("--recommendation", metavar="ID", help="take only this one's rule out")
    _add_common(rollback, signed=True)

    off = actions.add_parser("off", help="the kill switch: no call is touched")
    off.add_argument("--file", metavar="FILE", help="switch this policy file, not the store")
    _add_common(off, signed=True)

    on = actions.add_parser("on", help="let the policy take effect again")
    on.add_argument("--mode", choices=("enforce", "shadow"), default="enforce", help="default: enforce")
    on.add_argument("--file", metavar="FILE", help="switch this policy file, not the store")
    _add_common(on, signed=True)

    proposals = actions.add_parser("proposals", help="the next share of each rule in force, and what it waits for")
    _add_common(proposals)

    step_up = actions.add_parser("step-up", help="raise a rule to its next share, when nothing speaks against it")
    step_up.add_argument("rule", metavar="RULE", help="its id")
    _add_common(step_up, signed=True)

    sign = actions.add_parser("sign", help="write FILE.sig, for applications that share TIERWISE_POLICY_KEY")
    sign.add_argument("file", metavar="FILE")
    add_json(sign)

    history = actions.add_parser("history", help="every version, newest first")
    _add_common(history)


def _add_common(parser: ArgumentParser, *, signed: bool = False) -> None:
    if signed:
        add_signature(parser)
    add_store(parser)
    add_json(parser)


def run(options: Namespace) -> int:
    match options.action:
        case "check":
            _check(options)
        case "show":
            _show(options)
        case "diff":
            _diff(options)
        case "apply":
            _apply(options)
        case "rollback":
            _rollback(options)
        case "off":
            _switch(options, "off")
        case "on":
            _switch(options, options.mode)
        case "proposals":
            _proposals(options)
        case "step-up":
            _step_up(options)
        case "sign":
            _sign(options)
        case _:
            _history(options)
    return 0


def _check(options: Namespace) -> None:
    policy = policies.load(options.file)
    if options.json:
        print_json(_as_json(policy))
    else:
        print(policy.describe())


def _show(options: Namespace) -> None:
    with opened_store(options) as store:
        record = _version(store, options.version)
        newest = store.policy_history()[0].version
        deciding = store.query("policy_versions", since=since(_DECIDING_DAYS)).to_pylist()
    policy = policies.parse(record.text, origin=f"version {record.version}")
    if options.json:
        print_json({**_as_json(policy), **_about(record), "applications": deciding})
    elif options.text:
        print(record.text, end="")
    else:
        print(policy.describe())
        print(f"By {record.who}, {record.created_at:%Y-%m-%d %H:%M} UTC{f': {record.why}' if record.why else ''}")
        for row in deciding:
            behind = newest - row["policy_version"]
            late = f", {behind} behind the newest" if behind > 0 else ""
            print(f"{row['service_name']} decided by version {row['policy_version']}{late}: {age(row)}")


def _diff(options: Namespace) -> None:
    named: list[str] = options.policies
    if len(named) > 2:
        raise PolicyError(f"{len(named)} policies are named; name two, or one to compare with the one in force")
    if all(_is_file(name) for name in named) and len(named) == 2:
        old, new = (policies.load(name) for name in named)
    else:
        with opened_store(options) as store:
            old, new = (_named(store, name) for name in ([None] if len(named) == 1 else []) + named)
    changes = policies.diff(old, new)
    if options.json:
        print_json(changes)
    else:
        print("\n".join(change.describe() for change in changes) or "They say the same.")


def _apply(options: Namespace) -> None:
    from tierwise.recommend import actions

    if (options.file is None) != bool(options.recommendation):
        raise PolicyError("name either a policy FILE or recommendations with --recommendation ID")
    with opened_store(options, writing=True) as store:
        current = store.current_policy()
        version = None if current is None else current.version
        if options.based_on is not None and options.based_on != version:
            raise PolicyError(
                f"the policy in force is {version or 'none'}, not version {options.based_on}; look at it first"
            )
        before = policies.Policy() if current is None else policies.parse(current.text)
        if options.file is None:
            record = actions.apply(
                store,
                options.recommendation,
                share=options.share,
                holdout=options.holdout,
                mode=options.mode,
                who=who(options),
                why=options.why,
                now=datetime.now(UTC),
            )
        else:
            policies.load(options.file)
            text = Path(options.file).read_text(encoding="utf-8")
            record = actions.apply_text(store, text, who=who(options), why=options.why, based_on=version)
    _print_change(record, before, as_json=options.json)


def _rollback(options: Namespace) -> None:
    from tierwise.recommend import actions

    with opened_store(options, writing=True) as store:
        before = policies.parse(_version(store, None).text)
        if options.recommendation is not None:
            record = actions.rollback(store, options.recommendation, who=who(options), why=options.why)
        else:
            record = actions.restore(store, options.to, who=who(options), why=options.why)
    _print_change(record, before, as_json=options.json)


def _switch(options: Namespace, mode: policies.Mode) -> None:
    from tierwise.recommend import actions

    path = Path(options.file) if options.file is not None else None
    path = path or (policy_path(options) if options.db is None else None)
    if path is not None:
        actions.switch_file(path, mode, key=resolved(options).policy_key)
        if options.json:
            print_json({"file": str(path), "mode": mode})
        else:
            print(f"{path} is now in mode {mode}; applications follow within seconds.")
        return
    with opened_store(options, writing=True) as store:
        current = store.current_policy()
        before = policies.Policy() if current is None else policies.parse(current.text)
        record = actions.switch(store, mode, who=who(options), why=options.why)
    _print_change(record, before, as_json=options.json)


def age(row: Mapping[str, Any]) -> str:
    """How long ago a service last decided about a call, in words; `row` is one of the query `policy_versions`."""
    minutes = (datetime.now(UTC) - row["newest_call_time"].replace(tzinfo=UTC)).total_seconds() / 60
    return f"last call {minutes:,.0f} min ago" if minutes < 180 else f"last call {minutes / 60:,.0f} h ago"


def _proposals(options: Namespace) -> None:
    from tierwise.recommend import step_ups

    with opened_store(options) as store:
        found = step_ups.step_ups(store, now=datetime.now(UTC))
    if options.json:
        print_json([{**asdict(item), "ready": item.ready} for item in found])
    elif not found:
        print("No rule in force has a share left to gain.")
    else:
        print_table(
            ["rule", ">share", ">next", ">days", ">calls", "waits for"],
            [
                [
                    item.rule_id,
                    f"{item.share:.4g}",
                    f"{item.next_share:.4g}",
                    f"{item.days:.1f}",
                    f"{item.calls:,}",
                    "; ".join(item.waits_for) or ("the collector" if item.automatic else "you"),
                ]
                for item in found
            ],
        )


def _step_up(options: Namespace) -> None:
    from tierwise.recommend import step_ups

    with opened_store(options, writing=True) as store:
        before = policies.parse(_version(store, None).text)
        record = step_ups.take(store, options.rule, who=who(options), why=options.why, now=datetime.now(UTC))
    _print_change(record, before, as_json=options.json)


def _sign(options: Namespace) -> None:
    key = resolved(options).policy_key
    if key is None:
        raise PolicyError("TIERWISE_POLICY_KEY is not set: there is no key to sign with")
    path = Path(options.file)
    policies.load(path)
    signature_path(path).write_text(f"{sign(path.read_bytes(), key)}\n", encoding="ascii")
    if options.json:
        print_json({"file": str(path), "signature": str(signature_path(path))})
    else:
        print(f"{signature_path(path)} is written; applications with the same key take {path} now.")


def _history(options: Namespace) -> None:
    with opened_store(options) as store:
        records = store.policy_history()
    if options.json:
        print_json([_about(record) for record in records])
        return
    print_table(
        [">version", "when (UTC)", "who", "action", "mode", ">rules", "why"],
        [
            [
                str(record.version),
                f"{record.created_at:%Y-%m-%d %H:%M}",
                record.who,
                record.action,
                policy.mode,
                str(len(policy.rules)),
                record.why,
            ]
            for record in records
            for policy in [policies.parse(record.text)]
        ],
    )


def _print_change(record: PolicyRecord, before: Policy, *, as_json: bool) -> None:
    changes = policies.diff(before, policies.parse(record.text))
    if as_json:
        print_json({**_about(record), "changes": changes})
        return
    print(f"Policy version {record.version} is in force.")
    for change in changes:
        print(f"  - {change.describe()}")


def _version(store: Store, version: int | None) -> PolicyRecord:
    history = store.policy_history()
    if not history:
        raise PolicyError("there is no policy in the store yet; `tierwise policy apply FILE` puts one in force")
    found = history[0] if version is None else next((item for item in history if item.version == version), None)
    if found is None:
        raise PolicyError(f"there is no policy version {version}; the newest is {history[0].version}")
    return found


def _named(store: Store, name: str | None) -> Policy:
    if name is not None and _is_file(name):
        return policies.load(name)
    record = _version(store, None if name is None else int(name))
    return policies.parse(record.text, origin=f"version {record.version}")


def _is_file(name: str) -> bool:
    return not name.isdecimal()


def _as_json(policy: Policy) -> dict[str, object]:
    return {
        "version": policy.version,
        "mode": policy.mode,
        "content_hash": policy.content_hash,
        "rules": policy.rules,
        "shadow": policy.shadow,
        "deployments": policy.deployments.names,
    }


def _about(record: PolicyRecord) -> dict[str, object]:
    return {
        "version": record.version,
        "content_hash": record.content_hash,
        "who": record.who,
        "why": record.why,
        "action": record.action,
        "created_at": record.created_at,
    }
