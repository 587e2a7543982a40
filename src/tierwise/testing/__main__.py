"""`python -m tierwise.testing`: the loopback provider in a process of its own, echoing what it is told."""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
import threading

from tierwise.testing.answers import Answer, ProviderRequest
from tierwise.testing.provider import LoopbackProvider

_EXAMPLES = """\
examples:
  python -m tierwise.testing --port 8099
  OPENAI_BASE_URL=http://127.0.0.1:8099/v1 OPENAI_API_KEY=test python app.py
  ANTHROPIC_BASE_URL=http://127.0.0.1:8099 ANTHROPIC_API_KEY=test python app.py
"""


def main(arguments: list[str] | None = None) -> int:
    """Serve until Ctrl-C or SIGTERM; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tierwise.testing",
        description="A provider on 127.0.0.1 that speaks the OpenAI and Anthropic protocols and echoes the last user "
        "message. It needs no key and makes no call.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--port", type=int, default=0, help="port to listen on (default: a free one)")
    parser.add_argument("--latency", type=float, default=0.0, metavar="SECONDS", help="wait before each answer")
    options = parser.parse_args(arguments)

    def echo_slowly(request: ProviderRequest) -> Answer:
        return Answer(request.user_text, latency_s=options.latency)

    provider = LoopbackProvider(port=options.port)
    provider.answer(echo_slowly)
    stop_requested = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop_requested.set())
    try:
        provider.start()
    except OSError as error:
        sys.stderr.write(f"port {options.port} cannot be used: {error.strerror or error}\n")
        return 1
    with provider, contextlib.suppress(KeyboardInterrupt):
        sys.stdout.write(f"OpenAI     {provider.openai_base_url}\nAnthropic  {provider.anthropic_base_url}\n")
        sys.stdout.flush()
        stop_requested.wait()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
