"""Set what traffic may cost a month, and look at what it comes to and at what stands out."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tierwise.cli.options import add_json, add_seed, add_signature, add_store, opened_store, resolved, who
from tierwise.cli.terminal import print_json, print_table, progress, usd
from tierwise.errors import SettingsError, StoreError

if TYPE_CHECKING:
    from tierwise.alerts import Checked

EXAMPLES = """\
  tierwise budget set 500                             # all traffic, USD a calendar month
  tierwise budget set 120 --tenant acme --why "agreed with acme"
  tierwise budget set 80 --use-case invoice-extraction
  tierwise budget list
  tierwise budget check                               # exit code 1 when one is exceeded or will be
  tierwise budget check --notify --json               # new alerts go to TIERWISE_ALERT_WEBHOOK, too
  tierwise budget remove --tenant acme
"""


def configure(parser: ArgumentParser) -> None:
    parser.add_argument("action", choices=("set", "remove", "list", "check"))
    parser.add_argument("monthly_usd", nargs="?", metavar="USD", help="with set: a calendar month (UTC)")
    scope = parser.add_mutually_exclusive_group()
    scope.add_argument("--tenant", metavar="NAME", help="of one tenant (default: of all traffic)")
    scope.add_argument("--use-case", metavar="NAME", help="of one use case, by name, or by id where it has none")
    scope.add_argument("--model", metavar="NAME", help="of one model, as it is called")
    parser.add_argument("--notify", action="store_true", help="with check: post alerts that are new to the webhook")
    add_signature(parser)
    add_seed(parser)
    add_store(parser)
    add_json(parser)


def run(options: Namespace) -> int:
    match options.action:
        case "set":
            return _set(options)
        case "remove":
            return _remove(options)
        case _:
            return _check(options)


def _scope(options: Namespace) -> tuple[str, str]:
    for scope in ("tenant", "use_case", "model"):
        value = getattr(options, scope)
        if value is not None:
            return scope, str(value)
    return "all", ""


def _set(options: Namespace) -> int:
    from tierwise.alerts.budgets import read_budgets
    from tierwise.store.budgets import decimal

    if options.monthly_usd is None:
        raise SettingsError("name the amount: tierwise budget set 500")
    scope, value = _scope(options)
    with opened_store(options, writing=True) as store:
        present = {(budget.scope, budget.value): budget.revision for budget in read_budgets(store)}
        store.put_budget(
            scope,
            value,
            decimal(options.monthly_usd),
            who=who(options),
            why=options.why,
            based_on=present.get((scope, value)),
        )
    print(f"{value or 'all traffic'} may cost {usd(float(options.monthly_usd))} a month.")
    return 0


def _remove(options: Namespace) -> int:
    from tierwise.alerts.budgets import read_budgets

    scope, value = _scope(options)
    with opened_store(options, writing=True) as store:
        for budget in read_budgets(store):
            if (budget.scope, budget.value) == (scope, value):
                store.remove_budget(budget.id, who=who(options), why=options.why, based_on=budget.revision)
                print(f"{budget.subject} has no budget any more.")
                return 0
    raise StoreError(f"{value or 'all traffic'} has no budget; `tierwise budget list` shows those there are")


def _check(options: Namespace) -> int:
    from tierwise.alerts import Checked, budget_statuses, check
    from tierwise.alerts.findings import tell
    from tierwise.alerts.webhook import Webhook

    now, checking = datetime.now(UTC), options.action == "check"
    url = resolved(options).alert_webhook
    if options.notify and url is None:
        raise SettingsError("--notify needs TIERWISE_ALERT_WEBHOOK, the URL that alerts are posted to")
    with opened_store(options, writing=options.notify) as store, progress("Adding up the month…"):
        if checking:
            checked = check(store, now=now, seed=options.seed)
        else:
            checked = Checked(tuple(budget_statuses(store, now=now, seed=options.seed)), ())
        if options.notify and url is not None and (fresh := tell(store, checked.alerts)):
            webhook = Webhook(url)
            webhook.send(fresh)
            webhook.close(30.0)
    if options.json:
        print_json(
            {
                "as_of": now,
                "budgets": [status.to_dict() for status in checked.budgets],
                "alerts": [alert.to_dict() for alert in checked.alerts],
                "breached": checked.breached,
            }
        )
    else:
        _print(checked)
    return 1 if checking and checked.breached else 0


def _print(checked: Checked) -> None:
    from tierwise.cli.figures import shown

    if checked.budgets:
        print_table(
            ["budget", ">a month", ">spent", ">of it", ">the month comes to", "state"],
            [
                [
                    status.budget.subject,
                    usd(status.budget.monthly_usd),
                    usd(status.spent_usd),
                    f"{status.spent_share:.0%}",
                    shown(status.forecast),
                    status.state,
                ]
                for status in checked.budgets
            ],
        )
    else:
        print("No budget is set; `tierwise budget set 500` sets one for all traffic.")
    for alert in checked.alerts:
        print(f"  ! {alert.message}")
