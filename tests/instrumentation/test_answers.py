from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from tierwise.instrumentation.answers import answer_kind
from tierwise.testing import Answer, LoopbackProvider

from .installed_sdks import skip_without

if TYPE_CHECKING:
    from .conftest import Caller


@pytest.mark.parametrize("api", ["chat_completions", "messages"])
def test_kinds(api: str, make_caller: Callable[[str, bool], Caller], provider: LoopbackProvider) -> None:
    """Objects and streams of the SDK's are told from wrappers of the HTTP response, and from that itself."""
    caller = make_caller(api, False)
    provider.answer(lambda _: Answer("hi"))
    skip_without(caller.client, "with_raw_response")

    parsed = caller.create()
    stream = caller.create(stream=True)
    raw = caller.resource.with_raw_response.create(**caller.arguments)

    assert [answer_kind(type(answer)) for answer in (parsed, stream, raw)] == ["parsed", "parsed", "wrapper"]
    assert answer_kind(type(raw.http_response)) == "response"
    stream.close()
