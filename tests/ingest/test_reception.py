from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from tierwise.errors import MalformedPayload
from tierwise.ingest.intake import Intake, Unavailable
from tierwise.ingest.otlp import PROTOBUF
from tierwise.ingest.reception import Reception
from tierwise.ingest.wal import Body


def test_bytes_are_held_until_the_answer(intake: Intake) -> None:
    """What requests hold together is bounded; when one is answered there is room again."""
    reception = Reception(intake, max_held_bytes=100)

    with reception.holding() as first:
        first.add(60)
        with pytest.raises(Unavailable, match="too many"), reception.holding() as second:
            second.add(41)
        held = intake.metrics.render()
    with reception.holding() as third:
        third.add(100)

    assert "\ntierwise_held_bytes 60\n" in held
    assert "\ntierwise_held_bytes 0\n" in intake.metrics.render()


def test_request_goes_to_the_intake(intake: Intake, protobuf_request: Callable[..., Any]) -> None:
    """Accepting waits for the intake's receipt without holding up the event loop."""
    body = Body("traces", PROTOBUF, "", protobuf_request(1).SerializeToString())

    receipt = anyio.run(Reception(intake).accept, body)

    assert receipt.refusals == ()
    assert intake.metrics.value("tierwise_spans_received_total") == 1


def test_refusal_keeps_nothing_alive(intake: Intake) -> None:
    """An error comes without its traceback, which would hold what was decoded of a request long after its answer."""
    body = Body("traces", PROTOBUF, "gzip", b"nonsense")

    with pytest.raises(MalformedPayload) as caught:
        anyio.run(Reception(intake).accept, body)

    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    assert "intake.py" not in [Path(entry.path).name for entry in caught.traceback]
