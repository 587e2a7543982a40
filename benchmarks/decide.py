"""What a routing decision costs the caller: microseconds a call with 100 rules, and against a policy without rules.

    python benchmarks/decide.py

The rules cover the shapes that cost most: one for each of many use cases of one model, and some that only a full look
at the request can tell apart. Every request matches, is checked for compatibility, and is drawn.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Sequence
from typing import Any

from tierwise.call import Request
from tierwise.routing.live import Router
from tierwise.routing.policy import Policy
from tierwise.routing.rule import Rule, When
from tierwise.settings import Settings

TARGET_P50_US = 50.0


def policy_with(rules: int) -> Policy:
    """Half the rules name a use case, half only a model and a size; the last of them matches."""
    by_use_case = [
        Rule(
            f"use-case-{place}",
            "route",
            When(use_case=(f"uc_{place}",), request_model=("claude-opus-5-5",)),
            to="claude-haiku-5-5",
            share=0.5,
            holdout=0.03,
        )
        for place in range(rules // 2)
    ]
    by_size = [
        Rule(
            f"size-{place}",
            "route",
            When(request_model=("claude-opus-5-5",), min_input_tokens=10 * (rules - place - 1)),
            to="claude-haiku-5-5",
            share=0.5,
            holdout=0.03,
        )
        for place in range(rules - rules // 2)
    ]
    return Policy(version=1, mode="enforce", rules=(*by_use_case, *by_size))


def requests(turns: int, count: int) -> list[Request]:
    """Conversations of `turns` messages with a long first one and three tools declared."""
    tools = [{"name": f"tool_{place}", "input_schema": {"type": "object"}} for place in range(3)]
    made: list[Request] = []
    for number in range(count):
        messages: list[dict[str, Any]] = [{"role": "user", "content": f"Question {number}. " + "Some context. " * 400}]
        for turn in range(turns - 1):
            role = "user" if turn % 2 else "assistant"
            messages.append({"role": role, "content": [{"type": "text", "text": "An answer of some length. " * 20}]})
        body: dict[str, Any] = {"model": "claude-opus-5-5", "max_tokens": 4096, "messages": messages, "tools": tools}
        made.append(
            Request(
                provider="anthropic",
                operation="chat",
                api="messages",
                model="claude-opus-5-5",
                body=body,
                use_case_id="uc_none",
                input_tokens_estimate=500 + 10 * number,
            )
        )
    return made


def microseconds(router: Router, calls: Sequence[Request], rounds: int) -> list[float]:
    """Time of each decision, in microseconds."""
    taken: list[float] = []
    for _ in range(rounds):
        for call in calls:
            began = time.perf_counter_ns()
            router.decide(call)
            taken.append((time.perf_counter_ns() - began) / 1000)
    return taken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rules", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=100)
    arguments = parser.parse_args()

    empty = Router(Settings(), policy=Policy(version=1, mode="enforce"))
    full = Router(Settings(), policy=policy_with(arguments.rules))
    print(f"{'messages':>9} {'no rules p50':>13} {f'{arguments.rules} rules p50':>14} {'p95':>8} {'ratio':>7}")
    worst = 0.0
    for turns in (1, 5, 21):
        calls = requests(turns, 50)
        decisions = {full.decide(call).decision for call in calls}
        if decisions != {"routed", "unchanged"}:
            raise SystemExit(f"the benchmark's requests are not drawn as meant: {decisions}")
        baseline = statistics.median(microseconds(empty, calls, arguments.rounds))
        taken = microseconds(full, calls, arguments.rounds)
        p50, p95 = statistics.median(taken), statistics.quantiles(taken, n=20)[-1]
        worst = max(worst, p50)
        print(f"{turns:>9} {baseline:>10.1f} µs {p50:>11.1f} µs {p95:>5.1f} µs {p50 / baseline:>6.1f}x")
    verdict = "within" if worst <= TARGET_P50_US else "over"
    print(f"worst p50 {worst:.1f} µs: {verdict} the {TARGET_P50_US:.0f} µs that a decision may take")


if __name__ == "__main__":
    main()
