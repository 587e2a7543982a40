"""How much one request may hold, and the check before anything is allocated for it.

A few kilobytes on the wire can decompress to tens of megabytes that decode to gigabytes: an empty span is two bytes in
protobuf and hundreds in memory. So what a large request would decode to is bounded first, from its bytes alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tierwise.errors import TierwiseError
from tierwise.ingest.spans import SpanRefused

MAX_BODY_BYTES: Final = 16 * 1024 * 1024
"""Of a request as it comes."""
MAX_DECOMPRESSED_BYTES: Final = 64 * 1024 * 1024
"""Of a request without its content encoding."""
MAX_SPANS: Final = 65_536
"""In one request; OpenTelemetry's Collector sends 8,192 by default, SDKs 512."""
MAX_SPAN_BYTES: Final = 8 * 1024 * 1024
"""Of one span, all its texts together."""
MAX_ATTRIBUTES: Final = 10_000
"""Of one span or resource: what instrumentations that flatten conversations into attributes ask for."""
MAX_DEPTH: Final = 32
"""Of lists and maps within one another in an attribute. Protobuf's own decoder stops a little later."""
_COUNTED_FROM_BYTES: Final = 1024 * 1024
"""Of a smaller request the nodes are not counted: they cannot be enough to hurt."""
_SHORT_LENGTHS: Final = bytes(range(32))


@dataclass(frozen=True, slots=True)
class Bounds:
    """What is decoded at most."""

    decompressed_bytes: int
    nodes: int
    """Messages (protobuf), or lists and objects (JSON), as far as the bytes tell."""


WHOLE: Final = Bounds(MAX_DECOMPRESSED_BYTES, 3_000_000)
"""One request; decoded, the worst takes some 300 MB."""
SMALL: Final = Bounds(4 * 1024 * 1024, 500_000)
"""One request of those that may be decoded beside many others."""


class PayloadTooLarge(TierwiseError):
    """More than one request may bring."""


def require_few_attributes(owner: str, count: int) -> None:
    """Raises SpanRefused when `owner` (such as `span 00ab`) has more attributes than are taken."""
    if count > MAX_ATTRIBUTES:
        raise SpanRefused(f"{owner} has {count:,} attributes, more than {MAX_ATTRIBUTES:,}")


def require_small(owner: str, size: int) -> None:
    """Raises SpanRefused when `owner` has more bytes than are taken."""
    if size > MAX_SPAN_BYTES:
        raise SpanRefused(f"{owner} has more than {MAX_SPAN_BYTES >> 20} MiB")


def check_protobuf(content: bytes, bounds: Bounds) -> None:
    """Refuse a request in protobuf that would decode to too much.

    A message is preceded by its length, so there are no more messages shorter than 32 bytes than bytes below 32, and of
    longer ones there cannot be many. Texts hold few such bytes.

    Raises:
        PayloadTooLarge: it may hold more messages than the bounds allow.
    """
    if len(content) < _COUNTED_FROM_BYTES:
        return
    if len(content) - len(content.translate(None, _SHORT_LENGTHS)) > bounds.nodes:
        raise PayloadTooLarge(f"the request holds more than {bounds.nodes:,} messages")


def check_json(content: bytes, bounds: Bounds) -> None:
    """Refuse a request in JSON that would decode to too much. Braces within texts count too.

    Raises:
        PayloadTooLarge: it may hold more lists and objects than the bounds allow.
    """
    if len(content) >= _COUNTED_FROM_BYTES and content.count(b"{") + content.count(b"[") > bounds.nodes:
        raise PayloadTooLarge(f"the request holds more than {bounds.nodes:,} lists and objects")
