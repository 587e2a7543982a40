"""What the demo replays: which prompts, through which client, and whose recorded answers a model name stands for.

Model names and prices are today's; the answers are what the models of 2024 named beside them really wrote. Each pair
keeps its order: a maker's large model and its small one of the same day.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final, Literal

from tierwise.demo.dataset import Prompt, RecordedAnswer, load
from tierwise.testing import Answer, Fault, ProviderRequest, ProviderUsage

Part = Literal["observe", "enforce"]


@dataclass(frozen=True, slots=True)
class Product:
    """One feature of the sample application: the prompts of one data set, sent to one model."""

    name: str
    dataset: str
    model: str
    """What the application asks for."""


STANDS_FOR: Final[Mapping[str, str]] = {
    "claude-opus-5-5": "claude-3-opus-20240229",
    "claude-haiku-5-5": "claude-3-5-haiku-20241022",
    "gpt-6.1-sol": "gpt-4o-2024-08-06",
    "gpt-6-luna": "gpt-4o-mini-2024-07-18",
    "gpt-6.1-terra": "gemini-1.5-pro-002",
    "gpt-5.6-luna": "gemini-1.5-flash-002",
}
"""Model name on the wire → model whose recorded answers it gives."""

CANDIDATES: Final[Mapping[str, tuple[str, ...]]] = {
    "claude-opus-5-5": ("claude-haiku-5-5",),
    "gpt-6.1-sol": ("gpt-6-luna",),
    "gpt-6.1-terra": ("gpt-5.6-luna",),
}
"""Requested model → cheaper models to shadow."""

PRODUCTS: Final = (
    Product("homework-help", "gsm8k", "claude-opus-5-5"),
    Product("contest-math", "math_hard", "claude-opus-5-5"),
    Product("code-tracing", "crux", "claude-opus-5-5"),
    Product("word-problems", "gsm8k", "gpt-6.1-sol"),
    Product("exam-practice", "mmlu_pro", "gpt-6.1-terra"),
)

OBSERVED_SHARE: Final = 0.6
"""Share of each product's prompts that goes out before any rule; the rest are new to the rule that meets them."""


def part_of(prompt: Prompt) -> Part:
    """Whether a prompt is sent before or after the rule is applied: by hash, so that neither part is hand-picked."""
    digest = blake2b(f"{prompt.dataset}/{prompt.prompt_id}".encode(), digest_size=8).digest()
    return "observe" if int.from_bytes(digest) / 2**64 < OBSERVED_SHARE else "enforce"


def traffic(part: Part, *, scale: float = 1.0) -> list[tuple[Product, Prompt]]:
    """The calls of one part, the products interleaved in a fixed pseudo-random order.

    Args:
        scale: share of the prompts to send, for a quicker look; evidence shrinks with it.
    """
    calls = [
        (product, prompt)
        for product in PRODUCTS
        for prompt in load([product.dataset])
        if part_of(prompt) == part and STANDS_FOR[product.model] in prompt.answers
    ]
    calls.sort(key=lambda call: blake2b(f"{call[0].name}/{call[1].prompt_id}".encode(), digest_size=8).digest())
    return calls[: max(1, round(len(calls) * scale))]


class Replay:
    """Answers a loopback provider's requests with what the stood-for model really wrote to the same prompt."""

    def __init__(self) -> None:
        self._answers: dict[str, Mapping[str, RecordedAnswer]] = {}
        for prompt in load():
            self._answers[prompt.prompt] = prompt.answers

    def __call__(self, request: ProviderRequest) -> Answer | Fault:
        recorded = self._answers.get(request.user_text, {}).get(STANDS_FOR.get(request.model, ""))
        if recorded is None:
            return Fault.unknown_model(request.model)
        return Answer(
            recorded.response,
            usage=ProviderUsage(input_tokens=recorded.input_tokens, output_tokens=recorded.output_tokens),
            chunk_chars=200,
        )
