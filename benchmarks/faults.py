"""Whether an error of ours can reach the user: each function made to raise, on every way of making a call.

    python benchmarks/faults.py
    python benchmarks/faults.py --surface "chat stream"

Which functions a call runs is found by tracing it, so new ones take part by being called. Each is made to raise, one at
a time, on every surface that runs it: sync and async, plain, parsed, raw, streamed, left early, refused, broken off and
interrupted, with a policy in force, shadow calls, content capture, a check and metrics, against a provider on loopback.
What the caller sees (answers, chunks, exceptions and their chains, with their types) is held against the SDK alone.

Prints functions x surfaces tried and what differed. Exits 1 when anything did, or when faults did not strike.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import defaultdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "instrumentation"))
from fault_trials import CARRIERS, CASES, Trial, Trials


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--surface", help="only surfaces whose name contains this")
    arguments = parser.parse_args()
    cases = [case for case in CASES if (arguments.surface or "") in case.name]
    tried: defaultdict[str, int] = defaultdict(int)
    failed: list[Trial] = []
    missed: list[Trial] = []
    began_s = time.perf_counter()
    with Trials() as trials:
        altered = [case.name for case in cases if trials.observed(case) != trials.bare(case)]
        for number, case in enumerate(cases, 1):
            for target in trials.functions_called(case):
                trial = trials.attempt(case, target)
                tried[target.name] += 1
                failed += [] if trial.is_identical else [trial]
                missed += [] if trial.raised else [trial]
            print(f"{number:4} of {len(cases)}  {case.name:52} {time.perf_counter() - began_s:6.0f} s", file=sys.stderr)
    for trial in failed:
        print(f"FAILED  {trial.target.name} on {trial.case.name}: {str(trial.saw)[:120]}")
    for name in altered:
        print(f"ALTERED without a fault  {name}")
    print(f"{len(tried)} functions on {len(cases)} surfaces: {sum(tried.values())} faults, {len(failed)} failures")
    print(f"{len(missed)} faults did not strike: a background thread was in the middle of the function")
    print(f"{len(CARRIERS)} functions stand in for the SDK's own and are tried through what they call")
    return 1 if failed or altered or len(missed) > sum(tried.values()) / 50 else 0


if __name__ == "__main__":
    sys.exit(main())
