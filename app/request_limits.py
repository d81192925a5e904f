"""How large a request may be, and who may send one that has a body at all."""

from __future__ import annotations

import re
from collections.abc import Callable

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# Gradio's routes, whatever path the app is published under.
UPLOAD_ROUTE = re.compile(r"/gradio_api/upload/?$")
_LOGIN_ROUTE = re.compile(r"/login/?$")

UPLOAD_FRAME_BYTES = 2**20
"""What a form may add to the file in it."""

MESSAGE_BYTES = 2**25
"""The largest message of a page. It holds every step since the scan was opened, and once more those
of a session that was opened: 200 of the longest brush strokes, 5,000 points each, take 14 MB, the
masks of a hundred organs to start from 2 MB."""

LOGIN_BYTES = 2**16
"""A name and a password."""

_WITHOUT_BODY = ("GET", "HEAD", "OPTIONS")


class RequestLimits:
    """ASGI middleware that refuses what is too large, or comes from nobody, before it is read.

    Args:
        app: What answers everything else.
        upload_bytes: Bytes that an uploaded file may have.
        is_admitted: Whether a request comes from somebody who may send one.
    """

    def __init__(self, app: ASGIApp, upload_bytes: int, is_admitted: Callable[[Request], bool]):
        self._app = app
        self._upload_bytes = upload_bytes
        self._is_admitted = is_admitted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request, limit = Request(scope), self._limit(scope["path"])
        is_login = _LOGIN_ROUTE.search(scope["path"]) is not None
        if not (is_login or request.method in _WITHOUT_BODY or self._is_admitted(request)):
            refusal = JSONResponse({"detail": "Log in first."}, 401)
            await refusal(scope, receive, send)
            return
        if int(request.headers.get("content-length", 0)) > limit:
            refusal = JSONResponse({"detail": _too_large(limit)}, 413)
            await refusal(scope, receive, send)
            return
        received = 0

        async def receive_within_limit() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > limit:
                # FastAPI answers it; any other exception in here it takes for a broken body.
                raise HTTPException(413, _too_large(limit))
            return message

        await self._app(scope, receive_within_limit, send)

    def _limit(self, path: str) -> int:
        if UPLOAD_ROUTE.search(path):
            return self._upload_bytes + UPLOAD_FRAME_BYTES
        return LOGIN_BYTES if _LOGIN_ROUTE.search(path) else MESSAGE_BYTES


def _too_large(limit: int) -> str:
    return f"A request to this address may have {limit:,} bytes; send less at once."
