"""Who has sent which upload."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.file_owners import FileOwners
from app.request_limits import UPLOAD_ROUTE


class UploadSenders:
    """ASGI middleware that remembers who has sent a file, before they are told where it lies.

    Args:
        app: What stores the files.
        owners: Where it is remembered.
        user_of: Who makes a request; an empty name where there are no accounts.
    """

    def __init__(self, app: ASGIApp, owners: FileOwners, user_of: Callable[[Request], str]):
        self._app = app
        self._owners = owners
        self._user_of = user_of

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or not UPLOAD_ROUTE.search(scope["path"]):
            await self._app(scope, receive, send)
            return
        status, answer = 0, b""

        async def send_and_remember(message: Message) -> None:
            nonlocal status, answer
            if message["type"] == "http.response.start":
                status = message["status"]
            elif message["type"] == "http.response.body":
                answer += message.get("body", b"")
                if status == 200 and not message.get("more_body", False):
                    self._remember(answer, self._user_of(Request(scope)))
            await send(message)

        await self._app(scope, receive, send_and_remember)

    def _remember(self, answer: bytes, user: str) -> None:
        """Take the paths from Gradio's answer, a list of them in JSON."""
        for path in json.loads(answer):
            self._owners.received(Path(path), user)
