"""Uploads that the disk has no room for are not even begun."""

from __future__ import annotations

from collections.abc import Callable

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from app.request_limits import UPLOAD_ROUTE

NO_ROOM = (
    "The server has no room on its disk for this file at the moment; try again in ten minutes, or "
    "ask whoever runs it for a larger --disk-gb."
)


class UploadRoom:
    """ASGI middleware that refuses uploads for which the disk has no room.

    Uploads on their way count with all of their bytes, so that several at once do not share the
    same room.

    Args:
        app: What stores the files.
        has_room: Whether the disk has room for so many bytes; may take its time.
        upload_bytes: What a request is taken to have that does not say how many bytes come.
    """

    def __init__(self, app: ASGIApp, has_room: Callable[[int], bool], upload_bytes: int):
        self._app = app
        self._has_room = has_room
        self._upload_bytes = upload_bytes
        self._coming = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or not UPLOAD_ROUTE.search(scope["path"]):
            await self._app(scope, receive, send)
            return
        length = int(Request(scope).headers.get("content-length", self._upload_bytes))
        self._coming += length
        try:
            if await run_in_threadpool(self._has_room, self._coming):
                await self._app(scope, receive, send)
            else:
                await JSONResponse({"detail": NO_ROOM}, 507)(scope, receive, send)
        finally:
            self._coming -= length
