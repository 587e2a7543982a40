from __future__ import annotations

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from tierwise.errors import SettingsError
from tierwise.ingest.guard import Guard, is_loopback, require_token_off_loopback


def client(*, token: str | None = None, hosts: tuple[str, ...] = ()) -> TestClient:
    async def answer(request: Request) -> PlainTextResponse:
        return PlainTextResponse("secret")

    app = Starlette(routes=[Route("/v1/policy", answer), Route("/healthz", answer)])
    return TestClient(Guard(app, token=token, hosts=hosts), base_url="http://127.0.0.1:4318")


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer wrong", "Bearer s3cre", "bearer s3cret", "Basic s3cret"]
)
def test_without_the_token_nothing_is_told(header: str | None) -> None:
    """Anything but the token is answered with 401."""
    headers = {} if header is None else {"Authorization": header}

    response = client(token="s3cret").get("/v1/policy", headers=headers)

    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == "Bearer"
    assert "secret" not in response.text


def test_token_opens_whatever_the_host() -> None:
    """With the token, the name by which the collector is addressed does not matter."""
    headers = {"Authorization": "Bearer s3cret", "Host": "collector.example.com"}

    assert client(token="s3cret").get("/v1/policy", headers=headers).text == "secret"


def test_health_needs_no_token() -> None:
    """/healthz answers everybody, from anywhere."""
    assert client(token="s3cret").get("/healthz", headers={"Host": "probe"}).status_code == 200


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:4318", 200),
        ("localhost", 200),
        ("LOCALHOST:9", 200),
        ("[::1]:4318", 200),
        ("10.0.0.5:4318", 200),
        ("evil.example.com", 403),
        ("evil.example.com:4318", 403),
        ("127.0.0.1.evil.example.com", 403),
        ("localhost:4318@evil.example.com", 403),
        ("", 403),
    ],
)
def test_foreign_names_are_refused_without_a_token(host: str, status: int) -> None:
    """Without a token only loopback names and the bound address are answered: no rebound DNS name is."""
    assert client(hosts=("10.0.0.5",)).get("/v1/policy", headers={"Host": host}).status_code == status


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("localhost", True),
        ("::1", True),
        ("[::1]", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.1.2.3", False),
        ("", False),
        ("collector", False),
    ],
)
def test_network_needs_a_token(host: str, loopback: bool) -> None:
    """Without a token only a loopback address may be served."""
    assert is_loopback(host) is loopback
    require_token_off_loopback(host, "s3cret")
    if loopback:
        require_token_off_loopback(host, None)
    else:
        with pytest.raises(SettingsError, match="TIERWISE_TOKEN"):
            require_token_off_loopback(host, None)
