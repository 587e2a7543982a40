"""The openai SDK: chat completions, legacy completions and embeddings, with what its siblings know of the rest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from tierwise import semconv as sc
from tierwise.call import AttributeValue, Usage
from tierwise.instrumentation.openai_batches import batch_bills
from tierwise.instrumentation.openai_media import MEDIA, MEDIA_PATTERNS
from tierwise.instrumentation.openai_responses import BACKGROUND_RESPONSES, DECISIONS, RESPONSES, RESPONSES_COMPACT
from tierwise.instrumentation.sdk import (
    Parameters,
    Reply,
    Sdk,
    Surface,
    ToolCall,
    attributed,
    count,
    member,
    number,
    stop_sequences,
    text,
    units,
)


def _usage(block: Any) -> Usage | None:
    input_tokens = count(getattr(block, "prompt_tokens", None))
    output_tokens = count(getattr(block, "completion_tokens", None))
    if input_tokens is None and output_tokens is None:
        return None
    read = attributed(getattr(block, "prompt_tokens_details", None))
    written = attributed(getattr(block, "completion_tokens_details", None))
    heard, spoken = getattr(read, "audio_tokens", None), getattr(written, "audio_tokens", None)
    seen = getattr(read, "image_tokens", None)
    return Usage(
        input_tokens,
        output_tokens,
        cache_read_tokens=count(getattr(read, "cached_tokens", None)) or 0,
        cache_write_tokens=count(getattr(read, "cache_write_tokens", None)) or 0,
        reasoning_tokens=count(getattr(written, "reasoning_tokens", None)) or 0,
        units=units(input_audio_tokens=heard, output_audio_tokens=spoken, input_image_tokens=seen)
        if heard or spoken or seen
        else (),
    )


def _with_searches(usage: Usage | None, model: Any) -> Usage | None:
    """Models that search the web in every call are billed for that beside their tokens, and do not report it."""
    if usage is not None and isinstance(model, str) and "-search-" in model:
        return replace(usage, web_searches=1)
    return usage


def _extra(answer: Any) -> dict[str, AttributeValue]:
    fingerprint = getattr(answer, "system_fingerprint", None)
    return {sc.OPENAI_SYSTEM_FINGERPRINT: fingerprint} if fingerprint else {}


# --- requests ---------------------------------------------------------------------------------------------------------


def _output_type(response_format: Any) -> str | None:
    kind = member(response_format, "type")
    return None if kind is None else "text" if kind == "text" else "json"


def _several(value: Any) -> int | None:
    choices = count(value)
    return None if choices == 1 else choices


_PARAMETERS: Parameters = {
    "temperature": ((sc.REQUEST_TEMPERATURE, number),),
    "top_p": ((sc.REQUEST_TOP_P, number),),
    "frequency_penalty": ((sc.REQUEST_FREQUENCY_PENALTY, number),),
    "presence_penalty": ((sc.REQUEST_PRESENCE_PENALTY, number),),
    "max_tokens": ((sc.REQUEST_MAX_TOKENS, count),),
    "max_completion_tokens": ((sc.REQUEST_MAX_TOKENS, count),),
    "seed": ((sc.REQUEST_SEED, count),),
    "n": ((sc.REQUEST_CHOICE_COUNT, _several),),
    "stop": ((sc.REQUEST_STOP_SEQUENCES, stop_sequences),),
    "reasoning_effort": ((sc.REQUEST_REASONING_LEVEL, text),),
    "service_tier": ((sc.OPENAI_REQUEST_SERVICE_TIER, text),),
    "response_format": ((sc.OUTPUT_TYPE, _output_type),),
}


# --- chat completions -------------------------------------------------------------------------------------------------


def _read_chat(completion: Any, with_text: bool) -> Reply:
    choices: Sequence[Any] = getattr(completion, "choices", None) or []
    reply = Reply(
        id=getattr(completion, "id", None),
        model=getattr(completion, "model", None),
        finish_reasons=tuple(getattr(choice, "finish_reason", None) or "error" for choice in choices),
        usage=_with_searches(_usage(getattr(completion, "usage", None)), getattr(completion, "model", None)),
        service_tier=getattr(completion, "service_tier", None),
        extra=_extra(completion),
    )
    if with_text or reply.usage is None:
        for choice in choices:
            message = getattr(choice, "message", None)
            said = getattr(message, "content", None) or getattr(message, "refusal", None)
            words = text(said) or ""
            calls = tuple(_tool_calls(getattr(message, "tool_calls", None) or ()))
            reply.output_chars += len(words) + sum(len(call.name) + len(call.arguments) for call in calls)
            if with_text and choice is choices[0]:
                reply.text, reply.tool_calls = words, calls
                reply.refused = bool(getattr(message, "refusal", None))
    return reply


def _tool_calls(calls: Iterable[Any]) -> Iterable[ToolCall]:
    for call in calls:
        function = getattr(call, "function", None) or getattr(call, "custom", None)
        arguments = getattr(function, "arguments", None) or getattr(function, "input", None)
        yield ToolCall(getattr(function, "name", None) or "", arguments or "", getattr(call, "id", None))


class ChatAccumulator:
    """A streamed chat completion. Odd chunks (no choices, null choices, null delta) hold nothing."""

    __slots__ = ("_calls", "_chars", "_extra", "_finish", "_id", "_model", "_refused", "_texts", "_tier", "_usage")

    def __init__(self, with_text: bool) -> None:
        self._id: str | None = None
        self._model: str | None = None
        self._tier: str | None = None
        self._extra: dict[str, AttributeValue] = {}
        self._usage: Usage | None = None
        self._finish: dict[int, str | None] = {}
        self._chars = 0
        self._refused = False
        self._texts: list[str] | None = [] if with_text else None
        self._calls: dict[int, ToolCall] = {}

    def add(self, chunk: Any) -> None:
        choices = getattr(chunk, "choices", None)
        if self._id is None and (chunk_id := getattr(chunk, "id", None)):
            self._id = chunk_id
            self._model = getattr(chunk, "model", None)
            self._tier = getattr(chunk, "service_tier", None)
            self._extra = _extra(chunk)
        if choices:
            for choice in choices:
                self._add_choice(choice)
        if (block := getattr(chunk, "usage", None)) is not None:
            self._usage = _usage(block) or self._usage

    def _add_choice(self, choice: Any) -> None:
        index = getattr(choice, "index", None) or 0
        reason = getattr(choice, "finish_reason", None)
        if reason or index not in self._finish:
            self._finish[index] = reason
        delta = getattr(choice, "delta", None)
        if delta is None:
            return
        if words := getattr(delta, "content", None) or getattr(delta, "refusal", None):
            self._chars += len(words)
            if self._texts is not None and index == 0:
                self._texts.append(words)
                self._refused = self._refused or bool(getattr(delta, "refusal", None))
        if calls := getattr(delta, "tool_calls", None):
            for call in calls:
                self._add_tool_call(call, index)

    def _add_tool_call(self, call: Any, choice_index: int) -> None:
        function = getattr(call, "function", None)
        name = getattr(function, "name", None) or ""
        arguments = getattr(function, "arguments", None) or ""
        self._chars += len(name) + len(arguments)
        if self._texts is None or choice_index != 0:
            return
        place = getattr(call, "index", None) or 0
        known = self._calls.get(place, ToolCall("", ""))
        self._calls[place] = ToolCall(
            known.name + name, known.arguments + arguments, known.id or getattr(call, "id", None)
        )

    def reply(self) -> Reply:
        reasons = tuple(self._finish[index] for index in sorted(self._finish))
        return Reply(
            id=self._id,
            model=self._model,
            finish_reasons=tuple(reason or "error" for reason in reasons),
            usage=_with_searches(self._usage, self._model),
            service_tier=self._tier,
            complete=bool(reasons) and all(reasons),
            output_chars=self._chars,
            text="".join(self._texts or ()),
            tool_calls=tuple(self._calls[place] for place in sorted(self._calls)),
            refused=self._refused,
            extra=self._extra,
        )


# --- legacy completions and embeddings --------------------------------------------------------------------------------


def _read_completion(completion: Any, with_text: bool) -> Reply:
    choices = getattr(completion, "choices", None) or ()
    reply = Reply(
        id=getattr(completion, "id", None),
        model=getattr(completion, "model", None),
        finish_reasons=tuple(getattr(choice, "finish_reason", None) or "error" for choice in choices),
        usage=_usage(getattr(completion, "usage", None)),
        extra=_extra(completion),
    )
    texts = [getattr(choice, "text", None) or "" for choice in choices]
    reply.output_chars = sum(map(len, texts))
    if with_text and texts:
        reply.text = texts[0]
    return reply


class CompletionAccumulator(ChatAccumulator):
    """A streamed legacy completion: as a chat's, with the text right in the choice."""

    __slots__ = ()

    def _add_choice(self, choice: Any) -> None:
        super()._add_choice(choice)
        if words := getattr(choice, "text", None):
            self._chars += len(words)
            if self._texts is not None and not getattr(choice, "index", None):
                self._texts.append(words)


def _read_embeddings(response: Any, _: bool) -> Reply:
    block = getattr(response, "usage", None)
    tokens = count(getattr(block, "prompt_tokens", None))
    return Reply(model=getattr(response, "model", None), usage=None if tokens is None else Usage(tokens, 0))


_SURFACES: Mapping[str, Surface] = {
    "/chat/completions": Surface(
        "chat", "chat_completions", _PARAMETERS, _read_chat, ChatAccumulator, usage_on_request=True
    ),
    "/completions": Surface(
        "text_completion",
        "completions",
        _PARAMETERS,
        _read_completion,
        CompletionAccumulator,
        usage_on_request=True,
    ),
    "/responses": RESPONSES,
    "/responses/compact": RESPONSES_COMPACT,
    "/decisions": DECISIONS,
    # Vectors of two models do not compare, so another model's would break every index they are kept in.
    "/embeddings": Surface("embeddings", "embeddings", {}, _read_embeddings, routable=False),
    **MEDIA,
}

OPENAI = Sdk(
    name="openai",
    surfaces=_SURFACES,
    patterns=MEDIA_PATTERNS,
    late_bills=(BACKGROUND_RESPONSES, *batch_bills(_SURFACES)),
    providers={
        "AzureOpenAI": "azure.ai.openai",
        "AsyncAzureOpenAI": "azure.ai.openai",
        "BedrockOpenAI": "aws.bedrock",
        "AsyncBedrockOpenAI": "aws.bedrock",
    },
)
