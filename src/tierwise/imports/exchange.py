"""A request and its answer as they went over the wire, read by what the instrumentation reads them with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from tierwise.imports.usage import retold_usage
from tierwise.instrumentation.anthropic import ANTHROPIC
from tierwise.instrumentation.openai import OPENAI
from tierwise.instrumentation.sdk import Reply, Surface, attributed

MESSAGES = ANTHROPIC.surfaces["/v1/messages"]
CHAT = OPENAI.surfaces["/chat/completions"]
RESPONSES = OPENAI.surfaces["/responses"]
COMPLETIONS = OPENAI.surfaces["/completions"]
EMBEDDINGS = OPENAI.surfaces["/embeddings"]

_BY_OBJECT: Mapping[str, Surface] = {
    "chat.completion": CHAT,
    "chat.completion.chunk": CHAT,
    "response": RESPONSES,
    "text_completion": COMPLETIONS,
}


def surface_of(body: Mapping[str, Any], answer: object, *, path: str | None = None) -> Surface | None:
    """Which API a request and its answer are of: told by the answer, else by the path, else by the request.

    None for what is no exchange with OpenAI's or Anthropic's API.
    """
    whole = answer_object(answer)
    if (found := surface_of_answer(whole)) is not None:
        return found
    if path is not None:
        where = path.partition("?")[0]
        for sdk in (OPENAI, ANTHROPIC):
            for known, surface in sdk.surfaces.items():
                if where.endswith(known):
                    return surface
    if "messages" in body:
        is_claude = str(body.get("model", "")).rpartition("/")[2].startswith("claude")
        return MESSAGES if is_claude and "system" in body else CHAT
    if "input" in body:
        return EMBEDDINGS if "embed" in str(body.get("model", "")) else RESPONSES
    return COMPLETIONS if "prompt" in body else None


def surface_of_answer(answer: Mapping[str, Any]) -> Surface | None:
    """Which API an answer is of; None where it does not say, or is none."""
    kind = answer.get("object")
    if isinstance(kind, str) and kind in _BY_OBJECT:
        return _BY_OBJECT[kind]
    if answer.get("type") == "message" or answer.get("type") == "message_start":
        return MESSAGES
    if kind == "list" and "model" in answer and "usage" in answer:
        return EMBEDDINGS
    choices = answer.get("choices")
    if isinstance(choices, list) and choices:
        held = cast("list[Any]", choices)[0]
        return CHAT if isinstance(held, dict) and ("message" in held or "delta" in held) else COMPLETIONS
    return None


def answer_object(answer: object) -> Mapping[str, Any]:
    """The answer as a mapping; of the chunks of a stream, the first; empty when it is neither."""
    if isinstance(answer, Sequence) and not isinstance(answer, str | bytes) and answer:
        answer = cast("Sequence[object]", answer)[0]
    return cast("Mapping[str, Any]", answer) if isinstance(answer, Mapping) else {}


def read_reply(surface: Surface, answer: object, *, with_text: bool) -> Reply:
    """What an answer says about itself: a body, the chunks of a stream, or a bare text.

    Args:
        with_text: fill in the answer's text.
    """
    if isinstance(answer, list) and surface.accumulator is not None:
        gathered = surface.accumulator(with_text)
        for chunk in cast("list[object]", answer):
            gathered.add(attributed(chunk))
        return gathered.reply()
    if isinstance(answer, str):
        return Reply(output_chars=len(answer), text=answer if with_text else "")
    body = answer_object(answer)
    reply = surface.read(attributed(_lean(body, with_text=with_text)), with_text)
    if reply.usage is None:
        # A gateway may answer in one provider's shape with another's names for the counts.
        usage = body.get("usage")
        reply.usage = retold_usage(cast("Mapping[str, Any]", usage)) if isinstance(usage, Mapping) else None
    return reply


def error_of(answer: object) -> str | None:
    """The code of an error that stands in place of an answer; None for an answer."""
    body = answer_object(answer)
    error = body.get("error")
    if not isinstance(error, Mapping):
        return None
    held = cast("Mapping[str, Any]", error)
    code = held.get("code") or held.get("type")
    return str(code)[:64] if isinstance(code, str | int) and code else "error"


def _lean(body: Mapping[str, Any], *, with_text: bool) -> dict[str, Any]:
    """The answer without what nobody reads of it, such as the numbers of an embedding.

    Without `background`, too: what a running process has already booked has nothing to do with a log.
    """
    found = {name: value for name, value in body.items() if name not in _NEVER_READ}
    if with_text or not isinstance(body.get("usage"), dict):
        return found
    choices = found.get("choices")
    if isinstance(choices, list):
        found["choices"] = [
            {"finish_reason": choice.get("finish_reason")} for choice in choices if isinstance(choice, dict)
        ]
    # Texts are read for an estimate only; items of Responses tell which tools were billed.
    found.pop("content", None)
    return found


_NEVER_READ = frozenset({"background", "data", "instructions", "metadata", "object", "tools"})
