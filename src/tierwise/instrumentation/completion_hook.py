"""Task type, use case and cost on the spans of OpenTelemetry's own GenAI instrumentations, without a patch of ours.

`OTEL_INSTRUMENTATION_GENAI_COMPLETION_HOOK=tierwise` has opentelemetry-util-genai load `TierwiseCompletionHook` by its
entry point and call it at the end of each call, with the parsed messages. They are read here and go nowhere.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from tierwise import prices, settings
from tierwise import semconv as sc
from tierwise.attributes import from_attributes, to_attributes
from tierwise.call import AttributeValue, Call
from tierwise.context import current_use_case
from tierwise.firewall import firewall
from tierwise.instrumentation.request import call_site
from tierwise.tasks.infer import infer

ENTRY_POINT_GROUP = "opentelemetry_genai_completion_hook"

_BILLED = frozenset({"chat", "text_completion", "generate_content"})
"""Operations that are one call to a model; the hook is called for agents and workflows as well."""

_ADDED = frozenset(
    {
        sc.TASK_TYPE,
        sc.TASK_CONFIDENCE,
        sc.TASK_SOURCE,
        sc.TASK_SUB_TAG,
        sc.COMPLEXITY_BAND,
        sc.USE_CASE_ID,
        sc.USE_CASE_NAME,
        sc.TENANT,
        sc.CONVERSATION_ID,
        sc.COST_AMOUNT,
        sc.COST_CURRENCY,
        sc.COST_SOURCE,
        sc.COST_INPUT_USD,
        sc.COST_OUTPUT_USD,
        sc.COST_CACHE_READ_USD,
        sc.COST_CACHE_WRITE_USD,
        sc.COST_OTHER_USD,
        sc.PRICE_VERSION,
        sc.PRICED,
        sc.UNPRICED_REASON,
    }
)
"""Everything else is the instrumentation's own to say."""

observed_parents: deque[int] | None = None
"""Ids of the spans inside which calls were observed lately by our own instrumentation; None until a hook is loaded."""
_REMEMBERED_PARENTS = 1_024


def note_parent(span: Any) -> None:
    """Remember that a call is observed by us inside the span that is this one's parent."""
    parent = getattr(span, "parent", None)
    if observed_parents is not None and parent is not None:
        observed_parents.append(parent.span_id)


class TierwiseCompletionHook:
    """A `CompletionHook` of opentelemetry-util-genai, which need not be installed.

    Raises:
        SettingsError: a setting holds a value that cannot be used; util-genai logs that, and goes on without the hook.
    """

    def __init__(self) -> None:
        global observed_parents
        loaded = settings.load()
        self._tenant = loaded.tenant
        prices.configure(loaded.prices)
        prices.warm_up()
        if observed_parents is None:
            observed_parents = deque(maxlen=_REMEMBERED_PARENTS)

    def on_completion(
        self,
        *,
        inputs: Sequence[Any],
        outputs: Sequence[Any],
        system_instruction: Sequence[Any],
        tool_definitions: Sequence[Any] | None = None,
        span: Any = None,
        log_record: Any = None,
    ) -> None:
        """Add to the span, and to the event if there is one, what tierwise knows about the call."""
        with firewall("completing a call of another instrumentation"):
            attributes = getattr(span, "attributes", None)
            if not isinstance(attributes, Mapping) or not span.is_recording():
                return
            if attributes.get(sc.OPERATION_NAME) not in _BILLED or _is_ours(span):
                return
            known = cast("Mapping[str, Any]", attributes)
            body = _body(inputs, system_instruction, tool_definitions or (), known)
            added = self._added(body, known, span.start_time)
            span.set_attributes(added)
            if log_record is not None:
                log_record.attributes = {**(log_record.attributes or {}), **added}

    def _added(
        self, body: Mapping[str, Any], attributes: Mapping[str, Any], started_ns: int
    ) -> dict[str, AttributeValue]:
        seen = from_attributes(attributes)
        declared = current_use_case()
        inference = infer(
            body,
            operation=seen.operation,
            explicit_task=declared.task if declared else None,
            use_case_name=declared.name if declared else None,
            call_site=None if declared else call_site(),
        )
        cost, reason = None, prices.LOADING
        if prices.ready():
            cost, reason = prices.price(
                seen.provider,
                seen.request_model,
                seen.usage,
                at_ns=started_ns,
                service_tier=seen.service_tier,
                response_model=seen.response_model,
            )
        call = Call(
            seen.operation,
            seen.provider,
            seen.request_model,
            cost=cost,
            unpriced_reason=reason,
            conversation_id=seen.conversation_id or (declared.conversation if declared else None),
            task_type=inference.task_type,
            task_confidence=inference.confidence,
            task_source=inference.source,
            task_sub_tag=inference.sub_tag,
            complexity=inference.complexity.band,
            use_case_id=inference.use_case.id,
            use_case_name=inference.use_case.name,
            tenant=(declared.tenant if declared else None) or self._tenant,
        )
        return {key: value for key, value in to_attributes(call).items() if key in _ADDED}


def _is_ours(span: Any) -> bool:
    """Whether our own instrumentation has a span of its own inside this one, which says all this already."""
    context = span.get_span_context()
    return observed_parents is not None and context.span_id in observed_parents.copy()


# --- a request body, as far as the parsed messages have one -----------------------------------------------------------


def _body(
    inputs: Iterable[Any], instructions: Iterable[Any], tools: Iterable[Any], attributes: Mapping[str, Any]
) -> dict[str, Any]:
    """The request as chat completions would have it, so that its use case is the one our instrumentation finds."""
    messages: list[dict[str, Any]] = []
    if system := _texts(instructions):
        messages.append({"role": "system", "content": "\n\n".join(system)})
    for message in inputs:
        role, parts = str(getattr(message, "role", None) or "user"), getattr(message, "parts", None) or ()
        kinds = {getattr(part, "type", None) for part in parts}
        content: list[dict[str, Any]] = [{"type": "text", "text": text} for text in _texts(parts)]
        content += [{"type": "image_url"} for kind in kinds if kind in ("blob", "uri", "file")]
        messages.append({"role": "tool" if "tool_call_response" in kinds else role, "content": content})
    body: dict[str, Any] = {"model": attributes.get(sc.REQUEST_MODEL), "messages": messages}
    if names := [name for tool in tools if (name := getattr(tool, "name", None))]:
        body["tools"] = [{"type": "function", "function": {"name": name}} for name in names]
    if attributes.get(sc.OUTPUT_TYPE) == "json":
        body["response_format"] = {"type": "json_object"}
    return body


def _texts(parts: Iterable[Any]) -> list[str]:
    contents = (getattr(part, "content", None) for part in parts if getattr(part, "type", None) == "text")
    return [text for text in contents if isinstance(text, str)]
