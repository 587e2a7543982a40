from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from tierwise.testing.http_server import HttpRequest, LoopbackServer, Reply

waiting = threading.Event()


def answer_with_its_input(request: HttpRequest, reply: Reply) -> None:
    if request.target == "/wait":
        waiting.set()
        reply.pause(60.0)
    elif request.target == "/stream":
        reply.start_stream(200, {"content-type": "text/plain"})
        for piece in (b"one ", b"", b"two"):
            reply.write(piece)
        reply.end_stream()
    elif request.target == "/part":
        reply.send_part(200, {}, b"whole body", 5)
        reply.disconnect()
    else:
        reply.send(201, {"x-method": request.method}, request.body or b"empty")


@pytest.fixture
def server(loopback_threads: object) -> Iterator[LoopbackServer]:
    running = LoopbackServer(answer_with_its_input)
    running.start()
    yield running
    running.stop()


@pytest.fixture
def connection(server: LoopbackServer) -> Iterator[http.client.HTTPConnection]:
    client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
    yield client
    client.close()


def test_one_connection_serves_request_after_request(
    server: LoopbackServer,
    connection: http.client.HTTPConnection,
    loopback_threads: Callable[[], list[threading.Thread]],
) -> None:
    """Keep-alive: many requests, with and without a body, on one socket and one thread."""
    answers: list[tuple[int, str | None, bytes]] = []
    for number in range(3):
        connection.request("POST", "/", f"body {number}".encode())
        response = connection.getresponse()
        answers.append((response.status, response.getheader("x-method"), response.read()))
    connection.request("GET", "/")

    assert answers == [(201, "POST", b"body 0"), (201, "POST", b"body 1"), (201, "POST", b"body 2")]
    assert connection.getresponse().read() == b"empty"
    assert len(loopback_threads()) == 2


def test_a_chunked_request_is_read_whole(connection: http.client.HTTPConnection) -> None:
    """A body sent without a length arrives complete, and the connection stays in step."""
    for _ in range(2):
        connection.request("POST", "/", iter([b"first,", b"second"]), encode_chunked=True)

        assert connection.getresponse().read() == b"first,second"


def test_a_stream_is_chunked_and_leaves_the_connection_open(connection: http.client.HTTPConnection) -> None:
    """An empty write does not end the response early, and the next request is answered."""
    connection.request("GET", "/stream")
    response = connection.getresponse()

    assert response.getheader("transfer-encoding") == "chunked"
    assert response.read() == b"one two"
    connection.request("GET", "/")
    assert connection.getresponse().read() == b"empty"


def test_a_part_of_a_body_is_seen_as_incomplete(connection: http.client.HTTPConnection) -> None:
    """The client is promised ten bytes and gets five and a closed connection."""
    connection.request("GET", "/part")

    with pytest.raises(http.client.IncompleteRead) as caught:
        connection.getresponse().read()
    assert caught.value.partial == b"whole"


def test_connection_close_is_honoured(connection: http.client.HTTPConnection) -> None:
    """After a request that says so, the server closes."""
    connection.request("GET", "/", headers={"Connection": "close"})
    connection.getresponse().read()

    assert connection.sock is None or connection.sock.recv(1) == b""


def test_bytes_that_are_no_http_close_the_connection(server: LoopbackServer) -> None:
    """A client that does not speak HTTP is hung up on, and the server goes on."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as stranger:
        stranger.sendall(b"hello\r\n")

        assert stranger.recv(100) == b""


def test_a_client_that_hangs_up_is_ordinary(server: LoopbackServer, connection: http.client.HTTPConnection) -> None:
    """A client gone before its answer raises nothing, and others are served."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as impatient:
        impatient.sendall(b"POST / HTTP/1.1\r\ncontent-length: 100\r\n\r\nhalf")

    connection.request("GET", "/")
    assert connection.getresponse().status == 201


def test_stop_is_quick_and_leaves_no_thread(
    connection: http.client.HTTPConnection,
    server: LoopbackServer,
    loopback_threads: Callable[[], list[threading.Thread]],
) -> None:
    """Idle and waiting connections end within a second, threads and all; stopping twice is fine."""
    idle = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
    idle.request("GET", "/")
    idle.getresponse().read()
    waiting.clear()
    connection.request("GET", "/wait")
    assert waiting.wait(5.0)

    began = time.monotonic()
    server.stop()
    server.stop()
    took_s = time.monotonic() - began

    assert took_s < 1.0
    assert loopback_threads() == []
    assert idle.sock.recv(1) == b""
    idle.close()
    with pytest.raises(http.client.RemoteDisconnected):
        connection.getresponse()


def test_a_server_can_start_again(server: LoopbackServer) -> None:
    """After a stop the same server listens anew; a second start changes nothing."""
    server.stop()
    with pytest.raises(RuntimeError, match="not running"):
        _ = server.port

    server.start()
    port = server.port
    server.start()

    assert server.port == port
    with socket.create_connection(("127.0.0.1", port), timeout=5):
        pass


def test_a_taken_port_is_refused(server: LoopbackServer) -> None:
    """Asking for a port in use raises the system's own error."""
    second = LoopbackServer(answer_with_its_input, port=server.port)

    with pytest.raises(OSError, match=r"[Aa]ddress already in use"):
        second.start()
