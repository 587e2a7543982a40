"""The process the demo's application runs in; told on standard input which part of its traffic to serve.

    {"part": "observe", "scale": 1.0}
    → {"done": 250, "total": 3251}
    → {"finished": "observe", "served": 3251, "failed": 0, "flushed": true, "seconds": 20.1}

It stays up between two parts, so that a rule applied meanwhile reaches it as it would reach any running application: by
the policy it polls.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import tierwise
from tierwise.demo.app import answer
from tierwise.demo.story import traffic

PROGRESS_EVERY = 50
FLUSH_TIMEOUT_S = 60.0


def serve_part(part: Any, scale: float) -> None:
    """Serve one part of the traffic and report on standard output."""
    calls = traffic(part, scale=scale)
    failed = 0
    began = time.perf_counter()
    for done, (product, prompt) in enumerate(calls, start=1):
        try:
            answer(product, prompt)
        except Exception as error:  # noqa: BLE001 - an application that serves people goes on after a failed request
            failed += 1
            sys.stderr.write(f"{product.name}: {type(error).__name__}: {error}\n")
        if done % PROGRESS_EVERY == 0:
            # Shadow calls run one at a time behind the application's own. Days of traffic squeezed into a minute would
            # overrun them, and what overruns is dropped.
            tierwise.flush(FLUSH_TIMEOUT_S)
            say({"done": done, "total": len(calls)})
    flushed = tierwise.flush(FLUSH_TIMEOUT_S)
    say(
        {
            "finished": part,
            "served": len(calls),
            "failed": failed,
            "flushed": flushed,
            "seconds": time.perf_counter() - began,
        }
    )


def say(message: dict[str, Any]) -> None:
    """One line to whoever started this process."""
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Serve the parts named on standard input until it closes."""
    say({"ready": True})
    for line in sys.stdin:
        order = json.loads(line)
        serve_part(order["part"], float(order.get("scale", 1.0)))


if __name__ == "__main__":
    main()
