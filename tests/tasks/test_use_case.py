from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from tierwise.tasks.use_case import UseCase, use_case

TRANSLATOR = "Translate product reviews from French into English and keep the star rating."
FORM = "## Review\n{}\n## Output\nReturn the label only."


def found(user: str = "Hello", system: str = "", *, call_site: str | None = None, **request: Any) -> UseCase:
    messages = [{"role": "system", "content": system}] if system else []
    return use_case(
        {"messages": [*messages, {"role": "user", "content": user}], **request}, operation="chat", call_site=call_site
    )


def test_identifiers_are_short_hashes():
    """An identifier is `uc_` and ten hexadecimal digits, and shows nothing of the prompt."""
    identifier = found(system=TRANSLATOR).id

    assert identifier.startswith("uc_")
    assert len(identifier) == 13
    assert int(identifier[3:], 16) >= 0


def test_the_first_thing_that_tells_is_used():
    """Name, registered prompt, instructions, structure, call site, operation: in this order."""
    request: dict[str, Any] = {
        "instructions": TRANSLATOR,
        "input": FORM.format("Nice"),
        "prompt": {"id": "pmpt_7"},
    }
    sources = [use_case(request, operation="chat", call_site="app:ask", name="reviews").source]
    for missing in (None, "prompt", "instructions", "input"):
        request.pop(missing or "", None)
        sources.append(use_case(request, operation="chat", call_site="app:ask").source)
    sources.append(use_case(request, operation="chat").source)

    assert sources == ["name", "prompt", "system", "structure", "call_site", "none"]


def test_a_name_is_kept():
    """What a person called the use case is its name, whatever the prompt."""
    first = use_case({"input": "a"}, operation="chat", name="reviews")
    second = use_case({"messages": []}, operation="chat", name="reviews")

    assert first == second
    assert first.name == "reviews"


def test_one_prompt_has_one_identifier_on_every_api():
    """Moving from chat to Responses or to Anthropic keeps the use case."""
    chat = found(system=TRANSLATOR)
    responses = use_case({"instructions": TRANSLATOR, "input": "Hi"}, operation="chat")
    anthropic = use_case(
        {"system": [{"type": "text", "text": TRANSLATOR}], "messages": [{"role": "user", "content": "Hi"}]},
        operation="chat",
    )

    assert chat == responses == anthropic


def test_what_the_user_says_does_not_matter_under_instructions():
    """All conversations under one system prompt are one use case."""
    assert found("Hello", TRANSLATOR) == found("Another text, at some length.", TRANSLATOR)


def test_templates_under_one_persona_are_told_apart():
    """Short instructions are shared by many templates, so a form in the message counts as well."""
    persona = "You are the editor of a medical journal."

    assert found(FORM.format("a"), persona) == found(FORM.format("b"), persona)
    assert found(FORM.format("a"), persona) != found("## Paper\nx\n## Task\nList the authors.", persona)


@pytest.mark.parametrize(
    "generic", ["You are a helpful assistant.", "You are a helpful, honest and harmless AI assistant."]
)
def test_generic_instructions_tell_nothing(generic: str):
    """An instruction that would suit any template is passed over."""
    assert found("Hi", generic, call_site="app:ask") == found("Hi", call_site="app:ask")


def test_tools_and_schema_names_tell_use_cases_apart():
    """The same instructions with other tools or another answer's form are another use case; tools' order is nothing."""
    tools = [{"type": "function", "function": {"name": name}} for name in ("search", "book")]
    schema = {"type": "json_schema", "json_schema": {"name": "booking", "schema": {}}}

    plain = found(system=TRANSLATOR)
    with_tools = found(system=TRANSLATOR, tools=tools)

    assert len({plain.id, with_tools.id, found(system=TRANSLATOR, response_format=schema).id}) == 3
    assert found(system=TRANSLATOR, tools=tools[::-1]) == with_tools


def test_embedded_text_is_data():
    """A document to embed is no template, whatever its headings."""
    document = "# Title\ntext\n# Output\nReturn the results."

    assert use_case({"model": "text-embedding-3-small", "input": document}, operation="embeddings").source == "none"


def test_a_lone_surrogate_is_hashed():
    """Text that cannot be encoded as UTF-8 still has an identifier."""
    assert found(system=TRANSLATOR + " \ud800 always").source == "system"


def test_identifiers_are_the_same_in_another_process():
    """Hash randomisation, start order and caches have no part in an identifier."""
    script = (
        "from tierwise.tasks import use_case\n"
        f"print(use_case({{'instructions': {TRANSLATOR!r}, 'input': 'x'}}, operation='chat').id)"
    )

    other = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.strip()

    assert other == found(system=TRANSLATOR).id
