"""What pricing a call costs, beside genai-prices' own arithmetic, and what the price list costs in memory.

python benchmarks/prices.py

Times are thread CPU time per call, the quietest of several rounds. Memory is resident memory after both SDKs and the
OpenTelemetry SDK are loaded, in a process of its own, with bytecode cached.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime

from genai_prices import Usage as ListUsage
from genai_prices import calc_price

from tierwise import prices
from tierwise.call import Usage

ROUNDS = 7
CALLS = 20_000
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
NOON_NS = int(NOON.timestamp()) * 1_000_000_000

CASES = {
    "openai, cached input and reasoning": (
        "openai",
        "gpt-4o-mini",
        Usage(1200, 300, cache_read_tokens=1000, reasoning_tokens=20),
        {"input_tokens": 1200, "output_tokens": 300, "cache_read_tokens": 1000, "output_reasoning_tokens": 20},
    ),
    "anthropic, cache writes": (
        "anthropic",
        "claude-opus-5-5",
        Usage(1200, 300, cache_read_tokens=100, cache_write_tokens=1000, cache_write_1h_tokens=10),
        {
            "input_tokens": 1200,
            "output_tokens": 300,
            "cache_read_tokens": 100,
            "cache_write_tokens": 1000,
            "cache_write_1h_tokens": 10,
        },
    ),
    "openai, audio (by the list's arithmetic)": (
        "openai",
        "gpt-audio",
        Usage(1200, 300, units=(("input_audio_tokens", 100),)),
        {"input_tokens": 1200, "output_tokens": 300, "input_audio_tokens": 100},
    ),
}

MEMORY = """
import gc, sys

def resident_mb():
    gc.collect()
    return int(open("/proc/self/statm").read().split()[1]) * 4096 / 1e6

import anthropic, openai, opentelemetry.sdk.trace
openai.OpenAI(api_key="x").responses, anthropic.Anthropic(api_key="x").messages
from tierwise import prices
before = resident_mb()
prices.load()
print(resident_mb() - before)
"""


def microseconds(call: Callable[[], object], calls: int) -> float:
    """Thread CPU time of one call in the quietest round."""
    call()
    best = float("inf")
    for _ in range(ROUNDS):
        began = time.thread_time()
        for _ in range(calls):
            call()
        best = min(best, (time.thread_time() - began) / calls * 1e6)
    return best


def main() -> None:
    prices.load()
    print(f"{'':42}{'tierwise':>10}{'calc_price':>12}  µs")
    for name, (provider, model, usage, counts) in CASES.items():

        def ours(provider: str = provider, model: str = model, usage: Usage = usage) -> object:
            return prices.price(provider, model, usage, at_ns=NOON_NS, service_tier="default", response_model=model)

        def theirs(provider: str = provider, model: str = model, counts: dict[str, int] = counts) -> object:
            return calc_price(ListUsage(**counts), model, provider_id=provider, genai_request_timestamp=NOON)

        print(f"{name:42}{microseconds(ours, CALLS):10.2f}{microseconds(theirs, CALLS // 20):12.2f}")
    if sys.platform == "linux":
        grown = [
            float(subprocess.run([sys.executable, "-c", MEMORY], check=True, capture_output=True, text=True).stdout)
            for _ in range(3)
        ]
        print(f"price list in memory: {sorted(grown)[1]:.1f} MB")


if __name__ == "__main__":
    main()
