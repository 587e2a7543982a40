"""Who may talk to the collector: a bearer token, or without one only what names this machine."""

from __future__ import annotations

import hmac
import ipaddress
import json
import re
from collections.abc import Iterable
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from tierwise.errors import SettingsError

_OPEN_PATHS: Final = frozenset({"/healthz"})
_HOST: Final = re.compile(r"(?:\[(?P<address>[0-9a-f:.]+)\]|(?P<name>[^:@/\[\]]+))(?::\d+)?")
_LOOPBACK_NAMES: Final = frozenset({"localhost", "127.0.0.1", "::1"})


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server bound to `host`."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def require_token_off_loopback(host: str, token: str | None) -> None:
    """Refuse to serve the network without a token.

    Raises:
        SettingsError: `host` is reachable from other machines and there is no token.
    """
    if token is None and not is_loopback(host):
        raise SettingsError(
            f"the collector would listen on {host}, where other machines can read every stored call; "
            "set TIERWISE_TOKEN, or listen on 127.0.0.1"
        )


class Guard:
    """ASGI middleware that answers 401 without the token, or 403 to a foreign Host header where there is none.

    The Host header is looked at because a web page can point a name of its own at 127.0.0.1 and have the visitor's
    browser talk to what listens there.
    """

    def __init__(self, app: ASGIApp, *, token: str | None, hosts: Iterable[str] = ()) -> None:
        """Guard `app`.

        Args:
            hosts: names besides the loopback ones that a request without token may be addressed to.
        """
        self._app = app
        self._expected = None if token is None else f"Bearer {token}".encode()
        self._hosts = _LOOPBACK_NAMES | {host.strip("[]").lower() for host in hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request through or answer it."""
        if scope["type"] != "http" or scope["path"] in _OPEN_PATHS:
            await self._app(scope, receive, send)
            return
        headers: dict[bytes, bytes] = dict(scope["headers"])
        if self._expected is not None:
            if not hmac.compare_digest(headers.get(b"authorization", b""), self._expected):
                await _refuse(send, 401, "a bearer token is needed: set TIERWISE_TOKEN to the collector's")
                return
        elif _host_name(headers.get(b"host", b"")) not in self._hosts:
            await _refuse(send, 403, "the Host header names no address of this collector")
            return
        await self._app(scope, receive, send)


def _host_name(header: bytes) -> str:
    """The name in a Host header; empty when it is no `name:port`."""
    match = _HOST.fullmatch(header.decode("latin-1").strip().lower())
    return "" if match is None else match["address"] or match["name"]


async def _refuse(send: Send, status: int, message: str) -> None:
    body = json.dumps({"error": "CollectorUnavailable", "message": message}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
