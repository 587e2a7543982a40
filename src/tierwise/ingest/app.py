"""The collector's HTTP: OTLP in, health and metrics, the policy for apps, the store for everyone else."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import anyio
from anyio import to_thread
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from tierwise.errors import MalformedPayload, StoreError
from tierwise.ingest import otlp, store_api
from tierwise.ingest.guard import Guard
from tierwise.ingest.intake import Intake, Unavailable
from tierwise.ingest.limits import MAX_BODY_BYTES, MAX_DECOMPRESSED_BYTES, PayloadTooLarge
from tierwise.ingest.otlp import UnsupportedPayload
from tierwise.ingest.reception import RECEIVE_S, Hold, Reception
from tierwise.ingest.wal import Body
from tierwise.routing.signature import HEADER, sign
from tierwise.store import Store

_READING_THREADS: Final = 8


def create_app(
    store: Store,
    reception: Reception,
    *,
    token: str | None = None,
    policy_key: str | None = None,
    hosts: tuple[str, ...] = (),
) -> Guard:
    """The collector as an ASGI application.

    It sends no CORS header, so no web page of another origin may read an answer.

    Args:
        token: what every request but /healthz must bear; None: whoever reaches the address may.
        policy_key: what the policy is signed with; None: it is not.
        hosts: names besides the loopback ones by which the collector is addressed.
    """
    intake = reception.intake
    reading = anyio.CapacityLimiter(_READING_THREADS)

    async def traces(request: Request) -> Response:
        return await _accept(request, reception, "traces")

    async def logs(request: Request) -> Response:
        return await _accept(request, reception, "logs")

    async def otel_metrics(request: Request) -> Response:
        return await _accept(request, reception, "metrics")

    async def healthz(request: Request) -> Response:
        return JSONResponse({"status": "ok", "pid": os.getpid()})

    async def readyz(request: Request) -> Response:
        trouble = await to_thread.run_sync(partial(_trouble, store, intake), limiter=reading)
        if trouble is not None:
            return JSONResponse({"status": "not ready", "reason": trouble}, 503, {"Retry-After": "1"})
        return JSONResponse({"status": "ready", "store": store.url})

    async def metrics(request: Request) -> Response:
        return PlainTextResponse(intake.metrics.render(), media_type="text/plain; version=0.0.4")

    async def policy(request: Request) -> Response:
        record = await to_thread.run_sync(store.current_policy, limiter=reading)
        if record is None:
            return JSONResponse({"error": "StoreError", "message": "the store holds no policy yet"}, 404)
        headers = {"ETag": f'"{record.version}-{record.content_hash}"', "Cache-Control": "no-cache"}
        if headers["ETag"] in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        if policy_key is not None:
            headers[HEADER] = sign(record.text.encode(), policy_key)
        return Response(record.text, media_type="application/toml", headers=headers)

    async def query(request: Request) -> Response:
        return await _store_call(request, partial(store_api.query, store), reading)

    async def operation(request: Request) -> Response:
        name: str = request.path_params["operation"]
        if name == "flush":
            flushed = await to_thread.run_sync(intake.flush, limiter=reading)
            return JSONResponse({"result": flushed})
        return await _store_call(request, partial(store_api.operate, store, name), reading)

    routes = [
        Route("/v1/traces", traces, methods=["POST"]),
        Route("/v1/logs", logs, methods=["POST"]),
        Route("/v1/metrics", otel_metrics, methods=["POST"]),
        Route("/v1/policy", policy),
        Route("/v1/query", query, methods=["POST"]),
        Route("/v1/store/{operation}", operation, methods=["POST"]),
        Route("/healthz", healthz),
        Route("/readyz", readyz),
        Route("/metrics", metrics),
    ]
    return Guard(Starlette(routes=routes), token=token, hosts=hosts)


def _trouble(store: Store, intake: Intake) -> str | None:
    if intake.trouble is not None:
        return intake.trouble
    try:
        store.sql("SELECT 1")
    except StoreError as error:
        return str(error)
    return None


async def _accept(request: Request, reception: Reception, signal: otlp.OfferedSignal) -> Response:
    kind: otlp.MediaType = otlp.PROTOBUF
    headers: dict[str, str] = {}
    with reception.holding() as hold:
        try:
            kind = otlp.media_type(request.headers.get("content-type", ""))
            encoding = otlp.known_encoding(request.headers.get("content-encoding", ""))
            with anyio.fail_after(RECEIVE_S):
                content = await _read_body(request, MAX_BODY_BYTES, hold)
            refusals: tuple[str, ...] = ()
            # Metrics are taken and dropped: a sender that gives all it has to one address would never be quiet.
            if signal != "metrics":
                refusals = (await reception.accept(Body(signal, kind, encoding, content))).refusals
            status, answer = 200, otlp.success(signal, kind, refusals=refusals)
        except MalformedPayload as error:
            status, answer = 400, otlp.failure(400, str(error), kind)
        except TimeoutError:
            status, answer = 408, otlp.failure(408, f"the body did not come within {RECEIVE_S:.0f} s", kind)
        except PayloadTooLarge as error:
            status, answer = 413, otlp.failure(413, str(error), kind)
        except UnsupportedPayload as error:
            status, answer = 415, otlp.failure(415, str(error), kind)
        except Unavailable as error:
            # More than a second would pass the deadline at which exporters drop the batch; 429 is final to older ones.
            headers["Retry-After"] = "1"
            status, answer = 503, otlp.failure(503, str(error), kind)
        except ClientDisconnect:
            status, answer = 400, b""
        size = hold.size
    reception.intake.metrics.answered("http", signal, str(status), size, retry=status == 503)
    return Response(answer, status, headers, media_type=kind)


async def _store_call(request: Request, call: Callable[[bytes], Response], limiter: anyio.CapacityLimiter) -> Response:
    # A form that a web page submits cannot have this type, so no page can write here through a visitor's browser.
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        return JSONResponse({"error": "StoreError", "message": "application/json is needed"}, 415)
    try:
        content = await _read_body(request, MAX_DECOMPRESSED_BYTES)
    except PayloadTooLarge as error:
        return JSONResponse({"error": "StoreError", "message": str(error)}, 413)
    return await to_thread.run_sync(call, content, limiter=limiter)


async def _read_body(request: Request, limit: int, hold: Hold | None = None) -> bytes:
    length: Any = request.headers.get("content-length", "")
    if length.isdigit() and int(length) > limit:
        raise PayloadTooLarge(f"the body has more than {limit >> 20} MiB")
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > limit:
            raise PayloadTooLarge(f"the body has more than {limit >> 20} MiB")
        if hold is not None:
            hold.add(len(part))
        parts.append(part)
    return b"".join(parts)
