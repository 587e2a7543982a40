from __future__ import annotations

from collections.abc import Iterator

import pytest
from anthropic import Anthropic
from openai import OpenAI

from tierwise.testing import LoopbackProvider


@pytest.fixture
def provider() -> Iterator[LoopbackProvider]:
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
