"""A server with worker processes that call a model all the time; each says when the model that answers is another one.

    python policy_workers.py BASE_URL COUNT (early|late)

`early` instruments and calls before the workers are forked, as a server does that loads the app first; `late` does it
in each worker. Settings come from the environment. A line is `WORKER SECONDS MODEL`; the workers end with standard
input.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from importlib import import_module

import openai


def call_model(client: openai.OpenAI) -> str:
    answer = client.chat.completions.create(model="gpt-6.1-sol", messages=[{"role": "user", "content": "hello"}])
    return answer.model


def work(worker: int, base_url: str) -> None:
    last: str | None = None
    with openai.OpenAI(base_url=base_url, api_key="x", max_retries=0) as client:
        while True:
            model = call_model(client)
            if model != last:
                os.write(1, f"{worker} {time.time():.3f} {model}\n".encode())
                last = model
            time.sleep(0.1)


def main() -> None:
    base_url, count, when = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    if when == "early":
        import_module("tierwise.auto")
        with openai.OpenAI(base_url=base_url, api_key="x") as client:
            call_model(client)
    workers: list[int] = []
    for worker in range(count):
        pid = os.fork()
        if pid == 0:
            try:
                if when == "late":
                    import_module("tierwise.auto")
                work(worker, base_url)
            except BaseException as error:
                os.write(1, f"{worker} {time.time():.3f} {type(error).__name__}:{error}\n".encode())
                raise
            finally:
                os._exit(1)
        workers.append(pid)
    sys.stdin.read()
    for pid in workers:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


if __name__ == "__main__":
    main()
