"""Recorded provider traffic: make the test's compact files from VCR cassettes, or replay them and print the figures.

    python benchmarks/cassettes.py --convert DIR     # DIR/<source>/*.yaml → tests/instrumentation/cassettes/*.jsonl.gz
    python benchmarks/cassettes.py --replay          # through the real SDKs, over a loopback socket; needs pytest

Of each exchange only what a replay needs is kept: the request's method, address and body, and the response's status,
type, date and body. All other headers go, and with them every key, organization, project, cookie and request id. The
same cassettes give the same bytes.
"""

from __future__ import annotations

import argparse
import base64
import gzip
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

ROOT = Path(__file__).parents[1]
OUTPUT = ROOT / "tests" / "instrumentation" / "cassettes"
REPLAY_TEST = ROOT / "tests" / "instrumentation" / "test_cassettes.py"

# --- converting -------------------------------------------------------------------------------------------------------


def exchanges(cassette: Path) -> Iterator[dict[str, Any]]:
    """The exchanges of one VCR cassette, in the order they were made."""
    try:
        import yaml
    except ImportError as error:
        raise SystemExit("reading cassettes needs PyYAML: pip install pyyaml") from error
    document = cassette.read_text(encoding="utf-8")
    # libyaml's loader is ten times as fast; wheels have it.
    first_line = document.partition("\n")[0]
    loaded = yaml.load(document, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    for number, interaction in enumerate(loaded["interactions"]):
        request, response = interaction["request"], interaction["response"]
        url = urlsplit(request["uri"])
        asked, answered = headers(request), headers(response)
        yield {
            "cassette": cassette.stem,
            "number": number,
            # Some were written instead of recorded, and say so in a comment at their top.
            "generated": first_line.startswith("#") and "generated" in first_line,
            "recorded_at": recorded_at(answered),
            "method": request["method"],
            "host": url.netloc,
            "path": url.path,
            "query": url.query,
            "body": request_body(request.get("body"), asked),
            "status": response["status"]["code"],
            "content_type": answered["content-type"],
            "answer": answer_body(response["body"]["string"]),
        }


def headers(message: Mapping[str, Any]) -> dict[str, str]:
    """First value of each header, by its name in lower case."""
    return {name.lower(): values[0] for name, values in (message.get("headers") or {}).items() if values}


def recorded_at(answered: Mapping[str, str]) -> str | None:
    """When the provider answered, ISO 8601 UTC; None when the cassette does not say."""
    date = answered.get("date")
    return parsedate_to_datetime(date).isoformat() if date else None


def request_body(body: str | bytes | None, asked: Mapping[str, str]) -> Any:
    """The JSON that was sent, `{"multipart": <type>}` for a form with files, None for no body."""
    if not body:
        return None
    kind = asked.get("content-type", "application/json")
    return {"multipart": kind} if kind.startswith("multipart/") else json.loads(body)


def answer_body(body: str | bytes) -> str | dict[str, str]:
    """The body as the client saw it, decompressed: text, or `{"base64": …}` for bytes that are no text."""
    if isinstance(body, str):
        return body
    if body.startswith(b"\x1f\x8b"):
        body = gzip.decompress(body)
    try:
        return body.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(body).decode()}


def convert(source: Path) -> None:
    """Write one file a folder of cassettes, and print what each holds."""
    folders = sorted(folder for folder in source.iterdir() if any(folder.glob("*.yaml")))
    if not folders:
        raise SystemExit(f"{source} has no folder with *.yaml in it")
    for folder in folders:
        cassettes = sorted(folder.glob("*.yaml"))
        found = [exchange for cassette in cassettes for exchange in exchanges(cassette)]
        lines = "".join(json.dumps(exchange, ensure_ascii=False, separators=(",", ":")) + "\n" for exchange in found)
        output = OUTPUT / f"{folder.name}.jsonl.gz"
        # No time stamp, so that the same cassettes give the same bytes.
        output.write_bytes(gzip.compress(lines.encode(), mtime=0))
        print(
            f"{output.name:32} {len(cassettes):4} cassettes {len(found):4} exchanges {output.stat().st_size:8,} bytes"
        )


# --- replaying --------------------------------------------------------------------------------------------------------


class Results:
    """A pytest plugin that keeps what the replay test found out about each exchange."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self.failed: list[str] = []

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.failed:
            self.failed.append(report.nodeid)
        if report.when == "call":
            self.rows.extend(row for name, row in report.user_properties if name == "replay")


def replay() -> int:
    """Replay every exchange and print the figures; returns the exit code."""
    try:
        import pytest
    except ImportError as error:
        raise SystemExit("replaying needs pytest: make install") from error
    results = Results()
    code = pytest.main([str(REPLAY_TEST), "-q", "--no-header", "-p", "no:cacheprovider"], plugins=[results])
    print()
    for line in table(results.rows):
        print(line)
    notes: defaultdict[str, list[str]] = defaultdict(list)
    for row in results.rows:
        if row["note"]:
            notes[row["note"]].append(f"{row['source']}/{row['cassette']}#{row['number']}")
    for note, noted in notes.items():
        print(f"\n{len(noted)} × {note}")
        for exchange in noted:
            print(f"    {exchange}")
    for failure in results.failed:
        print(f"failed: {failure}")
    return int(code)


COLUMNS = ("exchanges", "generated", "billable", "spans", "usage reported", "usage equal", "priced", "cost equal")


def table(rows: list[dict[str, Any]]) -> Iterator[str]:
    """One line a source, and the sum."""
    names = ("cassettes", *COLUMNS)
    yield f"{'source':21}" + "".join(f"{name:>{len(name) + 2}}" for name in names)
    for source in [*sorted({row["source"] for row in rows}), "all"]:
        own = [row for row in rows if source in (row["source"], "all")]
        counts = {column: sum(row[column] for row in own) for column in COLUMNS}
        counts["cassettes"] = len({(row["source"], row["cassette"]) for row in own})
        yield f"{source:21}" + "".join(f"{counts[name]:{len(name) + 2}}" for name in names)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--convert", type=Path, metavar="DIR", help="a folder of folders of VCR cassettes")
    what.add_argument("--replay", action="store_true", help="replay the converted exchanges and print the figures")
    options = parser.parse_args()
    if options.replay:
        return replay()
    convert(options.convert)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
