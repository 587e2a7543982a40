"""A running application follows the collector's policy: a rule, the kill switch, the way back, and a collector gone."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import openai
import pytest
from opentelemetry.sdk.trace import TracerProvider

import tierwise
from tierwise.ingest.serve import running_collector
from tierwise.recommend import actions
from tierwise.settings import Settings
from tierwise.store import open_store
from tierwise.testing import LoopbackProvider

RULE = """
mode = "enforce"
[[rule]]
id = "everything"
kind = "route"
when = { request_model = ["gpt-6.1-sol"] }
to = "gpt-6-luna"
"""


@pytest.fixture
def provider() -> Iterator[LoopbackProvider]:
    with LoopbackProvider() as started:
        yield started
    tierwise.uninstrument()


def test_the_policy_reaches_a_running_application(provider: LoopbackProvider, tmp_path: Path) -> None:
    """Applied, switched off and restored in the store, the policy is followed within a poll; a collector that goes away
    leaves the last one in force."""
    with openai.OpenAI(base_url=provider.openai_base_url, api_key="x") as client:

        def model_asked() -> str:
            client.chat.completions.create(model="gpt-6.1-sol", messages=[{"role": "user", "content": "hello"}])
            return provider.requests[-1].model

        with running_collector(tmp_path / "calls.duckdb") as collector:
            store = open_store(collector.url)
            settings = Settings(endpoint=collector.url, policy=f"{collector.url}/v1/policy", policy_poll_s=0.05)
            tierwise.instrument(settings=settings, tracer_provider=TracerProvider())

            assert model_asked() == "gpt-6.1-sol"
            store.put_policy(RULE, who="lin", why="certified", based_on=None)
            assert eventually(model_asked, "gpt-6-luna")
            actions.switch(store, "off", who="lin", why="3 a.m.")
            assert eventually(model_asked, "gpt-6.1-sol")
            actions.restore(store, 1, who="lin", why="it was something else")
            assert eventually(model_asked, "gpt-6-luna")
            assert [record.action for record in store.policy_history()] == ["rollback", "off", "apply"]
            store.close()

        time.sleep(0.2)
        assert model_asked() == "gpt-6-luna"


def eventually(ask: Callable[[], str], expected: str) -> bool:
    """Whether `ask` gives `expected` within ten seconds."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if ask() == expected:
            return True
        time.sleep(0.05)
    return False
