"""What goes wrong around a running application, which never notices: it has its answers all the time."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import openai
import pytest
from opentelemetry.sdk.trace import TracerProvider

import tierwise
from tierwise.ingest.serve import running_collector
from tierwise.instrumentation import dropped
from tierwise.recommend import actions
from tierwise.settings import Settings
from tierwise.store import open_store
from tierwise.testing import Answer, LoopbackProvider

ASKED, TARGET = "gpt-6.1-sol", "gpt-6-luna"
RULE = f"""
mode = "enforce"
[[rule]]
id = "everything"
kind = "route"
when = {{ request_model = ["{ASKED}"] }}
to = "{TARGET}"
"""
WORKERS = 8
WITHIN_S = 5.0
SLACK_S = 5.0
"""For a machine that is busy with other things; the figure that is printed is without it."""


@pytest.fixture
def provider() -> Iterator[LoopbackProvider]:
    with LoopbackProvider() as started:
        yield started
    tierwise.uninstrument()


@pytest.fixture
def client(provider: LoopbackProvider) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=provider.openai_base_url, api_key="x", max_retries=0) as opened:
        yield opened


@pytest.fixture(autouse=True)
def as_in_an_app(monkeypatch: pytest.MonkeyPatch) -> None:
    """Errors of ours are swallowed, as they are outside pytest; here they would have to be noticed by the answers."""
    monkeypatch.setenv("TIERWISE_FIREWALL", "swallow")


def ask(client: openai.OpenAI) -> str:
    """The model that answers."""
    return client.chat.completions.create(model=ASKED, messages=[{"role": "user", "content": "hello"}]).model


def eventually(condition: Callable[[], bool], timeout_s: float = 20.0) -> bool:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return condition()


class Workers:
    """A server's worker processes, and which model last answered each of them since when."""

    def __init__(self, base_url: str, *, when: str, **environment: str) -> None:
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("policy_workers.py")), base_url, str(WORKERS), when],
            env={**kept, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.seen: dict[int, list[tuple[float, str]]] = {worker: [] for worker in range(WORKERS)}
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            worker, seconds, model = line.split(maxsplit=2)
            self.seen[int(worker)].append((float(seconds), model.strip()))

    def models(self) -> list[str]:
        """What answers each worker now; empty for one that has not called yet."""
        return [changes[-1][1] if changes else "" for changes in self.seen.values()]

    def all_on(self, model: str) -> bool:
        return self.models() == [model] * WORKERS

    def slowest_since(self, moment_s: float) -> float:
        """Seconds from `moment_s` until the last worker changed."""
        return max(changes[-1][0] for changes in self.seen.values()) - moment_s

    def close(self) -> None:
        self._process.communicate("", timeout=20)
        self._reader.join(20)


@contextmanager
def workers(base_url: str, *, when: str, **environment: str) -> Generator[Workers]:
    started = Workers(base_url, when=when, **environment)
    try:
        yield started
    finally:
        started.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="worker processes are forked")
def test_the_kill_switch_reaches_every_worker(
    provider: LoopbackProvider, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Eight processes polling at the default rate leave the target within five seconds, by the store (as the dashboard
    writes it) and by a file (without any collector); TIERWISE_MODE=off keeps eight others off it from the start."""
    path = tmp_path / "policy.toml"
    path.write_text(RULE, encoding="utf-8")
    with running_collector(tmp_path / "calls.duckdb") as collector:
        collector.store.put_policy(RULE, who="lin", why="certified", based_on=None)
        url, nowhere = f"{collector.url}/v1/policy", "http://127.0.0.1:9"
        with (
            workers(
                provider.openai_base_url, when="late", TIERWISE_POLICY=url, TIERWISE_ENDPOINT=collector.url
            ) as by_store,
            workers(
                provider.openai_base_url, when="early", TIERWISE_POLICY=str(path), TIERWISE_ENDPOINT=nowhere
            ) as by_file,
            workers(
                provider.openai_base_url,
                when="late",
                TIERWISE_POLICY=url,
                TIERWISE_ENDPOINT=collector.url,
                TIERWISE_MODE="off",
            ) as by_environment,
        ):
            assert eventually(lambda: by_store.all_on(TARGET) and by_file.all_on(TARGET), 60)
            assert eventually(lambda: by_environment.all_on(ASKED), 60)

            store = open_store(collector.url)
            at_store_s = time.time()
            actions.switch(store, "off", who="lin", why="3 a.m.")
            at_file_s = time.time()
            actions.switch_file(path, "off")
            store.close()
            assert eventually(lambda: by_store.all_on(ASKED) and by_file.all_on(ASKED), WITHIN_S + 2 * SLACK_S)

    slowest = {"store": by_store.slowest_since(at_store_s), "file": by_file.slowest_since(at_file_s)}
    with capsys.disabled():
        sys.stdout.write(
            f"\nslowest of {WORKERS} processes after the switch: {slowest['store']:.1f} s by the store, "
            f"{slowest['file']:.1f} s by a file\n"
        )
    assert max(slowest.values()) < WITHIN_S + SLACK_S
    assert all(changes == [changes[0]] for changes in by_environment.seen.values())
    assert {model for group in (by_store, by_file) for changes in group.seen.values() for _, model in changes} <= {
        ASKED,
        TARGET,
    }


def test_a_store_that_is_gone_leaves_the_policy(
    provider: LoopbackProvider, client: openai.OpenAI, tmp_path: Path
) -> None:
    """When the collector's store fails, and then the collector goes, the last policy holds and calls are answered."""
    with running_collector(tmp_path / "calls.duckdb") as collector:
        collector.store.put_policy(RULE, who="lin", why="", based_on=None)
        settings = Settings(endpoint=collector.url, policy=f"{collector.url}/v1/policy", policy_poll_s=0.05)
        tierwise.instrument(settings=settings, tracer_provider=TracerProvider())
        assert eventually(lambda: ask(client) == TARGET)

        collector.store.close()
        time.sleep(0.3)
        while_failing = ask(client)

    time.sleep(0.2)
    assert (while_failing, ask(client)) == (TARGET, TARGET)


class Garbage:
    """A host that answers with whatever `body` is at the moment; `missing` bytes more are announced and never come."""

    def __init__(self) -> None:
        self.status, self.body, self.missing, self.delay_s, self.asked = 200, RULE.encode(), 0, 0.0, 0
        host = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                host.asked += 1
                time.sleep(host.delay_s)
                self.send_response(host.status)
                self.send_header("Content-Length", str(len(host.body) + host.missing))
                self.end_headers()
                self.wfile.write(host.body)

            def log_message(self, format: str, *args: object) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/policy"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def garbage() -> Iterator[Garbage]:
    host = Garbage()
    yield host
    host.close()


def test_garbage_from_the_policys_address_changes_nothing(client: openai.OpenAI, garbage: Garbage) -> None:
    """Error pages, bytes, half a policy, one cut off where it parses, one of tomorrow, nothing, and silence leave the
    last good one in force; then a good one is taken again."""
    tierwise.instrument(settings=Settings(policy=garbage.url, policy_poll_s=0.05), tracer_provider=TracerProvider())
    assert eventually(lambda: ask(client) == TARGET)

    answered: list[str] = []
    for status, body, missing in [
        (200, b"<html>Sign in to the guest network</html>", 0),
        (200, b"\xff\xfe\x00", 0),
        (200, RULE.encode()[:60], 0),
        (200, b'mode = "enforce"\n', 200),
        (200, b"mode = 'enforce'\n[[rule]]\nid = 'x'\nkind = 'telepathy'\n", 0),
        (200, b"x = 1\n" * 1_000_000, 0),
        (500, b"oops", 0),
        (200, b"", 0),
    ]:
        garbage.status, garbage.body, garbage.missing, asked = status, body, missing, garbage.asked
        assert eventually(lambda asked=asked: garbage.asked >= asked + 2)
        answered.append(ask(client))
    garbage.delay_s = 1.0
    began = time.perf_counter()
    while_silent = [ask(client) for _ in range(5)]
    took_s = time.perf_counter() - began
    garbage.status, garbage.body, garbage.delay_s = 200, b'mode = "off"', 0.0

    assert answered == [TARGET] * 8
    assert while_silent == [TARGET] * 5
    assert took_s < 5  # five calls that do not wait for the address, on whatever machine
    assert eventually(lambda: ask(client) == ASKED)


@pytest.mark.parametrize("skew_s", [-86_400.0, 86_400.0])
def test_a_clock_that_jumps_is_not_noticed(
    client: openai.OpenAI, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, skew_s: float
) -> None:
    """A day forwards or back, in the middle of things: calls are answered and a new policy is taken."""
    path = tmp_path / "policy.toml"
    path.write_text(RULE + "[rule.guard]\nmax_failure_rate = 0.5\n", encoding="utf-8")
    tierwise.instrument(settings=Settings(policy=str(path), policy_poll_s=0.05), tracer_provider=TracerProvider())
    before = ask(client)

    real_time, real_time_ns = time.time, time.time_ns
    monkeypatch.setattr(time, "time", lambda: real_time() + skew_s)
    monkeypatch.setattr(time, "time_ns", lambda: real_time_ns() + int(skew_s * 1e9))
    after = ask(client)
    actions.switch_file(path, "off")

    assert (before, after) == (TARGET, TARGET)
    assert eventually(lambda: ask(client) == ASKED)


def test_cancelling_tasks_is_the_apps_own_business(provider: LoopbackProvider, tmp_path: Path) -> None:
    """Tasks cancelled before, in and after their first chunk end as cancelled, no exception is left behind, and the
    loop goes on calling."""
    path = tmp_path / "policy.toml"
    path.write_text(RULE, encoding="utf-8")
    tierwise.instrument(settings=Settings(policy=str(path)), tracer_provider=TracerProvider())
    provider.answer(
        lambda request: Answer("one two three four", latency_s=0.05, first_chunk_delay_s=0.05, chunk_delay_s=0.02)
    )
    complaints: list[str] = []

    async def call(client: openai.AsyncOpenAI, stream: bool) -> str:
        messages = [{"role": "user", "content": "hello"}]
        if not stream:
            return (await client.chat.completions.create(model=ASKED, messages=messages)).model  # pyright: ignore
        models = [
            chunk.model
            async for chunk in await client.chat.completions.create(model=ASKED, messages=messages, stream=True)  # pyright: ignore
        ]
        return models[-1]

    async def main() -> tuple[int, list[str]]:
        asyncio.get_running_loop().set_exception_handler(lambda loop, told: complaints.append(str(told)))
        async with openai.AsyncOpenAI(base_url=provider.openai_base_url, api_key="x", max_retries=0) as client:
            tasks = [asyncio.create_task(call(client, stream=bool(number % 2))) for number in range(40)]
            for number, task in enumerate(tasks):
                await asyncio.sleep(0.005)
                tasks[number // 2].cancel()
                del task
            ended = await asyncio.gather(*tasks, return_exceptions=True)
            wrong = [end for end in ended if not isinstance(end, asyncio.CancelledError | str)]
            assert wrong == []
            again = [await call(client, stream) for stream in (False, True)]
        return sum(isinstance(end, asyncio.CancelledError) for end in ended), again

    cancelled, again = asyncio.run(main())

    assert dropped.wait_until_finished(5)
    assert cancelled > 0
    assert again == [TARGET, TARGET]
    assert complaints == []
