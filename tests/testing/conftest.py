from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest
from anthropic import Anthropic
from openai import OpenAI

from tierwise.testing import LoopbackProvider


@pytest.fixture
def loopback_threads() -> Callable[[], list[threading.Thread]]:
    """The threads of the servers started in this test; other tests may have a provider of their own running."""
    others = set(threading.enumerate())
    return lambda: [
        thread for thread in threading.enumerate() if thread.name.startswith("loopback-") and thread not in others
    ]


@pytest.fixture
def provider(loopback_threads: object) -> Iterator[LoopbackProvider]:
    with LoopbackProvider() as running:
        yield running


@pytest.fixture
def openai(provider: LoopbackProvider) -> Iterator[OpenAI]:
    with OpenAI(base_url=provider.openai_base_url, api_key="test", max_retries=0) as client:
        yield client


@pytest.fixture
def anthropic(provider: LoopbackProvider) -> Iterator[Anthropic]:
    with Anthropic(base_url=provider.anthropic_base_url, api_key="test", max_retries=0) as client:
        yield client
