from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import openai
import pytest

from tierwise.testing import Answer, Fault, LoopbackProvider, ProviderUsage

from .installed_sdks import OPENAI_HTTP, needs_kept_iterators

if TYPE_CHECKING:
    from .conftest import Caller, Spans

TARGETS = {
    "chat_completions": ("gpt-4o", "gpt-4o-mini"),
    "responses": ("gpt-4o", "gpt-4o-mini"),
    "messages": ("claude-opus-4-7", "claude-haiku-4-5"),
    "beta_messages": ("claude-opus-4-7", "claude-haiku-4-5"),
}
ROUTED = [(api, is_async) for api in TARGETS for is_async in (False, True)]


def rule(requested: str, target: str) -> str:
    return (
        f'[[rule]]\nid = "cheaper"\nkind = "route"\nto = "{target}"\nsticky = "none"\n'
        f'when = {{ request_model = ["{requested}"] }}'
    )


@pytest.fixture(params=ROUTED, ids=lambda given: f"{given[0]}-{'async' if given[1] else 'sync'}")
def routed(
    request: pytest.FixtureRequest, make_caller: Callable[[str, bool], Caller], route: Callable[[str], Spans]
) -> tuple[Caller, Spans, str]:
    """Callers whose model a policy replaces: the caller, its spans, and the target."""
    api, is_async = request.param
    return make_caller(api, is_async), route(rule(*TARGETS[api])), TARGETS[api][1]


@pytest.mark.parametrize("stream", [False, True])
def test_routed(stream: bool, routed: tuple[Caller, Spans, str], provider: LoopbackProvider) -> None:
    """Under a policy the target's name is on the wire, and the span says what was asked for, what was sent, and why."""
    caller, spans, target = routed

    caller.stream().read() if stream else caller.create()

    (request,) = provider.requests
    assert request.model == target
    span = spans.only
    assert span.name == f"chat {target}"
    assert span.attributes["gen_ai.request.model"] == target
    assert span.attributes["tierwise.route.requested_model"] == caller.model
    assert span.attributes["tierwise.route.decision"] == "routed"
    assert span.attributes["tierwise.route.rule_id"] == "cheaper"
    assert span.attributes["tierwise.route.arm"] == "treated"
    assert span.attributes["tierwise.route.propensity"] == 1.0
    assert span.attributes["tierwise.route.policy_version"] == 7


@pytest.mark.parametrize("stream", [False, True])
def test_fallback(stream: bool, routed: tuple[Caller, Spans, str], provider: LoopbackProvider) -> None:
    """When the target fails, the requested model is called instead, once, in the same span."""
    caller, spans, target = routed
    provider.script([Fault.unknown_model(target), Answer("Paris", usage=ProviderUsage(10, 5))])

    caller.stream().read() if stream else caller.create()

    assert [request.model for request in provider.requests] == [target, caller.model]
    span = spans.only
    assert (span.status, span.name) == ("UNSET", f"chat {caller.model}")
    assert span.attributes["gen_ai.request.model"] == caller.model
    assert span.attributes["gen_ai.usage.input_tokens"] == 10
    assert span.attributes["tierwise.route.decision"] == "fell_back"
    assert span.attributes["tierwise.route.arm"] == "treated"
    assert span.attributes["tierwise.route.reason"] == f"{target} failed with NotFoundError"


def test_fallback_that_fails_too(routed: tuple[Caller, Spans, str], provider: LoopbackProvider) -> None:
    """When both models fail, the user sees the requested model's error, as if nothing had been routed."""
    caller, spans, target = routed
    provider.script([Fault.unknown_model(target), Fault.rate_limited(0.01)])

    with pytest.raises(caller.sdk.RateLimitError) as raised:
        caller.create()

    chain: list[BaseException] = [raised.value]
    while (earlier := chain[-1].__context__) is not None:
        chain.append(earlier)
    assert not any(isinstance(error, caller.sdk.NotFoundError) for error in chain)
    span = spans.only
    assert span.attributes["error.type"] == "RateLimitError"
    assert span.attributes["tierwise.route.decision"] == "fell_back"


def test_errors_of_the_user_are_no_fallback(
    chat: Caller, route: Callable[[str], Spans], provider: LoopbackProvider
) -> None:
    """An error that is not the provider's, such as a key press, is not answered with a second call."""
    spans = route(rule("gpt-4o", "gpt-4o-mini"))

    def interrupt(_: Any) -> None:
        raise KeyboardInterrupt

    with (
        openai.OpenAI(
            base_url=provider.openai_base_url,
            api_key="x",
            http_client=OPENAI_HTTP.Client(event_hooks={"request": [interrupt]}),
        ) as client,
        pytest.raises(KeyboardInterrupt),
    ):
        client.chat.completions.create(**chat.arguments)

    assert provider.requests == []
    assert spans.only.attributes["tierwise.route.decision"] == "routed"


DEPLOYMENTS = '\n[deployments."azure.ai.openai"]\n"gpt-4o" = "main"\n"gpt-4o-mini" = "small one"\n'


@pytest.mark.parametrize("bound_to", [None, "main"])
def test_azure_deployment(bound_to: str | None, route: Callable[[str], Spans], provider: LoopbackProvider) -> None:
    """On Azure a rule speaks of models, the URL of the deployments that the policy names for them; a client that is
    bound to one deployment is no exception, and a target that fails leads back to it."""
    spans = route(rule("gpt-4o", "gpt-4o-mini") + DEPLOYMENTS)
    provider.script([Answer("Paris"), Fault.unknown_model("small one"), Answer("Paris")])

    with openai.AzureOpenAI(
        azure_endpoint=provider.azure_endpoint, azure_deployment=bound_to, api_key="x", api_version="2025-01-01"
    ) as client:
        for _ in range(2):
            client.chat.completions.create(model="main", messages=[{"role": "user", "content": "hi"}])

    paths = [request.path.partition("?")[0] for request in provider.requests]
    assert paths == [f"/openai/deployments/{name}/chat/completions" for name in ("small%20one", "small%20one", "main")]
    routed, fell_back = (span.attributes for span in spans.ended)
    assert routed["gen_ai.provider.name"] == "azure.ai.openai"
    assert routed["gen_ai.request.model"] == "gpt-4o-mini"
    assert routed["tierwise.route.requested_model"] == "gpt-4o"
    assert fell_back["tierwise.route.decision"] == "fell_back"
    assert fell_back["gen_ai.request.model"] == "gpt-4o"


def test_azure_deployments_that_no_policy_names(route: Callable[[str], Spans], provider: LoopbackProvider) -> None:
    """Without names of deployments a call to Azure stays where it is, and the span says why."""
    spans = route(rule("gpt-4o", "gpt-4o-mini"))

    for bound_to in (None, "gpt-4o"):
        with openai.AzureOpenAI(
            azure_endpoint=provider.azure_endpoint, azure_deployment=bound_to, api_key="x", api_version="2025-01-01"
        ) as client:
            client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "hi"}])

    assert {request.path.partition("?")[0] for request in provider.requests} == {
        "/openai/deployments/gpt-4o/chat/completions"
    }
    assert [span.attributes["tierwise.route.decision"] for span in spans.ended] == ["refused", "refused"]
    assert [span.attributes["tierwise.route.reason"] for span in spans.ended] == [
        (
            "not sent to gpt-4o-mini: no deployment of gpt-4o-mini at azure.ai.openai is named in the policy's "
            "[deployments]"
        ),
        "the client is bound to one deployment, and the policy's [deployments] names no other",
    ]


@needs_kept_iterators
def test_what_can_be_sent_once_is_not_routed(
    make_caller: Callable[[str, bool], Caller], route: Callable[[str], Spans], provider: LoopbackProvider
) -> None:
    """A body that a fallback could not send again goes to the requested model."""
    spans = route(rule("claude-opus-4-7", "claude-haiku-4-5"))
    caller = make_caller("messages", False)

    caller.create(messages=iter(caller.arguments["messages"]))

    (request,) = provider.requests
    assert (request.model, len(request.body["messages"])) == ("claude-opus-4-7", 1)
    assert spans.only.attributes["tierwise.route.decision"] == "refused"


def test_embeddings_are_not_routed(chat: Caller, route: Callable[[str], Spans], provider: LoopbackProvider) -> None:
    """Vectors of another model would not compare with those the app has, whatever the policy says."""
    spans = route(rule("text-embedding-3-large", "text-embedding-3-small"))

    chat.client.embeddings.create(model="text-embedding-3-large", input="a")

    assert [request.model for request in provider.requests] == ["text-embedding-3-large"]
    assert spans.only.attributes["tierwise.route.decision"] == "refused"


def test_model_in_extra_body(chat: Caller, route: Callable[[str], Spans], provider: LoopbackProvider) -> None:
    """A model given in `extra_body`, which overrides the argument, is the one that is asked for and routed."""
    spans = route(rule("gpt-4o", "gpt-4o-mini"))

    chat.create(model="ignored", extra_body={"model": "gpt-4o", "metadata": {"team": "a"}})

    (request,) = provider.requests
    assert (request.model, request.body["metadata"]) == ("gpt-4o-mini", {"team": "a"})
    assert spans.only.attributes["tierwise.route.requested_model"] == "gpt-4o"


def test_arguments_stay_as_they_are(routed: tuple[Caller, Spans, str]) -> None:
    """What the user passed is not changed, whatever is sent."""
    caller, _, _ = routed
    key = "messages" if "messages" in caller.arguments else "input"
    messages = [{"role": "user", "content": "Capital of France?"}]
    extra_body = {"metadata": {"user_id": "u1"}}

    caller.stream(**{key: messages}, extra_body=extra_body).read()

    assert messages == [{"role": "user", "content": "Capital of France?"}]
    assert extra_body == {"metadata": {"user_id": "u1"}}
