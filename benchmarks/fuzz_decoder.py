"""A coverage-guided search for bytes that the collector's decoder does not survive; what it finds interesting is kept.

    pip install atheris
    python benchmarks/fuzz_decoder.py --seconds 600
    python benchmarks/fuzz_decoder.py --replay

The first byte of an input says what the rest claims to be (signal, media type, encoding); the rest is the body. It is
decoded, and its rows are made, as the collector does. Refusing it is right, in one of the three ways that become a 4xx;
any other exception, more than five seconds or more than 1 GB end the run with the input in a file of its own.
The corpus is in tests/ingest/corpus, from where the tests replay it.
"""

from __future__ import annotations

import argparse
import gzip
import json
import logging
import shutil
import subprocess
import sys
import tempfile
import time
import zlib
from pathlib import Path
from typing import Any

CORPUS = Path(__file__).parents[1] / "tests" / "ingest" / "corpus"
MAX_BYTES = 4096
MAX_SECONDS_OF_ONE = 5
MAX_MB = 1024


def seeds() -> list[bytes]:
    """Requests of every kind, well formed, for the search to start from."""
    from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    usage = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.usage.input_tokens": 12,
        "gen_ai.usage.cache_read.input_tokens": 4,
        "tierwise.task.confidence": 0.5,
        "gen_ai.response.finish_reasons": ["stop"],
    }
    times = {"startTimeUnixNano": "1790000000000000000", "endTimeUnixNano": "1790000001000000000"}
    span = {
        "traceId": "1" * 32,
        "spanId": "2" * 16,
        "name": "chat gpt-4o",
        **times,
        "attributes": json_attributes(usage),
    }
    event = {
        "eventName": "gen_ai.evaluation.result",
        "timeUnixNano": "1790000000000000000",
        "traceId": "1" * 32,
        "spanId": "2" * 16,
        "attributes": json_attributes({"gen_ai.evaluation.name": "exact", "gen_ai.evaluation.score.value": 1.0}),
    }
    traces = {"resourceSpans": [{"resource": {}, "scopeSpans": [{"scope": {"name": "tierwise"}, "spans": [span]}]}]}
    logs = {"resourceLogs": [{"scopeLogs": [{"logRecords": [event]}]}]}
    protobuf_traces, protobuf_logs = ExportTraceServiceRequest(), ExportLogsServiceRequest()
    for request, document in ((protobuf_traces, traces), (protobuf_logs, logs)):
        fill(request, document)
    bodies = (
        protobuf_traces.SerializeToString(),
        json.dumps(traces).encode(),
        protobuf_logs.SerializeToString(),
        json.dumps(logs).encode(),
    )
    compress = (lambda body: body, lambda body: gzip.compress(body, mtime=0), zlib.compress)
    return [
        bytes([kind + 4 * encoding]) + how(body)
        for kind, body in enumerate(bodies)
        for encoding, how in enumerate(compress)
    ]


def json_attributes(values: dict[str, Any]) -> list[dict[str, Any]]:
    def wrapped(value: Any) -> dict[str, Any]:
        if isinstance(value, list):
            return {"arrayValue": {"values": [wrapped(item) for item in value]}}
        return {{str: "stringValue", int: "intValue", float: "doubleValue"}[type(value)]: value}

    return [{"key": key, "value": wrapped(value)} for key, value in values.items()]


def fill(request: Any, document: dict[str, Any]) -> None:
    """A protobuf request from its JSON; OTLP writes ids in hex there, where protobuf's JSON has base64."""
    import base64

    from google.protobuf.json_format import ParseDict

    def in_base64(value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            return {name: in_base64(item, name) for name, item in value.items()}
        if isinstance(value, list):
            return [in_base64(item) for item in value]
        return base64.b64encode(bytes.fromhex(value)).decode() if key in ("traceId", "spanId") else value

    ParseDict(in_base64(document), request)


def decode(data: bytes) -> str:
    """Decode an input as the collector would; what came of it."""
    from tierwise.errors import MalformedPayload
    from tierwise.ingest import otlp
    from tierwise.ingest.arrivals import read_arrivals
    from tierwise.ingest.limits import PayloadTooLarge
    from tierwise.store import rows

    claim = data[0] if data else 0
    signal = "logs" if claim & 2 else "traces"
    kind = otlp.JSON if claim & 1 else otlp.PROTOBUF
    encoding = ("", "gzip", "deflate", "zstd")[claim >> 2 & 3]
    try:
        payload = otlp.read(signal, data[1:], kind=kind, encoding=encoding)
    except (MalformedPayload, PayloadTooLarge, otlp.UnsupportedPayload) as refusal:
        return type(refusal).__name__
    arrivals = read_arrivals(payload)
    rows.call_table(arrivals.calls)
    rows.span_table(arrivals.spans)
    rows.evaluation_table(arrivals.evaluations)
    return f"{len(arrivals)} records"


def replay() -> None:
    counts: dict[str, int] = {}
    slowest = 0.0
    for path in sorted(CORPUS.iterdir()):
        began = time.perf_counter()
        came = decode(path.read_bytes())
        slowest = max(slowest, time.perf_counter() - began)
        counts[came] = counts.get(came, 0) + 1
    print(f"{sum(counts.values())} inputs, slowest {slowest * 1000:.1f} ms")
    for came, count in sorted(counts.items(), key=lambda item: -item[1]):
        print(f"  {count:5}  {came}")


def search(arguments: list[str]) -> None:
    """Hand the decoder to libFuzzer, which ends the process when it is done."""
    import atheris

    with atheris.instrument_imports(include=["tierwise.ingest", "tierwise.attributes", "tierwise.call"]):
        import tierwise.ingest.arrivals
        import tierwise.ingest.otlp  # noqa: F401

    def one(data: bytes) -> None:
        decode(data)

    limits = [f"-max_len={MAX_BYTES}", f"-timeout={MAX_SECONDS_OF_ONE}", f"-rss_limit_mb={MAX_MB}"]
    atheris.Setup([sys.argv[0], *arguments, *limits], one)
    atheris.Fuzz()


def fuzz(seconds: int) -> None:
    """Search for so long, from the corpus and the seeds; what reached something new joins the corpus.

    Raises:
        SystemExit: an input was not survived; it lies in the current folder.
    """
    CORPUS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        found = Path(folder) / "found"
        shutil.copytree(CORPUS, found)
        for number, seed in enumerate(seeds()):
            (found / f"seed-{number}").write_bytes(seed)
        options = [f"-max_total_time={seconds}", "-use_value_profile=1", "-print_final_stats=1"]
        if subprocess.run([sys.executable, __file__, "--libfuzzer", str(found), *options], check=False).returncode:
            raise SystemExit(1)
        shutil.rmtree(CORPUS)
        shutil.copytree(found, CORPUS)
    replay()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=600, help="how long to search (default: 600)")
    parser.add_argument("--replay", action="store_true", help="only decode the corpus, and say what came of it")
    parser.add_argument("--libfuzzer", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    given = parser.parse_args()
    logging.disable()
    if given.libfuzzer is not None:
        search(given.libfuzzer)
    elif given.replay:
        replay()
    else:
        fuzz(given.seconds)


if __name__ == "__main__":
    main()
