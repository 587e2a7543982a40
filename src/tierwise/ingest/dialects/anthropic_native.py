"""The spans that the Anthropic SDK writes by itself from version 2 on (`anthropic._tracing`, read at 2.12.0)."""

from __future__ import annotations

from tierwise import semconv as sc
from tierwise.attributes import from_attributes
from tierwise.call import Call
from tierwise.ingest.spans import Span

_SCOPE_NAME = "com.anthropic.sdk.python"
_STOP_REASON = "anthropic.message.stop_reason"


def claims(span: Span) -> bool:
    """Whether the Anthropic SDK wrote the span."""
    return span.scope_name == _SCOPE_NAME


def read(span: Span) -> Call | None:
    """The call; None for what is not billed by tokens: token counts, batches, files, sessions."""
    attributes = span.attributes
    if sc.OPERATION_NAME not in attributes or sc.REQUEST_MODEL not in attributes:
        return None
    renamed = {sc.OPENAI_API_TYPE: "messages", **attributes}
    stop_reason = renamed.pop(_STOP_REASON, None)
    if isinstance(stop_reason, str):
        renamed[sc.RESPONSE_FINISH_REASONS] = [stop_reason]
    return from_attributes(renamed)
