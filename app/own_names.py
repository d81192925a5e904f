"""A server without accounts answers to names of this machine only."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from app.settings import is_loopback


class OwnNamesOnly:
    """ASGI middleware that refuses requests to a server of another name.

    A hostile site can let its own name point to this machine (DNS rebinding), and a browser then
    takes the server for a part of that site: its scripts could read every scan. The ``Host`` header
    tells, because it holds the name that the browser was given.

    Args:
        app: What answers the others.
        root_path: Path or URL under which a reverse proxy publishes the app; the host of a URL may
            be called by its name.
    """

    def __init__(self, app: ASGIApp, root_path: str = ""):
        self._app = app
        self._published_as = urlsplit(root_path).hostname

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http" and not self._is_own(_host(Request(scope))):
            refusal = PlainTextResponse(
                "Without accounts this server answers to localhost and 127.0.0.1 only; open one of "
                "them, or start it with --auth FILE, or with --root-path and a proxy's URL.\n",
                403,
            )
            await refusal(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _is_own(self, host: str) -> bool:
        return is_loopback(host) or host == self._published_as


def _host(request: Request) -> str:
    """The name in the ``Host`` header, without port; empty where there is none."""
    try:
        return urlsplit("//" + request.headers.get("host", "")).hostname or ""
    except ValueError:
        return ""
