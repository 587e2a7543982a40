"""A small threaded HTTP/1.1 server for tests: keep-alive, chunked streams, scripted disconnects, a quick clean stop.

The standard library's `http.server` parses headers through `email` and logs each request; at several hundred calls a
second that is most of the work.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import BinaryIO, Final

_REASONS: Final = {status.value: status.phrase for status in HTTPStatus}
_LISTEN_BACKLOG: Final = 128


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One request, read to its end."""

    method: str
    target: str
    """Path and query as the client sent them."""
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes


class Reply:
    """Writes one response. One of `send`, `start_stream` … `end_stream`, or `disconnect` finishes it.

    What is written leaves when the response ends, when it pauses, or when the connection closes: as few system calls
    as the scripted pace allows.
    """

    def __init__(self, connection: socket.socket, wait: Callable[[float], bool]) -> None:
        self._connection = connection
        self._wait = wait
        self._pending = bytearray()
        self.keep_alive = True

    def send(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """A whole response."""
        self.send_part(status, headers, body, len(body))

    def send_part(self, status: int, headers: Mapping[str, str], body: bytes, sent_bytes: int) -> None:
        """A response that promises `body` and delivers its first `sent_bytes` bytes."""
        self._pending += _head(status, {**headers, "content-length": str(len(body))}) + body[:sent_bytes]
        self._flush()

    def start_stream(self, status: int, headers: Mapping[str, str]) -> None:
        """The head of a chunked response."""
        self._pending += _head(status, {**headers, "transfer-encoding": "chunked"})

    def write(self, data: bytes) -> None:
        """One chunk; an empty one is skipped, since it would end the response."""
        if data:
            self._pending += b"%x\r\n%b\r\n" % (len(data), data)

    def end_stream(self) -> None:
        """The end of a chunked response."""
        self._pending += b"0\r\n\r\n"
        self._flush()

    def disconnect(self) -> None:
        """Close the connection as things stand."""
        self._flush()
        self.keep_alive = False

    def pause(self, seconds: float) -> None:
        """Send what is written so far and wait; a stopping server cuts the wait short and the connection with it."""
        if seconds <= 0:
            return
        self._flush()
        if self._wait(seconds):
            raise ConnectionAbortedError("the server is stopping")

    def _flush(self) -> None:
        if self._pending:
            self._connection.sendall(self._pending)
            self._pending = bytearray()


class LoopbackServer:
    """Serves `handle` on 127.0.0.1, one thread a connection.

    Args:
        handle: answers one request through the reply it is given; runs on the connection's thread.
        port: 0 takes a free one.
    """

    def __init__(self, handle: Callable[[HttpRequest, Reply], None], port: int = 0) -> None:
        self._handle = handle
        self._wanted_port = port
        self._lock = threading.Lock()
        self._connections: dict[socket.socket, threading.Thread] = {}
        self._stopping = threading.Event()
        self._listener: socket.socket | None = None
        self._acceptor: threading.Thread | None = None

    @property
    def port(self) -> int:
        """The port in use.

        Raises:
            RuntimeError: the server is not running.
        """
        if self._listener is None:
            raise RuntimeError("the loopback provider is not running: use it as a context manager, or call start()")
        return self._listener.getsockname()[1]

    def start(self) -> None:
        """Listen and serve; does nothing when already running.

        Raises:
            OSError: the wanted port is taken.
        """
        if self._listener is not None:
            return
        self._stopping.clear()
        self._listener = socket.create_server(("127.0.0.1", self._wanted_port), backlog=_LISTEN_BACKLOG)
        acceptor = threading.Thread(target=self._accept, args=(self._listener,), name="loopback-accept", daemon=True)
        acceptor.start()
        self._acceptor = acceptor

    def stop(self, timeout_s: float = 1.0) -> None:
        """Close every connection and wait for the threads, at most `timeout_s`; does nothing when not running."""
        listener, acceptor = self._listener, self._acceptor
        if listener is None or acceptor is None:
            return
        deadline = time.monotonic() + timeout_s
        self._stopping.set()
        # A connection of our own wakes accept() on every platform; shutdown() of a listening socket does not.
        with contextlib.suppress(OSError), socket.create_connection(listener.getsockname(), timeout=timeout_s):
            pass
        acceptor.join(max(0.0, deadline - time.monotonic()))
        listener.close()
        self._listener = self._acceptor = None
        with self._lock:
            connections = dict(self._connections)
        for connection in connections:
            # The client may have closed it already.
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in connections.values():
            thread.join(max(0.0, deadline - time.monotonic()))

    def _accept(self, listener: socket.socket) -> None:
        while True:
            connection, _ = listener.accept()
            if self._stopping.is_set():
                connection.close()
                return
            # Small writes must leave at once: Nagle and delayed ACKs would add 40 ms to a streamed event.
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            thread = threading.Thread(target=self._serve, args=(connection,), name="loopback-connection", daemon=True)
            thread.start()
            with self._lock:
                # A thread does not take itself out: `stop` waits for those, too, that are about to end.
                self._connections = {
                    known: serving for known, serving in self._connections.items() if serving.is_alive()
                }
                self._connections[connection] = thread

    def _serve(self, connection: socket.socket) -> None:
        reader = connection.makefile("rb")
        try:
            # A client that hangs up, in the middle of a stream too, is ordinary.
            with contextlib.suppress(ConnectionError):
                self._serve_requests(connection, reader)
        finally:
            reader.close()
            connection.close()

    def _serve_requests(self, connection: socket.socket, reader: BinaryIO) -> None:
        while not self._stopping.is_set():
            request = _read_request(reader)
            if request is None:
                return
            reply = Reply(connection, self._stopping.wait)
            self._handle(request, reply)
            if not reply.keep_alive or request.headers.get("connection", "").lower() == "close":
                return


def _read_request(reader: BinaryIO) -> HttpRequest | None:
    """The next request, or None when the client closed the connection or does not speak HTTP."""
    start = reader.readline().decode("latin-1").split()
    if len(start) != 3:
        return None
    headers: dict[str, str] = {}
    while (line := reader.readline()) not in (b"\r\n", b"\n", b""):
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.lower()] = value.strip()
    if headers.get("transfer-encoding", "").lower() == "chunked":
        body = _read_chunks(reader)
    else:
        body = reader.read(int(headers.get("content-length") or 0))
    return HttpRequest(method=start[0], target=start[1], headers=headers, body=body)


def _read_chunks(reader: BinaryIO) -> bytes:
    chunks: list[bytes] = []
    while size := int(reader.readline().split(b";")[0].strip() or b"0", 16):
        chunks.append(reader.read(size))
        reader.readline()
    reader.readline()
    return b"".join(chunks)


def _head(status: int, headers: Mapping[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status} {_REASONS.get(status, 'Unknown')}"]
    lines.extend(f"{name}: {value}" for name, value in headers.items())
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
