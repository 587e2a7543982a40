"""Every client class of both SDKs, and the base URLs of other providers: who is billed, for which model, in one span.

The clouds' own signatures are left out, by a bearer token or `skip_auth`; Bedrock's binary streams need botocore, which
is no dependency of ours.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import anthropic
import openai
import pytest

from tierwise import semconv as sc
from tierwise.testing import Answer, LoopbackProvider, ProviderUsage

Make = Callable[[LoopbackProvider], Any]

USAGE = ProviderUsage(input_tokens=1200, output_tokens=64, cache_read=900)
ASKED: Any = [{"role": "user", "content": "Capital of France?"}]
OPUS = "claude-opus-5-5"
BEDROCK_HAIKU = "anthropic.claude-haiku-4-5-20251001-v1:0"

OPENAI_CLIENTS: dict[str, tuple[str, str, Make]] = {
    "AzureOpenAI": (
        "azure.ai.openai",
        "gpt-4o",
        lambda provider: {"azure_endpoint": provider.azure_endpoint, "api_version": "2024-10-21", "api_key": "test"},
    ),
    "BedrockOpenAI": (
        "aws.bedrock",
        "openai.gpt-oss-120b-1:0",
        lambda provider: {"base_url": provider.openai_base_url, "api_key": "test"},
    ),
}
ANTHROPIC_CLIENTS: dict[str, tuple[str, str, Make]] = {
    "AnthropicBedrock": (
        "aws.bedrock",
        BEDROCK_HAIKU,
        lambda provider: {"base_url": provider.anthropic_base_url, "aws_region": "us-east-1", "api_key": "test"},
    ),
    "AnthropicBedrockMantle": (
        "aws.bedrock",
        BEDROCK_HAIKU,
        lambda provider: {"base_url": provider.anthropic_base_url, "aws_region": "us-east-1", "skip_auth": True},
    ),
    "AnthropicVertex": (
        "gcp.vertex_ai",
        OPUS,
        lambda provider: {
            "base_url": provider.anthropic_base_url,
            "region": "global",
            "project_id": "p",
            "access_token": "test",
        },
    ),
    "AnthropicFoundry": (
        "azure.ai.inference",
        OPUS,
        lambda provider: {"base_url": provider.anthropic_base_url, "api_key": "test"},
    ),
    "AnthropicAWS": (
        "anthropic",
        OPUS,
        lambda provider: {"base_url": provider.anthropic_base_url, "aws_region": "us-east-1", "skip_auth": True},
    ),
    "AnthropicGoogleCloud": (
        "anthropic",
        OPUS,
        lambda provider: {"base_url": provider.anthropic_base_url, "skip_auth": True},
    ),
}


@pytest.fixture
def billed(provider: LoopbackProvider) -> None:
    provider.answer(lambda _: Answer("Paris", usage=USAGE))


def run(result: Any, loop: asyncio.Runner) -> Any:
    return loop.run(result) if isinstance(result, Coroutine) else result


def close(client: Any, loop: asyncio.Runner) -> None:
    run(client.close(), loop)


def drain(stream: Any, loop: asyncio.Runner) -> None:
    async def drain() -> None:
        async for _ in stream:
            pass

    if hasattr(stream, "__aiter__"):
        loop.run(drain())
    else:
        list(stream)


def client_named(module: Any, name: str, arguments: Any, *, is_async: bool) -> Any:
    kind = getattr(module, f"Async{name}" if is_async else name, None)
    if kind is None:
        pytest.skip(f"{module.__name__} {module.__version__} has no {name}")
    return kind(**arguments, max_retries=0)


@pytest.mark.usefixtures("billed")
@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize("name", OPENAI_CLIENTS)
def test_openai_clients(
    name: str, stream: bool, is_async: bool, provider: LoopbackProvider, loop: asyncio.Runner, instrumented: Any
) -> None:
    """A client of another cloud is that cloud's call, with the model its caller named."""
    billed_by, model, arguments = OPENAI_CLIENTS[name]
    client = client_named(openai, name, arguments(provider), is_async=is_async)

    answer = run(client.chat.completions.create(model=model, messages=ASKED, stream=stream), loop)
    if stream:
        drain(answer, loop)
    close(client, loop)

    said = instrumented.only.attributes
    assert instrumented.only.name == f"chat {model}"
    assert (said[sc.PROVIDER_NAME], said[sc.USAGE_INPUT_TOKENS]) == (billed_by, 1200)
    assert said[sc.PRICED] is True


@pytest.mark.usefixtures("billed")
@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize("name", ANTHROPIC_CLIENTS)
def test_anthropic_clients(
    name: str, stream: bool, is_async: bool, provider: LoopbackProvider, loop: asyncio.Runner, instrumented: Any
) -> None:
    """A client of another cloud is that cloud's call; Anthropic's own platform on a cloud stays Anthropic's."""
    if name == "AnthropicBedrock" and stream:
        pytest.skip("Bedrock's binary streams are read with botocore, which is not installed")
    billed_by, model, arguments = ANTHROPIC_CLIENTS[name]
    client = client_named(anthropic, name, arguments(provider), is_async=is_async)

    answer = run(client.messages.create(model=model, max_tokens=10, messages=ASKED, stream=stream), loop)
    if stream:
        drain(answer, loop)
    close(client, loop)

    said = instrumented.only.attributes
    assert instrumented.only.name == f"chat {model}"
    assert (said[sc.PROVIDER_NAME], said[sc.USAGE_INPUT_TOKENS]) == (billed_by, 1200)
    assert said[sc.USAGE_CACHE_READ] == 900
    assert said[sc.PRICED] is True


@pytest.mark.usefixtures("billed")
def test_a_region_of_vertex_has_prices_of_its_own(provider: LoopbackProvider, instrumented: Any) -> None:
    """Claude costs more at a regional endpoint, by how much the price list does not say."""
    _, _, arguments = ANTHROPIC_CLIENTS["AnthropicVertex"]
    with client_named(
        anthropic, "AnthropicVertex", {**arguments(provider), "region": "us-east5"}, is_async=False
    ) as client:
        client.messages.create(model=OPUS, max_tokens=10, messages=ASKED)

    said = instrumented.only.attributes
    assert said[sc.UNPRICED_REASON] == "no price for gcp.vertex_ai in region 'us-east5', where it may charge more"
    assert said[sc.INFERENCE_REGION] == "us-east5"


@pytest.mark.usefixtures("billed")
def test_a_deployment_in_the_address_is_the_model(provider: LoopbackProvider, instrumented: Any) -> None:
    """A client bound to one deployment calls that, whatever model its caller names."""
    with openai.AzureOpenAI(
        azure_endpoint=provider.azure_endpoint, azure_deployment="gpt-4o", api_version="2024-10-21", api_key="test"
    ) as client:
        client.chat.completions.create(model="whatever", messages=ASKED)

    assert instrumented.only.attributes[sc.REQUEST_MODEL] == "gpt-4o"


@pytest.mark.usefixtures("billed")
@pytest.mark.parametrize(
    ("base_url", "billed_by", "model", "is_priced"),
    [
        ("http://openrouter.ai/api/v1", "openrouter", "openai/gpt-4o", True),
        ("http://api.groq.com/openai/v1", "groq", "openai/gpt-oss-120b", True),
        ("http://api.deepseek.com", "deepseek", "deepseek-chat", True),
        ("http://api.mistral.ai/v1", "mistral_ai", "mistral-small-latest", True),
        ("http://api.x.ai/v1", "x_ai", "grok-4.3", True),
        ("http://example.openai.azure.com/openai/v1", "azure.ai.openai", "gpt-4o", True),
        ("http://generativelanguage.googleapis.com/v1beta/openai", "gcp.gemini", "gemini-2.5-flash", True),
        ("http://localhost:8000/v1", "openai", "Qwen/Qwen3-8B", False),
        ("http://gateway.example/v1", "openai", "gpt-4o", True),
        ("http://eu.api.openai.com/v1", "openai", "gpt-4o", False),
    ],
)
def test_base_urls_of_other_providers(
    base_url: str, billed_by: str, model: str, is_priced: bool, provider: LoopbackProvider, instrumented: Any
) -> None:
    """Whose address it is tells who is billed; a model nobody lists has no price, nor has a region with its own."""
    http = openai.DefaultHttpxClient(proxy=provider.anthropic_base_url)
    with openai.OpenAI(base_url=base_url, api_key="test", http_client=http) as client:
        client.chat.completions.create(model=model, messages=ASKED)

    said = instrumented.only.attributes
    assert instrumented.only.name == f"chat {model}"
    assert said[sc.PROVIDER_NAME] == billed_by
    assert said[sc.PRICED] is is_priced, said.get(sc.UNPRICED_REASON)
