"""What is too large, comes from nobody, or calls the server by a strange name is not even read."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient
from starlette.types import Message

from app.own_names import OwnNamesOnly
from app.request_limits import LOGIN_BYTES, MESSAGE_BYTES, UPLOAD_FRAME_BYTES, RequestLimits

UPLOAD_BYTES = 2**26
LIMITS = {
    "/login": LOGIN_BYTES,
    "/gradio_api/queue/join": MESSAGE_BYTES,
    "/gradio_api/upload": UPLOAD_BYTES + UPLOAD_FRAME_BYTES,
}


async def count(request: Request) -> Response:
    return PlainTextResponse(str(len(await request.body())))


def client(*middleware: Middleware) -> TestClient:
    routes = [Route(path, count, methods=["GET", "POST"]) for path in LIMITS]
    app = Starlette(routes=routes, middleware=list(middleware))
    return TestClient(app, base_url="http://127.0.0.1:7860")


def limited(is_admitted: bool = True) -> TestClient:
    limits = Middleware(
        RequestLimits, upload_bytes=UPLOAD_BYTES, is_admitted=lambda request: is_admitted
    )
    return client(limits)


PART = bytes(2**20)


def read_of_endless_body(server: TestClient, path: str, **headers: str) -> tuple[int, int]:
    """Send a body that never ends; how many parts of it were read, and the status."""
    parts, status = 0, 0

    async def receive() -> Message:
        nonlocal parts
        parts += 1
        return {"type": "http.request", "body": PART, "more_body": True}

    async def send(message: Message) -> None:
        nonlocal status
        status = message.get("status", status)

    async def ask() -> None:
        await server.app(scope, receive, send)

    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": "POST", "path": path, "headers": raw, "query_string": b""}
    asyncio.run(ask())
    return parts, status


@pytest.mark.parametrize(("path", "limit"), LIMITS.items())
def test_each_address_has_its_limit(path: str, limit: int) -> None:
    server = limited()
    assert server.post(path, content=bytes(limit)).text == str(limit)
    refused = server.post(path, content=bytes(limit + 1))
    assert refused.status_code == 413
    assert f"{limit:,} bytes" in refused.text
    assert read_of_endless_body(server, path) == (limit // len(PART) + 1, 413)


def test_a_length_that_is_announced_is_believed_before_anything_is_read() -> None:
    for path in LIMITS:
        assert read_of_endless_body(limited(), path, content_length=str(10**12)) == (0, 413)


def test_who_has_not_logged_in_can_only_log_in_and_look() -> None:
    server = limited(is_admitted=False)
    for path in ("/gradio_api/queue/join", "/gradio_api/upload"):
        assert read_of_endless_body(server, path) == (0, 401)
        assert server.get(path).status_code == 200
    assert server.post("/login", content=b"name").text == "4"


OWN = ["127.0.0.1", "127.0.0.1:7860", "localhost:80", "LOCALHOST", "[::1]:7860", "[::1]"]
STRANGE = ["evil.example", "evil.example:7860", "localhost.evil.example", "192.168.0.7", "", "[::1"]


@pytest.mark.parametrize(("host", "status"), [(h, 200) for h in OWN] + [(h, 403) for h in STRANGE])
def test_only_names_of_this_machine_are_answered(host: str, status: int) -> None:
    answer = client(Middleware(OwnNamesOnly)).get("/login", headers={"Host": host})
    assert answer.status_code == status
    assert status == 200 or "--auth" in answer.text


@pytest.mark.parametrize(
    ("root_path", "status"),
    [("/caiseg", 403), ("", 403), ("https://scans.example.org/caiseg", 200)],
)
def test_a_proxy_is_called_by_the_name_that_it_was_given(root_path: str, status: int) -> None:
    server = client(Middleware(OwnNamesOnly, root_path=root_path))
    strange: dict[str, Any] = {"headers": {"Host": "scans.example.org"}}
    assert server.get("/login", **strange).status_code == status
    assert server.get("/login").status_code == 200
