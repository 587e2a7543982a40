"""A call about to be made, read from the SDK's request options, and the same options with another model.

What the user passed is read, never changed and never consumed: a list stays theirs, an iterator stays unread.
"""

from __future__ import annotations

import copy
import re
import sys
from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple
from urllib.parse import quote
from weakref import ref

from tierwise.call import Request
from tierwise.context import current_use_case
from tierwise.instrumentation.sdk import Sdk, Surface, estimated_tokens, text
from tierwise.tasks.infer import Inference, infer

RAW_RESPONSE_HEADER = "X-Stainless-Raw-Response"
"""What `with_raw_response` ("true") and `with_streaming_response` ("stream") put among a request's headers."""

_HOST_PROVIDERS = (
    ("api.openai.com", "openai"),
    ("api.anthropic.com", "anthropic"),
    (".openai.azure.com", "azure.ai.openai"),
    (".cognitiveservices.azure.com", "azure.ai.openai"),
    (".services.ai.azure.com", "azure.ai.inference"),
    ("openrouter.ai", "openrouter"),
    ("api.deepseek.com", "deepseek"),
    ("api.groq.com", "groq"),
    ("api.mistral.ai", "mistral_ai"),
    ("api.x.ai", "x_ai"),
    ("api.perplexity.ai", "perplexity"),
    ("api.moonshot.ai", "moonshot_ai"),
    ("api.moonshot.cn", "moonshot_ai"),
    ("api.cohere.com", "cohere"),
    ("generativelanguage.googleapis.com", "gcp.gemini"),
    ("aiplatform.googleapis.com", "gcp.vertex_ai"),
    (".amazonaws.com", "aws.bedrock"),
)
"""End of a base URL's host → `gen_ai.provider.name`. Any other host is taken for a proxy of the SDK's own provider."""

_DEPLOYMENT = re.compile(r"/deployments/([^/]+)")
_REGIONAL_HOST = ".api.openai.com"
"""End of the hosts at which OpenAI keeps data, and processes it, in one region: `eu.api.openai.com`."""
_LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})
_SDK_PACKAGES = frozenset({"openai", "anthropic", "tierwise", "opentelemetry", "openinference"})
"""Between the caller and us: the SDKs, ourselves, and what others wrap around the SDKs' methods."""
_SCHEDULERS = frozenset({"asyncio", "anyio", "concurrent", "threading", "trio", "uvloop"})


class Endpoint(NamedTuple):
    """Where a client sends its requests."""

    provider: str
    """`gen_ai.provider.name`."""
    address: str
    port: int
    reports_stream_usage: bool
    """Whether it is known to take `stream_options.include_usage`: not every OpenAI-compatible server does."""
    deployment: str | None
    """The model that the address names, as an Azure client bound to one deployment has it; whatever the body says."""
    deployments_url: str | None
    """The address up to the deployment's name; None for a client that is bound to none."""
    region: str | None
    """Where the address has calls processed, if that may cost more."""


_endpoints: dict[int, tuple[ref[Any], Any, Endpoint]] = {}
"""id of a client → (the client, its base URL, where that is)."""
_MAX_ENDPOINTS = 1024


def endpoint(sdk: Sdk, client: Any) -> Endpoint:
    """Where `client` sends its requests, and to whom they are billed."""
    url = client.base_url
    known = _endpoints.get(id(client))
    # Ids are used again, and a client's base URL can be set anew: it is another object then.
    if known is not None and known[0]() is client and known[1] is url:
        return known[2]
    if len(_endpoints) >= _MAX_ENDPOINTS:
        _endpoints.clear()
    found = _endpoint(sdk, client, url)
    _endpoints[id(client)] = (ref(client), url, found)
    return found


def _endpoint(sdk: Sdk, client: Any, url: Any) -> Endpoint:
    host = str(url.host)
    provider = next(
        (sdk.providers[kind.__name__] for kind in type(client).__mro__ if kind.__name__ in sdk.providers), None
    ) or next((provider for ending, provider in _HOST_PROVIDERS if f".{host}".endswith(f".{ending.lstrip('.')}")), None)
    return Endpoint(
        provider=provider or sdk.name,
        address=host,
        port=url.port or (80 if url.scheme == "http" else 443),
        reports_stream_usage=provider in ("openai", "azure.ai.openai") or host in _LOOPBACK_HOSTS,
        deployment=None if (found := _DEPLOYMENT.search(str(url.path))) is None else found[1],
        deployments_url=None if found is None else str(url).partition("/deployments/")[0] + "/deployments/",
        region=_region(client, host, provider),
    )


def _region(client: Any, host: str, provider: str | None) -> str | None:
    if host.endswith(_REGIONAL_HOST):
        return host.removesuffix(_REGIONAL_HOST)
    # Claude costs more at an endpoint of one region of Vertex AI than at the global one.
    named = text(getattr(client, "region", None)) if provider == "gcp.vertex_ai" else None
    return None if named == "global" else named


class Outgoing(NamedTuple):
    """A call about to be made."""

    request: Request
    inference: Inference
    endpoint: Endpoint
    mode: Literal["parsed", "raw", "streamed"]
    """How the caller gets the answer: as objects, `with_raw_response`, or `with_streaming_response`."""


def read_outgoing(
    sdk: Sdk, surface: Surface, client: Any, options: Any, *, stream: bool, tenant: str | None
) -> Outgoing:
    """The call that these options make.

    Args:
        tenant: of calls outside any `use_case(tenant=…)`.
    """
    where = endpoint(sdk, client)
    body = read_body(options)
    declared = current_use_case()
    inference = infer(
        body,
        operation=surface.operation,
        explicit_task=declared.task if declared else None,
        use_case_name=declared.name if declared else None,
        call_site=None if declared else call_site(),
    )
    request = Request(
        provider=where.provider,
        operation=surface.operation,
        api=surface.api,
        model=where.deployment or text(body.get("model")) or "unknown",
        body=body,
        stream=stream,
        task_type=inference.task_type,
        use_case_id=inference.use_case.id,
        use_case_name=inference.use_case.name,
        tenant=(declared.tenant if declared else None) or tenant,
        conversation_id=(declared.conversation if declared else None) or surface.conversation(body),
        complexity=inference.complexity.band,
        input_tokens_estimate=estimated_tokens(inference.complexity.input_chars),
        attributes=declared.attributes if declared else None,
        betas=_betas(client, options.headers),
    )
    return Outgoing(request, inference, where, _mode(options))


def read_body(options: Any) -> Mapping[str, Any]:
    """The JSON body as it will go out.

    `extra_body` overrides members, as it does in the SDK, and a parameter that the caller left out is not in it: the
    SDKs put a sentinel object in its place and drop it when they write the request.
    """
    # Asking a dict whether it is a Mapping takes longer than all the rest.
    given, extra = options.json_data, options.extra_json
    body = given if type(given) is dict or isinstance(given, Mapping) else {}
    if extra and isinstance(extra, Mapping):
        body = {**body, **extra}
    if _PLAIN.issuperset(map(type, body.values())):
        return dict(body)
    return {name: value for name, value in body.items() if type(value).__name__ not in _LEFT_OUT}


_PLAIN = frozenset({str, int, float, bool, list, dict, tuple, type(None)})
_LEFT_OUT = frozenset({"NotGiven", "Omit"})
"""Classes of the sentinels, by name: neither SDK is imported from here."""


def _mode(options: Any) -> Literal["parsed", "raw", "streamed"]:
    headers = options.headers
    if type(headers).__name__ in _LEFT_OUT or not isinstance(headers, Mapping):
        return "parsed"
    header = headers.get(RAW_RESPONSE_HEADER)
    if header == "stream":
        return "streamed"
    return "raw" if header else "parsed"


def _betas(client: Any, headers: Any) -> tuple[str, ...]:
    """What the `anthropic-beta` header asks for, of the request and of its client."""
    named: list[str] = []
    for given in (getattr(client, "_custom_headers", None), headers):
        if isinstance(given, Mapping):
            named += [str(value) for name, value in given.items() if name.lower() == "anthropic-beta" and value]
    return tuple(beta.strip() for value in named for beta in value.split(",") if beta.strip()) if named else ()


def is_repeatable(body: Mapping[str, Any]) -> bool:
    """Whether the body can be sent twice: an iterator in it is used up by the first time."""
    return not any(isinstance(value, Iterator) for value in body.values())


def with_body(options: Any, body: Mapping[str, Any]) -> Any:
    """A copy of the options that sends `body`."""
    changed = copy.copy(options)
    changed.json_data = body
    changed.extra_json = None
    return changed


def at_deployment(options: Any, endpoint: Endpoint, deployment: str) -> Any:
    """The options, sent to `deployment` in place of the one that the client is bound to; as they are for a client that
    is bound to none, where the body's model names it."""
    path = options.url
    if endpoint.deployments_url is None or not path.startswith("/"):
        return options
    changed = copy.copy(options)
    changed.url = f"{endpoint.deployments_url}{quote(deployment, safe='')}{path}"
    return changed


def call_site() -> str | None:
    """`module:function` of the code that called the SDK; None when it is not on the stack, as in a task of its own."""
    frame = sys._getframe(1)
    while frame is not None:
        module: str = frame.f_globals.get("__name__", "")
        package = module.partition(".")[0]
        if package in _SCHEDULERS:
            return None
        if package not in _SDK_PACKAGES:
            return f"{module}:{frame.f_code.co_name}"
        frame = frame.f_back
    return None
