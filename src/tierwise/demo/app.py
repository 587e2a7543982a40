"""The demo's application: unmodified OpenAI and Anthropic clients, and one import line.

Every function here is what a user of tierwise would have anyway. `@tierwise.check` is the only addition: it says
whether an answer was right, here because the prompts come with reference answers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import anthropic
import openai

import tierwise
import tierwise.auto  # the one line  # pyright: ignore[reportUnusedImport]
from tierwise.demo.dataset import Prompt, grade, load
from tierwise.demo.story import PRODUCTS, Product

claude = anthropic.Anthropic()
gpt = openai.OpenAI()


def ask_claude(product: Product, prompt: Prompt) -> str:
    """An answer through the Messages API."""
    message = claude.messages.create(
        model=product.model, max_tokens=4096, messages=[{"role": "user", "content": prompt.prompt}]
    )
    return "".join(block.text for block in message.content if block.type == "text")


def ask_gpt_streaming(product: Product, prompt: Prompt) -> str:
    """An answer through chat completions, streamed as to a person who is watching."""
    stream = gpt.chat.completions.create(
        model=product.model, messages=[{"role": "user", "content": prompt.prompt}], stream=True
    )
    return "".join(chunk.choices[0].delta.content or "" for chunk in stream)


def ask_gpt(product: Product, prompt: Prompt) -> str:
    """An answer through the Responses API."""
    return gpt.responses.create(model=product.model, input=prompt.prompt).output_text


SURFACES: Mapping[str, Callable[[Product, Prompt], str]] = {
    "homework-help": ask_claude,
    "contest-math": ask_claude,
    "code-tracing": ask_claude,
    "word-problems": ask_gpt_streaming,
    "exam-practice": ask_gpt,
}


def use_case_of(product: Product, prompt: Prompt) -> str:
    """The exam trainer is one feature a subject: law is not biology."""
    return f"exam-{prompt.category.replace(' ', '-')}" if product.name == "exam-practice" else product.name


def answer(product: Product, prompt: Prompt) -> str:
    """What the application does for one request of one of its users."""
    with tierwise.use_case(use_case_of(product, prompt), tenant="demo"):
        return SURFACES[product.name](product, prompt)


@cache
def _prompts_by_text() -> Mapping[str, Prompt]:
    return {prompt.prompt: prompt for prompt in load()}


def right_answer(request: Mapping[str, Any], given: tierwise.Answer) -> float | None:
    """1.0 when the answer agrees with the reference, 0.0 when it does not, None for a prompt without one."""
    turns = request.get("input") or request.get("messages") or ""
    text = turns if isinstance(turns, str) else turns[-1]["content"]
    prompt = _prompts_by_text().get(text)
    return None if prompt is None else grade(prompt, given.text)


for _name in sorted({use_case_of(product, prompt) for product in PRODUCTS for prompt in load([product.dataset])}):
    tierwise.check(_name, name="right_answer")(right_answer)
