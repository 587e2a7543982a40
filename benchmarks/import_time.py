"""What `import tierwise.auto` adds to an application that uses OpenTelemetry anyway.

Each import runs in fresh interpreters, taking turns; the median wall time of each is printed, with the difference and
the ratio to the baseline: opentelemetry-sdk, its OTLP exporter and wrapt. Enabling is `tierwise.auto` after those.

    python benchmarks/import_time.py --rounds 15
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys

BASELINE = (
    "import opentelemetry.sdk.trace.export, opentelemetry.exporter.otlp.proto.http.trace_exporter, wrapt, "
    "opentelemetry.sdk._logs.export"
)
MEASURED = f"{BASELINE}; import tierwise.auto"
TIMED = """
import time, resource
began = time.perf_counter()
{code}
print(time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def measure(code: str) -> tuple[float, float]:
    """Seconds to run `code` in a fresh interpreter, and its peak memory in MB."""
    done = subprocess.run([sys.executable, "-c", TIMED.format(code=code)], capture_output=True, text=True, check=True)
    seconds, megabytes = done.stdout.split()
    return float(seconds), float(megabytes)


def main() -> None:
    """Print the comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    measure(MEASURED)
    baseline, measured = zip(*((measure(BASELINE), measure(MEASURED)) for _ in range(rounds)), strict=True)
    before_s, after_s = (statistics.median(seconds for seconds, _ in runs) for runs in (baseline, measured))
    before_mb, after_mb = (statistics.median(megabytes for _, megabytes in runs) for runs in (baseline, measured))
    print(f"baseline             {before_s * 1000:7.1f} ms  {before_mb:6.1f} MB")
    print(f"with tierwise.auto   {after_s * 1000:7.1f} ms  {after_mb:6.1f} MB")
    print(f"added                {(after_s - before_s) * 1000:7.1f} ms  {after_mb - before_mb:6.1f} MB")
    print(f"ratio                {after_s / before_s:7.2f}")


if __name__ == "__main__":
    main()
