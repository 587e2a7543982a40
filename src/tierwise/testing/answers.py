"""What a scripted provider says, in words that belong to no provider.

The wire modules render these in each protocol's own shapes and accounting.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from types import MappingProxyType
from typing import Any, Final

CHARACTERS_PER_TOKEN: Final = 4
"""The usual rule of thumb for English, used where an answer gives no usage."""

NULL_DELTA: Final[Mapping[str, Any]] = MappingProxyType({"choices": [{"index": 0, "delta": None}]})
"""A chat chunk whose `delta` is null, as some Azure deployments send."""
EMPTY_CHOICES: Final[Mapping[str, Any]] = MappingProxyType({"choices": []})
"""A chat chunk without choices: Azure's content-filter prelude, keep-alives of gateways."""
NULL_CHOICES: Final[Mapping[str, Any]] = MappingProxyType({"choices": None})
"""A chat chunk whose `choices` is null, as some OpenAI-compatible gateways send."""


@dataclass(frozen=True, slots=True)
class ProviderUsage:
    """Tokens of one call, counted once; every protocol reports them in its own way.

    Raises:
        ValueError: a part is larger than its total, which no protocol could express.
    """

    input_tokens: int
    """TOTAL input: fresh tokens, cache reads and cache writes."""
    output_tokens: int
    """Total output, reasoning included."""
    cache_read: int = 0
    """Part of input_tokens."""
    cache_write_5m: int = 0
    """Part of input_tokens, written to the short cache (Anthropic 5 minutes, OpenAI 30 minutes)."""
    cache_write_1h: int = 0
    """Part of input_tokens, written to the long cache (Anthropic 1 hour, OpenAI 12 hours)."""
    reasoning: int = 0
    """Part of output_tokens."""
    web_searches: int = 0
    """Counted beside the tokens."""
    audio_input: int = 0
    """Part of input_tokens."""
    audio_output: int = 0
    """Part of output_tokens."""
    image_input: int = 0
    """Part of input_tokens."""
    audio_seconds: float = 0.0
    """Length of a recording; a transcription reports it instead of tokens when it is not 0."""

    def __post_init__(self) -> None:
        if self.fresh_input_tokens < 0:
            raise ValueError(
                f"input_tokens is the total: {self.input_tokens} is less than its cached part, "
                f"{self.cache_read} read + {self.cache_write} written"
            )
        if max(self.audio_input, self.image_input) > self.input_tokens or self.audio_output > self.output_tokens:
            raise ValueError("audio and image tokens are parts of input_tokens and output_tokens")
        if self.reasoning > self.output_tokens:
            raise ValueError(f"output_tokens ({self.output_tokens}) includes reasoning ({self.reasoning})")

    @property
    def cache_write(self) -> int:
        """Tokens written to either cache."""
        return self.cache_write_5m + self.cache_write_1h

    @property
    def fresh_input_tokens(self) -> int:
        """Input neither read from nor written to a cache: what Anthropic calls `input_tokens`."""
        return self.input_tokens - self.cache_read - self.cache_write


@dataclass(frozen=True, slots=True)
class ToolCall:
    """The model asks for a tool."""

    name: str
    arguments: Mapping[str, Any] | str = field(default_factory=dict[str, Any])
    """A mapping, or the exact text to send: broken JSON too, as models do write it. An Anthropic message that is not
    streamed can only hold an object; other text becomes a 500 there, which says so."""
    id: str | None = None
    """None: `call_…` or `toolu_…`, numbered by the provider."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer of the model."""

    text: str = ""
    _: KW_ONLY
    tool_calls: Sequence[ToolCall] = ()
    usage: ProviderUsage | None = None
    """None: one token per four characters of prompt and answer."""
    report_usage: bool = True
    """False: say nothing about usage, as several OpenAI-compatible servers do, `include_usage` or not. Anthropic's
    protocol cannot leave it out."""
    finish_reason: str | None = None
    """`stop`, `length`, `tool_calls`, `content_filter`, `refusal` are translated for each protocol; any other value
    goes out as it is. None: `tool_calls` if there are any, `refusal` for a refusal, else `stop`."""
    refusal: bool = False
    """`text` is a refusal: OpenAI moves it to the `refusal` field, Anthropic stops with reason `refusal`."""
    thinking: str = ""
    """Visible reasoning: an Anthropic thinking block, a Responses reasoning summary. Chat completions hide it."""
    service_tier: str | None = None
    """In the provider's words. None: `default` (OpenAI), `standard` (Anthropic)."""
    model: str | None = None
    """The model that says it answered. None: the requested one."""
    latency_s: float = 0.0
    """Before the response's first byte."""
    first_chunk_delay_s: float = 0.0
    """Streams: between the headers and the first event."""
    chunk_delay_s: float = 0.0
    """Streams: between two events."""
    polls: int = 0
    """Background responses and batches: how often one asks before it is done."""
    chunk_chars: int = 24
    """Streams: characters a delta."""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    """Sent beside the protocol's own response headers, and instead of those with the same name."""
    extra_chunks: Sequence[Mapping[str, Any]] = ()
    """Chat streams: odd chunks to send before the closing one. Each is laid over an ordinary chunk's envelope, so
    NULL_DELTA, EMPTY_CHOICES, NULL_CHOICES or any mapping of your own replaces what it names."""

    def __post_init__(self) -> None:
        if self.chunk_chars < 1:
            raise ValueError(f"chunk_chars is {self.chunk_chars}; a delta holds at least one character")


@dataclass(frozen=True, slots=True)
class ProviderRequest:
    """One request as the provider received it."""

    method: str
    path: str
    """With its query: `/v1/messages?beta=true`."""
    headers: Mapping[str, str] = field(repr=False)
    """Names in lower case."""
    body: Mapping[str, Any] = field(repr=False)
    """The decoded JSON object, or the fields of a form; empty for a GET or for a body that is neither."""
    model: str
    """From the body, or a path that names one, as Azure's deployments do; empty when neither does."""
    protocol: str
    """`chat_completions`, `responses`, `completions`, `embeddings`, `messages`, `compactions`, `images`,
    `image_variations`, `speech`, `transcriptions`, `translations`, `videos`, `decisions`; of what is free or done later
    `count_tokens`, `moderations`, `models`, `background`, `files`, `batches` or `message_batches`; or `unknown` for a
    path no provider has."""
    stream: bool
    received_at: int
    """Nanoseconds since the epoch, UTC."""

    @property
    def user_text(self) -> str:
        """Text of the last user message, whichever protocol carried it; empty when there is none."""
        if self.protocol in ("completions", "embeddings"):
            return _text_of(self.body.get("prompt", self.body.get("input")))
        turns = self.body.get("input") if self.protocol == "responses" else self.body.get("messages")
        if isinstance(turns, list):
            for turn in reversed(turns):
                if isinstance(turn, dict) and turn.get("role") == "user":
                    return _text_of(turn.get("content"))
            return ""
        return _text_of(turns)

    @property
    def prompt_text(self) -> str:
        """All text of the prompt: system, instructions and every turn."""
        parts = (self.body.get(key) for key in ("system", "instructions", "messages", "input", "prompt"))
        return "\n".join(text for text in map(_text_of, parts) if text)


def estimated_tokens(text: str) -> int:
    """Tokens in a text by the rule of thumb; at least 1."""
    return max(1, -(-len(text) // CHARACTERS_PER_TOKEN))


def _text_of(content: Any) -> str:
    """The text inside a string, a content part, a message, or a list of any of these."""
    if isinstance(content, str):
        return content
    if isinstance(content, dict):
        return _text_of(content.get("text", content.get("content")))
    if isinstance(content, list):
        return "\n".join(text for text in map(_text_of, content) if text)
    return ""
