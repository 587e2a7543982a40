"""Who answered: the names that gateways and tracing tools give to providers, as `gen_ai.provider.name`."""

from __future__ import annotations

from typing import Final

UNKNOWN: Final = "unknown"

_NAMES: Final = {
    "amazon": "aws.bedrock",
    "aws": "aws.bedrock",
    "azure": "azure.ai.openai",
    "azure_ai": "azure.ai.inference",
    "azure_openai": "azure.ai.openai",
    "azure_text": "azure.ai.openai",
    "bedrock": "aws.bedrock",
    "bedrock_converse": "aws.bedrock",
    "cohere_chat": "cohere",
    "fireworks_ai": "fireworks",
    "gemini": "gcp.gemini",
    "google": "gcp.gemini",
    "google_ai_studio": "gcp.gemini",
    "googleai": "gcp.gemini",
    "mistral": "mistral_ai",
    "mistralai": "mistral_ai",
    "moonshot": "moonshot_ai",
    "text-completion-openai": "openai",
    "together_ai": "together",
    "vertex_ai": "gcp.vertex_ai",
    "vertexai": "gcp.vertex_ai",
    "xai": "x_ai",
}
_CLOUDS: Final = frozenset({"openai", "anthropic", "groq", "openrouter", "deepseek", "cohere", "perplexity", "ollama"})
"""Names that are written before a model's, as in `anthropic/claude-haiku-4-5`, beside those above."""

_MAKERS: Final = (
    (("gpt-", "chatgpt-", "o1", "o3", "o4", "text-embedding-", "davinci", "babbage", "codex-"), "openai"),
    (("claude",), "anthropic"),
    (("gemini",), "gcp.gemini"),
    (("mistral", "codestral", "ministral", "magistral", "pixtral"), "mistral_ai"),
    (("grok",), "x_ai"),
    (("deepseek",), "deepseek"),
    (("command",), "cohere"),
)
"""Beginnings of models' names, and who sells them under these names."""


def provider_and_model(said: str | None, model: str) -> tuple[str, str]:
    """The provider, as a log names it or as the model's name tells, and the model without the provider before it.

    `said` wins over a provider in the model's name, and that over a guess; `unknown` when nothing tells.
    """
    prefix, slash, rest = model.partition("/")
    known_prefix = slash != "" and (prefix.lower() in _NAMES or prefix.lower() in _CLOUDS)
    name = (said or "").strip().lower()
    if known_prefix and (name != "openrouter" or prefix.lower() == name):
        # OpenRouter's own names of models have the maker in front.
        model = rest
    if name and name not in ("custom", UNKNOWN):
        return _NAMES.get(name, name), model
    if known_prefix:
        return _NAMES.get(prefix.lower(), prefix.lower()), model
    lowered = model.lower()
    return next((maker for beginnings, maker in _MAKERS if lowered.startswith(beginnings)), UNKNOWN), model
