from __future__ import annotations

from types import FunctionType, SimpleNamespace
from typing import Any

import anthropic
import openai
import pytest
from openai._models import FinalRequestOptions

from tierwise.context import use_case
from tierwise.instrumentation import request as module
from tierwise.instrumentation.anthropic import ANTHROPIC
from tierwise.instrumentation.openai import OPENAI
from tierwise.instrumentation.request import (
    at_deployment,
    call_site,
    endpoint,
    is_repeatable,
    read_body,
    read_outgoing,
    with_body,
)

from .installed_sdks import needs_newest_clients

BODY = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Capital of France?"}]}


def options(**changes: Any) -> FinalRequestOptions:
    given: dict[str, Any] = {"method": "post", "url": "/chat/completions", "json_data": BODY, **changes}
    return FinalRequestOptions.construct(**given)


def client(base_url: str, kind: str = "OpenAI") -> Any:
    """An object of a class of that name with that base URL, as an SDK's client has it."""
    made = type(kind, (SimpleNamespace,), {"__hash__": object.__hash__})()
    made.base_url = openai.OpenAI(base_url=base_url, api_key="x").base_url
    return made


def outgoing(given: FinalRequestOptions | None = None, **changes: Any) -> Any:
    surface, where = OPENAI.surfaces["/chat/completions"], client("https://api.openai.com/v1")
    return read_outgoing(OPENAI, surface, where, given or options(**changes), stream=False, tenant="house")


@pytest.mark.parametrize(
    ("base_url", "provider"),
    [
        ("https://api.openai.com/v1", "openai"),
        ("https://my-org.openai.azure.com/openai", "azure.ai.openai"),
        ("https://openrouter.ai/api/v1", "openrouter"),
        ("https://api.deepseek.com", "deepseek"),
        ("https://api.groq.com/openai/v1", "groq"),
        ("https://eu.aiplatform.googleapis.com/v1", "gcp.vertex_ai"),
        ("https://llm.internal/v1", "openai"),
        ("https://notopenrouter.ai.example/v1", "openai"),
        ("http://127.0.0.1:8000/v1", "openai"),
    ],
)
def test_provider_by_host(base_url: str, provider: str) -> None:
    """Who is billed follows from the host; an unknown one is taken for a proxy of the SDK's own provider."""
    assert endpoint(OPENAI, client(base_url)).provider == provider


@pytest.mark.parametrize(
    ("kind", "sdk", "provider"),
    [
        ("AzureOpenAI", OPENAI, "azure.ai.openai"),
        ("AsyncBedrockOpenAI", OPENAI, "aws.bedrock"),
        ("AnthropicBedrock", ANTHROPIC, "aws.bedrock"),
        ("AsyncAnthropicVertex", ANTHROPIC, "gcp.vertex_ai"),
    ],
)
def test_provider_by_client(kind: str, sdk: Any, provider: str) -> None:
    """The clients of other clouds are known by their class, whatever their host."""
    assert endpoint(sdk, client("http://127.0.0.1:1/v1", kind)).provider == provider


@needs_newest_clients
def test_classes_of_the_sdks() -> None:
    """The classes we know by name are those the SDKs export."""
    for sdk, package in ((OPENAI, openai), (ANTHROPIC, anthropic)):
        assert [name for name in sdk.providers if not hasattr(package, name)] == []


@pytest.mark.parametrize(
    ("base_url", "asks"),
    [
        ("https://api.openai.com/v1", True),
        ("https://my-org.openai.azure.com/openai", True),
        ("http://localhost:8000/v1", True),
        ("https://openrouter.ai/api/v1", False),
        ("https://llm.internal/v1", False),
    ],
)
def test_who_is_asked_for_usage(base_url: str, asks: bool) -> None:
    """Only hosts known to take the option are asked for usage on streams."""
    assert endpoint(OPENAI, client(base_url)).reports_stream_usage is asks


def test_server() -> None:
    """Address and port are those of the base URL, the port by its scheme where none is given."""
    named, plain = client("https://llm.internal:8443/v1"), client("http://llm.internal/v1")

    assert endpoint(OPENAI, named)[1:3] == ("llm.internal", 8443)
    assert endpoint(OPENAI, plain)[1:3] == ("llm.internal", 80)


def test_base_url_set_anew() -> None:
    """A client that is pointed elsewhere is billed there."""
    one = client("https://api.openai.com/v1")
    endpoint(OPENAI, one)

    one.base_url = client("https://openrouter.ai/api/v1").base_url

    assert endpoint(OPENAI, one).provider == "openrouter"


def test_request() -> None:
    """The request has the body as it is, what was inferred, and the tenant of the settings."""
    call = outgoing()

    assert call.request.body == BODY
    assert (call.request.model, call.request.operation, call.request.api) == ("gpt-4o", "chat", "chat_completions")
    assert call.request.tenant == "house"
    assert call.request.use_case_id.startswith("uc_")
    assert call.request.input_tokens_estimate == 5
    assert call.mode == "parsed"


def test_declared_use_case() -> None:
    """A `use_case` block says use case, task, tenant and conversation, and beats the settings."""
    with use_case("capitals", task="extraction", tenant="acme", conversation="c1"):
        call = outgoing()

    request = call.request
    assert (request.use_case_name, request.task_type, request.tenant, request.conversation_id) == (
        "capitals",
        "extraction",
        "acme",
        "c1",
    )
    assert call.inference.source == "tag"


@pytest.mark.parametrize(("header", "mode"), [("true", "raw"), ("stream", "streamed"), (None, "parsed")])
def test_mode(header: str | None, mode: str) -> None:
    """How the caller wants the answer is told by a header of the SDK's."""
    headers = {} if header is None else {module.RAW_RESPONSE_HEADER: header}

    assert outgoing(headers=headers).mode == mode


def test_extra_body() -> None:
    """`extra_body` overrides members of the body, as in the SDK; neither is changed."""
    given = options(extra_json={"model": "gpt-4o-mini", "user": "u1"})

    body = read_body(given)

    assert (body["model"], body["user"], body["messages"]) == ("gpt-4o-mini", "u1", BODY["messages"])
    assert BODY["model"] == "gpt-4o"


@pytest.mark.parametrize("body", [None, [], "text", 7])
def test_bodies_that_are_no_object(body: Any) -> None:
    """A body that is not an object has no members."""
    assert read_body(options(json_data=body)) == {}
    assert outgoing(json_data=body).request.model == "unknown"


def test_repeatable() -> None:
    """A body that holds an iterator can be sent once only."""
    assert is_repeatable(BODY)
    assert not is_repeatable({"messages": iter([])})
    assert not is_repeatable({"messages": (message for message in ())})


def test_another_body() -> None:
    """Sending another body changes a copy of the options, not the options."""
    given = options(extra_json={"user": "u1"})

    changed = with_body(given, {"model": "other"})

    assert (changed.json_data, changed.extra_json, changed.url) == ({"model": "other"}, None, given.url)
    assert (given.json_data, given.extra_json) == (BODY, {"user": "u1"})


def test_call_site() -> None:
    """The call site is the first code outside the SDKs and tierwise; a scheduler is none."""
    here = call_site()
    run = FunctionType(_called_from.__code__, {"__name__": "asyncio.events", "call_site": call_site})

    assert here == f"{__name__}:test_call_site"
    assert run() is None


def _called_from() -> str | None:
    return call_site()


def test_betas_of_request_and_client() -> None:
    """The beta header is read wherever it was given, several of them apart; without one there are none."""
    where = client("https://api.anthropic.com", "Anthropic")
    where._custom_headers = {"Anthropic-Beta": "one-2025-01-01"}
    given = options(url="/v1/messages", headers={"anthropic-beta": "two-2025-01-01, three"})
    surface = ANTHROPIC.surfaces["/v1/messages"]

    read = read_outgoing(ANTHROPIC, surface, where, given, stream=False, tenant=None)

    assert read.request.betas == ("one-2025-01-01", "two-2025-01-01", "three")
    assert outgoing().request.betas == ()


def test_declared_attributes() -> None:
    """A rule can match on what the block around the call declares."""
    with use_case("invoices", attributes={"plan": "free"}):
        inside = outgoing()

    assert inside.request.attributes == {"plan": "free"}
    assert outgoing().request.attributes is None


def test_another_deployment() -> None:
    """A client that is bound to a deployment reaches another one by a whole address; others name it in the body."""
    bound = endpoint(OPENAI, client("https://my.openai.azure.com/openai/deployments/main/"))
    free = endpoint(OPENAI, client("https://my.openai.azure.com/openai"))
    given = options()

    sent = at_deployment(given, bound, "small one")

    assert sent.url == "https://my.openai.azure.com/openai/deployments/small%20one/chat/completions"
    assert given.url == "/chat/completions"
    assert at_deployment(given, free, "small one") is given
