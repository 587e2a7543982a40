from __future__ import annotations

import pytest

from tierwise.imports.providers import provider_and_model


@pytest.mark.parametrize(
    ("said", "model", "found"),
    [
        (None, "gpt-5.4", ("openai", "gpt-5.4")),
        (None, "claude-haiku-4-5", ("anthropic", "claude-haiku-4-5")),
        (None, "house-model", ("unknown", "house-model")),
        ("OPENAI", "gpt-5.4", ("openai", "gpt-5.4")),
        ("azure", "gpt-5.4", ("azure.ai.openai", "gpt-5.4")),
        (None, "bedrock/anthropic.claude-haiku", ("aws.bedrock", "anthropic.claude-haiku")),
        ("vertex_ai", "vertex_ai/gemini-3-pro", ("gcp.vertex_ai", "gemini-3-pro")),
        ("CUSTOM", "gpt-5.4", ("openai", "gpt-5.4")),
        (None, "openrouter/openai/gpt-5.4", ("openrouter", "openai/gpt-5.4")),
        ("openrouter", "openai/gpt-5.4", ("openrouter", "openai/gpt-5.4")),
        ("groq", "groq/llama-4", ("groq", "llama-4")),
    ],
)
def test_who_answered(said: str | None, model: str, found: tuple[str, str]) -> None:
    """The provider is as the log says, else as the model's prefix or name tells, and the prefix is no part of it."""
    assert provider_and_model(said, model) == found
