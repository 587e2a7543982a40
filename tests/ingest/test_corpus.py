"""Inputs that a coverage-guided search of the decoder has kept; see `benchmarks/fuzz_decoder.py`."""

from __future__ import annotations

import runpy
from pathlib import Path

decode = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "fuzz_decoder.py"))["decode"]
CORPUS = sorted((Path(__file__).parent / "corpus").iterdir())


def test_corpus_is_refused_or_read() -> None:
    """Every input is decoded to its rows or refused as malformed, too large or unsupported."""
    came = [decode(path.read_bytes()) for path in CORPUS]

    assert len(came) > 100
    assert {"0 records", "1 records", "MalformedPayload"} <= set(came)
