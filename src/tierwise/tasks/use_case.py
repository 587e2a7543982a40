"""The use case of a call: which prompt template it was made from.

The identifier is a hash of what stays constant, so it is the same in every process, on every machine and after every
release that leaves the template alone. No prompt can be recovered from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import Any, Literal

from tierwise.tasks.prompt import Prompt, read_prompt
from tierwise.tasks.template import form, skeleton, stable_text
from tierwise.tasks.template_words import GENERIC_WORDS

LONG_INSTRUCTIONS_CHARS = 200
"""From this size on instructions identify a template by themselves; shorter ones are often shared by several."""

_CACHED_TEXTS = 2_048


@dataclass(frozen=True, slots=True)
class UseCase:
    """Calls that share a template."""

    id: str
    """`uc_` and ten hexadecimal digits."""
    name: str | None
    """What a person called it; None when nobody did."""
    source: Literal["name", "prompt", "system", "structure", "call_site", "none"]
    """What the identifier was made of. `none`: nothing tells the calls of one operation apart."""


def _identifier(*parts: str) -> str:
    # A lone surrogate is legal in a str and in JSON, but not in UTF-8.
    digest = blake2b("\x1f".join(parts).encode("utf-8", "surrogatepass"), digest_size=5)
    return f"uc_{digest.hexdigest()}"


@lru_cache(maxsize=_CACHED_TEXTS)
def stable_instructions(system: str) -> str:
    """Stable text of the instructions; empty when they would suit any template."""
    text = stable_text(system)
    words = text[: 2 * LONG_INSTRUCTIONS_CHARS].replace(".", " ").replace(",", " ").replace("'", " ").split()
    return "" if GENERIC_WORDS.issuperset(words) else text


# The keys hold instructions and marks, which the calls of a template share, and never a text that comes once.


@lru_cache(maxsize=_CACHED_TEXTS)
def _from_instructions(
    system: str, tool_names: tuple[str, ...], schema_name: str, marks: tuple[str, ...]
) -> UseCase | None:
    instructions = stable_instructions(system)
    if not instructions:
        return None
    return UseCase(_identifier("system", instructions, *sorted(tool_names), "", schema_name, *marks), None, "system")


@lru_cache(maxsize=_CACHED_TEXTS)
def _from_structure(tool_names: tuple[str, ...], schema_name: str, marks: tuple[str, ...]) -> UseCase:
    return UseCase(_identifier("structure", *sorted(tool_names), "", schema_name, *marks), None, "structure")


@lru_cache(maxsize=_CACHED_TEXTS)
def _from_words(source: Literal["name", "prompt", "call_site", "none"], words: tuple[str, ...]) -> UseCase:
    return UseCase(_identifier(source, *words), words[0] if source == "name" else None, source)


def prompt_use_case(prompt: Prompt, *, operation: str, call_site: str | None, name: str | None) -> UseCase:
    """The use case of a request that has been read already; see `use_case`."""
    if name:
        return _from_words("name", (name,))
    if prompt.prompt_id:
        return _from_words("prompt", (prompt.prompt_id,))
    # What is embedded is data, whatever marks it has.
    if operation != "embeddings" and not prompt.is_embedding:
        system, user = prompt.system, prompt.user
        if system:
            # Long instructions stand alone.
            marks = form(user) if len(system) < LONG_INSTRUCTIONS_CHARS else ()
            found = _from_instructions(system, prompt.tool_names, prompt.schema_name, marks)
            if found is not None:
                return found
        if marks := skeleton(user):
            return _from_structure(prompt.tool_names, prompt.schema_name, marks)
    if call_site:
        return _from_words("call_site", (call_site,))
    return _from_words("none", (operation, *sorted(prompt.tool_names), "", prompt.schema_name))


def use_case(
    request: Mapping[str, Any], *, operation: str, call_site: str | None = None, name: str | None = None
) -> UseCase:
    """The use case of a request, from the first of these that it has.

    1. `name`, given by a person. 2. The identifier of a prompt kept at the provider. 3. The instructions, unless they
    would suit any template, with the names of tools and response schema; short ones together with 4. 4. The structure
    of the last user message, when it has two marks of a template. 5. `call_site` (`module:function`). 6. The operation.

    Args:
        request: keyword arguments of the SDK call, or the JSON body.
        operation: `gen_ai.operation.name`.
    """
    return prompt_use_case(read_prompt(request), operation=operation, call_site=call_site, name=name)
