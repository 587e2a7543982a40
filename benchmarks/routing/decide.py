"""What a routing decision costs the caller, in microseconds, beside one look-up in a dictionary.

    python benchmarks/routing/decide.py
    python benchmarks/routing/decide.py --rules 1000 --json

Half of the rules name a use case, half only a model and a size; one in ten also matches on an attribute and on the time
of day. Every request matches, is checked for compatibility, and is drawn. `known` is a call whose use case is declared;
`uncached` one whose text was never seen, with the inference of task type, use case and complexity that its decision
needs. Then 64 threads decide at a time: together they should get done what one does, and no lock may be left held.
Figures are medians over rounds of this process, on whatever machine and beside whatever else it does.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from tierwise.call import Request
from tierwise.routing.live import Router
from tierwise.routing.policy import Policy
from tierwise.routing.rule import Rule, When
from tierwise.settings import Settings
from tierwise.tasks.infer import infer

KNOWN_TARGET_US = 50.0
UNCACHED_TARGET_US = 150.0
THREADS = 64
STRONG, WEAK = "claude-opus-5-5", "claude-haiku-5-5"


def policy_with(rules: int) -> Policy:
    """Half the rules name a use case, half only a model and a size; the last of them matches every call."""

    def when(place: int, **matchers: Any) -> When:
        if place % 10 == 9:
            matchers |= {"attributes": {"plan": ("enterprise",)}, "hours": "08:00-18:00", "timezone": "Europe/Berlin"}
        return When(request_model=(STRONG,), **matchers)

    half = rules // 2
    by_use_case = [
        Rule(f"use-case-{place}", "route", when(place, use_case=(f"uc_{place}",)), to=WEAK, share=0.5, holdout=0.03)
        for place in range(half)
    ]
    by_size = [
        Rule(
            f"size-{place}",
            "route",
            when(place, min_input_tokens=0 if place == rules - half - 1 else 10_000_000),
            to=WEAK,
            share=0.5,
            holdout=0.03,
        )
        for place in range(rules - half - 1)
    ]
    everything = Rule("everything", "route", When(request_model=(STRONG,)), to=WEAK, share=0.5, holdout=0.03)
    return Policy(version=1, mode="enforce", rules=(*by_use_case, *by_size, everything))


def body_of(number: int, turns: int) -> dict[str, Any]:
    """A conversation of `turns` messages with three tools declared, whose first one no other request shares."""
    question = f"Question {number} of the customer. " + "Some context that belongs to it. " * 60
    messages: list[dict[str, Any]] = [{"role": "user", "content": question}]
    for turn in range(turns - 1):
        role = "user" if turn % 2 else "assistant"
        messages.append({"role": role, "content": [{"type": "text", "text": "An answer of some length. " * 20}]})
    tools = [{"name": f"tool_{place}", "input_schema": {"type": "object"}} for place in range(3)]
    return {"model": STRONG, "max_tokens": 4096, "messages": messages, "tools": tools}


def request_of(body: dict[str, Any], **fields: Any) -> Request:
    return Request(
        provider="anthropic",
        operation="chat",
        api="messages",
        model=STRONG,
        body=body,
        input_tokens_estimate=2_000,
        attributes={"plan": "free"},
        **fields,
    )


def microseconds(decide: Callable[[Any], object], calls: Sequence[Any]) -> list[float]:
    """Time of each call of `decide`, in microseconds."""
    taken: list[float] = []
    for call in calls:
        began = time.perf_counter_ns()
        decide(call)
        taken.append((time.perf_counter_ns() - began) / 1000)
    return taken


def threaded(router: Router, calls: Sequence[Request], threads: int, decisions: int) -> float:
    """Decisions a second of `threads` threads that make `decisions` of them in all."""
    ready = threading.Barrier(threads + 1)

    def work() -> None:
        ready.wait()
        for number in range(decisions // threads):
            router.decide(calls[number % len(calls)])

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    ready.wait()
    began = time.perf_counter()
    for worker in workers:
        worker.join()
    return decisions / (time.perf_counter() - began)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rules", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    options = parser.parse_args()

    router = Router(Settings(), policy=policy_with(options.rules))
    look_up = {f"uc_{place}": place for place in range(options.rules)}
    lines: list[dict[str, float]] = []
    for turns in (1, 5, 21):
        known = [request_of(body_of(number, turns), use_case_id=f"uc_{number}") for number in range(50)]
        decided = {router.decide(call).decision for call in known}
        if decided != {"routed", "unchanged"}:
            raise SystemExit(f"the benchmark's requests are not drawn as meant: {decided}")

        def uncached(body: dict[str, Any]) -> None:
            found = infer(body, operation="chat", call_site=None)
            router.decide(
                request_of(
                    body,
                    use_case_id=found.use_case.id,
                    task_type=found.task_type,
                    complexity=found.complexity.band,
                )
            )

        of_known, of_uncached, of_look_up = [], [], []
        for place in range(options.rounds):
            of_look_up += microseconds(look_up.get, ["uc_7"] * 50)
            of_known += microseconds(router.decide, known)
            of_uncached += microseconds(uncached, [body_of(1_000 * (place + 1) + call, turns) for call in range(10)])
        lines.append(
            {
                "messages": turns,
                "look_up_p50_us": statistics.median(of_look_up),
                "known_p50_us": statistics.median(of_known),
                "known_p95_us": statistics.quantiles(of_known, n=20)[-1],
                "uncached_p50_us": statistics.median(of_uncached),
                "uncached_p95_us": statistics.quantiles(of_uncached, n=20)[-1],
            }
        )

    known = [request_of(body_of(number, 1), use_case_id=f"uc_{number}") for number in range(50)]
    alone = statistics.median(threaded(router, known, 1, 6_400) for _ in range(3))
    together = statistics.median(threaded(router, known, THREADS, 6_400) for _ in range(3))
    held = [name for name, lock in locks_of(router).items() if lock.locked()]
    worst_known = max(line["known_p50_us"] for line in lines)
    worst_uncached = max(line["uncached_p50_us"] for line in lines)
    good = worst_known <= KNOWN_TARGET_US and worst_uncached <= UNCACHED_TARGET_US and not held
    if options.json:
        print(json.dumps({"lines": lines, "alone": alone, "together": together, "held": held, "good": good}, indent=2))
        return 0 if good else 1
    print(f"{options.rules} rules; medians, µs")
    print(f"{'messages':>9} {'look-up':>8} {'known':>8} {'p95':>8} {'times':>8} {'uncached':>9} {'p95':>8}")
    for line in lines:
        print(
            f"{line['messages']:>9} {line['look_up_p50_us']:>8.2f} {line['known_p50_us']:>8.1f} "
            f"{line['known_p95_us']:>8.1f} {line['known_p50_us'] / line['look_up_p50_us']:>7.0f}x "
            f"{line['uncached_p50_us']:>9.1f} {line['uncached_p95_us']:>8.1f}"
        )
    print(
        f"worst p50: known {worst_known:.1f} µs (aim: {KNOWN_TARGET_US:.0f}), uncached {worst_uncached:.1f} µs (aim: "
        f"{UNCACHED_TARGET_US:.0f})\n"
        f"decisions a second: {alone:,.0f} by one thread, {together:,.0f} by {THREADS} ({together / alone:.2f}x); "
        f"locks held afterwards: {', '.join(held) or 'none'}"
    )
    return 0 if good else 1


def locks_of(router: Router) -> dict[str, Any]:
    """Every lock of the router and of its parts."""
    parts = [router, *(value for value in vars(router).values() if hasattr(value, "__dict__"))]
    return {
        f"{type(part).__name__}.{name}": value
        for part in parts
        for name, value in vars(part).items()
        if hasattr(value, "locked")
    }


if __name__ == "__main__":
    sys.exit(main())
