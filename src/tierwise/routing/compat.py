"""May this request go to that model? Every way in which it may not is one small function in `CHECKS`.

A request is moved only when each check passes: what nothing here knows (a new parameter, a new kind of content) counts
as a reason to leave the request as it is. Sending a request to a model that answers 400 costs a round trip; sending it
to one that silently ignores a parameter costs an answer.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tierwise.call import Request
from tierwise.routing.capabilities import Capability, candidates, is_snapshot, lookup, region_of
from tierwise.routing.contents import Contents, contents_of
from tierwise.routing.deployments import Deployments
from tierwise.routing.parameters import (
    ADAPTATIONS,
    NESTED_PARAMETERS,
    effort_of,
    known_parameters,
    output_cap,
    output_format,
    sampling_in_use,
    set_parameters,
    thinking_of,
)

__all__ = ["adapt", "candidates", "check", "conversation_state"]

CONTEXT_MARGIN = 1.2
"""Input tokens are estimated from text length; this much room is left for the estimate being low."""
REASONING_HEADROOM_TOKENS = 4096
"""A model that reasons spends output tokens before its answer; a cap below this, set for one that does not, is kept
away from it."""


@dataclass(slots=True)
class Case:
    """One question: this request, to that model."""

    request: Request
    body: Mapping[str, Any]
    """The parameters of the request that are set."""
    target_name: str
    target: Capability
    source: Capability | None
    """None when the table does not know the requested model."""
    contents: Contents
    now_s: float
    tool_types: list[str] = field(default_factory=list[str])
    """`type` of each declared tool; `function` where none is given."""

    def can(self, feature: str) -> bool:
        return feature in self.target.features


def check(
    request: Request,
    target: str,
    *,
    trusted: bool = False,
    snapshot_named: bool = False,
    same_conversation: Callable[[], bool] | None = None,
    deployments: Deployments | None = None,
    now_s: float | None = None,
) -> str | None:
    """Why `request` may not be sent to `target`, in words; None when it may.

    Args:
        trusted: `target` may be a model the capability table does not know; then only what the request itself shows is
            checked.
        snapshot_named: the rule names the requested model, so a dated snapshot may be moved.
        same_conversation: asked when the request carries state of a model: whether that is the model which will answer.
        deployments: under which names models are deployed at this provider; None: nothing is known of any.
        now_s: Unix time, for retirement dates; by default now.
    """
    capability = lookup(request.provider, target)
    contents = contents_of(request)
    body = set_parameters(request.body)
    refusal = _request_refusal(request, body, contents, snapshot_named=snapshot_named)
    if refusal is not None:
        return refusal
    state = _state(body, contents)
    if state is not None and not (same_conversation is not None and same_conversation()):
        return state
    if (deployments or Deployments()).name_of(request.provider, target) is None and not trusted:
        return f"no deployment of {target} at {request.provider} is named in the policy's [deployments]"
    if region_of(request.model) != region_of(target):
        return f"{target} is served in another region than {request.model}"
    if capability is None:
        return None if trusted else f"{target} is not in the capability table for {request.provider}"
    tools = body.get("tools")
    case = Case(
        request=request,
        body=body,
        target_name=target,
        target=capability,
        source=lookup(request.provider, request.model),
        contents=contents,
        now_s=time.time() if now_s is None else now_s,
        tool_types=[_tool_type(tool) for tool in tools] if isinstance(tools, list | tuple) else [],
    )
    for find_reason in CHECKS:
        reason = find_reason(case)
        if reason is not None:
            return reason
    return None


def _tool_type(tool: Any) -> str:
    # Anthropic's own kind of function tool carries no type, or `custom`; OpenAI's `custom` is another thing.
    return str(tool.get("type") or "function") if isinstance(tool, dict) else "unreadable"


def _request_refusal(
    request: Request, body: Mapping[str, Any], contents: Contents, *, snapshot_named: bool
) -> str | None:
    """Why a request may go nowhere but to the model it asks for, whatever the target."""
    known = known_parameters(request.api)
    if known is None:
        return f"calls to the {request.api} API are not routed"
    if request.model.startswith("ft:"):
        return f"{request.model} is fine-tuned"
    if is_snapshot(request.model) and not snapshot_named:
        return f"{request.model} is a pinned snapshot, and the rule does not name it"
    if contents.unreadable:
        return contents.unreadable
    unknown = [name for name in body if name not in known]
    if unknown:
        return f"parameter {unknown[0]} is not one that tierwise knows to be safe"
    if contents.unknown_parts:
        return f"content of type {min(contents.unknown_parts)} is not one that tierwise knows to be safe"
    tier = body.get("service_tier")
    if tier not in (None, "auto", "default", "standard_only"):
        return f"it asks for service tier {tier}"
    if body.get("speed") not in (None, "standard"):
        return f"it asks for speed {body['speed']}"
    if body.get("inference_geo") is not None:
        return f"it asks for inference in {body['inference_geo']}"
    if body.get("prompt_cache_retention") not in (None, "in_memory", "in-memory"):
        return f"it asks for prompt cache retention {body['prompt_cache_retention']}"
    return None


def conversation_state(request: Request) -> str | None:
    """What in `request` ties it to the model that answered earlier turns, in words; None when nothing does."""
    return _state(set_parameters(request.body), contents_of(request))


def _state(body: Mapping[str, Any], contents: Contents) -> str | None:
    for name in ("previous_response_id", "conversation", "container"):
        if name in body:
            return f"it continues a conversation kept at the provider ({name})"
    return f"its history holds {contents.state} of another model" if contents.state else None


# --- one check each: None, or the reason in words ---------------------------------------------------------------------


def _retired(case: Case) -> str | None:
    return f"{case.target_name} is no longer served" if case.target.is_retired(case.now_s) else None


def _endpoint(case: Case) -> str | None:
    if case.request.api in case.target.apis:
        return None
    return f"{case.target_name} is not served by the {case.request.api} API"


def _context_window(case: Case) -> str | None:
    cap = output_cap(case.body)
    needed = round(case.request.input_tokens_estimate * CONTEXT_MARGIN) + (cap or 0)
    if needed <= case.target.max_input_tokens:
        return None
    return f"it may need {needed:,} tokens; {case.target_name} takes {case.target.max_input_tokens:,}"


def _output_cap(case: Case) -> str | None:
    cap = output_cap(case.body)
    if cap is None:
        return None
    if cap > case.target.max_output_tokens:
        return f"it asks for {cap:,} output tokens; {case.target_name} writes {case.target.max_output_tokens:,}"
    reasons_now = case.source is not None and _reasons(case.source, case.body)
    if cap < REASONING_HEADROOM_TOKENS and _reasons(case.target, case.body) and not reasons_now:
        return f"{case.target_name} reasons first, which may use up the {cap:,} output tokens asked for"
    return None


def _reasons(model: Capability, body: Mapping[str, Any]) -> bool:
    """Whether `model` would spend output tokens on reasoning for this request."""
    if model.maker == "anthropic":
        return "always_thinks" in model.features or thinking_of(body) in ("adaptive", "enabled")
    return "reasoning" in model.features and (effort_of(body) or model.default_effort) != "none"


def _sampling(case: Case) -> str | None:
    if case.can("sampling"):
        return None
    in_use = sampling_in_use(case.body)
    if case.target.maker == "openai" and not _reasons(case.target, case.body):
        # Without reasoning effort these models take the three again, and only these.
        in_use = [name for name in in_use if name not in ("temperature", "top_p", "logprobs", "top_logprobs")]
    return f"{case.target_name} does not take {in_use[0]}" if in_use else None


def _effort(case: Case) -> str | None:
    effort = effort_of(case.body)
    if effort is None or effort in case.target.efforts:
        return None
    return f"{case.target_name} does not take reasoning effort {effort}"


def _thinking(case: Case) -> str | None:
    mode = thinking_of(case.body)
    if mode is None or mode in case.target.thinking:
        return None
    return f"{case.target_name} does not take thinking mode {mode}"


def _nested_parameters(case: Case) -> str | None:
    for name, known in NESTED_PARAMETERS.items():
        value = case.body.get(name)
        if value is None:
            continue
        if not isinstance(value, dict):
            return f"its {name} parameter cannot be read"
        unknown = [key for key, item in value.items() if key not in known and item is not None]
        if unknown:
            return f"parameter {name}.{unknown[0]} is not one that tierwise knows to be safe"
    return None


_BETAS: Mapping[str, str | None] = {
    "extended-cache-ttl": None,
    "pdfs": "pdf",
    "prompt-caching": None,
    "structured-outputs": "structured_output",
}
"""Name of a beta without its date → the feature it stands for; None: every model has it."""
_BETA_DATE = re.compile(r"-\d{4}-\d{2}-\d{2}$")


def _betas(case: Case) -> str | None:
    for beta in case.request.betas:
        name = _BETA_DATE.sub("", beta)
        feature = _BETAS.get(name)
        if name not in _BETAS:
            return f"beta {beta} is not one that tierwise knows to be safe"
        if feature is not None and not case.can(feature):
            return f"{case.target_name} does not do what beta {beta} is for"
    return None


def _reasoning_output(case: Case) -> str | None:
    include = case.body.get("include")
    wants_items = isinstance(include, list | tuple) and "reasoning.encrypted_content" in include
    if case.can("reasoning") or not (wants_items or case.body.get("reasoning")):
        return None
    return f"{case.target_name} does not reason"


def _structured_output(case: Case) -> str | None:
    strict_tools = any(_is_strict(tool) for tool in case.body.get("tools") or () if isinstance(tool, dict))
    if (output_format(case.body) is None and not strict_tools) or case.can("structured_output"):
        return None
    return f"{case.target_name} does not do structured output"


def _is_strict(tool: Mapping[str, Any]) -> bool:
    function = tool.get("function")
    return tool.get("strict") is True or (isinstance(function, dict) and function.get("strict") is True)


def _tools(case: Case) -> str | None:
    functions = case.body.get("functions")
    if not case.tool_types and not functions:
        return None
    if not case.can("tools"):
        return f"{case.target_name} does not call tools"
    if functions and case.can("reasoning"):
        return f"{case.target_name} does not take the older functions parameter"
    if case.body.get("parallel_tool_calls") is True and not case.can("parallel_tools"):
        return f"{case.target_name} does not call tools in parallel"
    return None


def _forced_tool(case: Case) -> str | None:
    choice = case.body.get("tool_choice")
    mode = choice.get("type") if isinstance(choice, dict) else choice
    if mode in (None, "auto"):
        return None
    if mode == "none":
        return None if case.can("tool_choice") else f"{case.target_name} does not take tool_choice"
    return None if case.can("forced_tools") else f"{case.target_name} cannot be made to call a tool"


def _hosted_tools(case: Case) -> str | None:
    for kind in case.tool_types:
        if kind == "function" or (kind == "custom" and case.target.maker == "anthropic"):
            continue
        if kind.startswith("web_search"):
            if case.can("web_search"):
                continue
            return f"{case.target_name} does not search the web"
        return f"tool type {kind} is tied to the models it was made for"
    return None


def _modalities(case: Case) -> str | None:
    names = {"images": "images", "pdf": "files", "audio_input": "audio"}
    for need in sorted(case.contents.needs):
        if not case.can(need):
            return f"{case.target_name} does not read {names[need]}"
    wanted = case.body.get("modalities")
    if isinstance(wanted, list | tuple) and any(item != "text" for item in wanted) and not case.can("audio_output"):
        return f"{case.target_name} only writes text"
    return None


def _prefill(case: Case) -> str | None:
    roles = case.contents.roles
    if not roles or roles[-1] != "assistant" or case.can("prefill"):
        return None
    return f"{case.target_name} does not continue an answer that the request begins"


def _roles(case: Case) -> str | None:
    instructing = [place for place, role in enumerate(case.contents.roles) if role in ("system", "developer")]
    if instructing and not case.can("system"):
        return f"{case.target_name} does not take system messages"
    if case.target.maker == "anthropic" and instructing and not case.can("mid_system"):
        return f"{case.target_name} does not take system messages inside a conversation"
    if "function" in case.contents.roles and case.can("reasoning"):
        return f"{case.target_name} does not take the older function role"
    return None


CHECKS: tuple[Callable[[Case], str | None], ...] = (
    _retired,
    _endpoint,
    _context_window,
    _output_cap,
    _sampling,
    _effort,
    _thinking,
    _nested_parameters,
    _betas,
    _reasoning_output,
    _structured_output,
    _tools,
    _forced_tool,
    _hosted_tools,
    _modalities,
    _prefill,
    _roles,
)


def adapt(
    body: Mapping[str, Any], target: str, *, provider: str = "openai", deployment: str | None = None
) -> dict[str, Any]:
    """`body` with `target` as its model, and the parameters that mean the same there under the names it takes.

    A new mapping; `body` and what it holds stay as they are. Only Chat Completions has parameters with two names.

    Args:
        provider: `gen_ai.provider.name` that knows `target` by this name.
        deployment: the name under which `target` is deployed there, to ask for in its place; None: its own.
    """
    adapted = {**body, "model": deployment or target}
    capability = lookup(provider, target)
    if capability is not None and "chat_completions" in capability.apis and "messages" in body:
        for old, new, applies in ADAPTATIONS:
            given = set_parameters(adapted)
            if applies(capability) and old in given and new not in given:
                adapted[new] = adapted.pop(old)
    return adapted
