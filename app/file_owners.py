"""Whose files are whose: a file of one person is never readable by another."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

# Gradio's routes for files, whatever path the app is published under.
_FILE_ROUTE = re.compile(r"/file[=/](?P<path>.*)", re.DOTALL)


class FileOwners:
    """Which folder of the cache belongs to whom.

    Gradio serves every file of the cache to everybody who has logged in and knows its address.
    Here only folders of scans are served, each to the person who opened it; uploads are served to
    nobody.

    Args:
        cache: Gradio's cache folder.
    """

    def __init__(self, cache: Path):
        self._cache = cache.resolve()
        self._owners: dict[Path, str] = {}

    def give(self, folder: Path, user: str) -> None:
        """Let a folder of the cache belong to a user."""
        # Scans delete their folders when they are closed.
        for gone in [known for known in list(self._owners) if not known.is_dir()]:
            self._owners.pop(gone, None)
        self._owners[folder.resolve()] = user

    def owner(self, path: Path) -> str | None:
        """Who owns a file; none where it lies in nobody's folder."""
        resolved = path.resolve()
        return next(
            (self._owners[folder] for folder in resolved.parents if folder in self._owners), None
        )

    def may_fetch(self, path: Path, user: str) -> bool:
        """Whether a user may read a file by its address; not asked about what lies elsewhere."""
        inside = path.resolve().is_relative_to(self._cache)
        return not inside or self.owner(path) == user


class OwnFilesOnly:
    """ASGI middleware that hides other people's files.

    Args:
        app: What answers everything else.
        owners: Whose files are whose.
        user_of: Who makes a request; an empty name where there are no accounts.
    """

    def __init__(self, app: ASGIApp, owners: FileOwners, user_of: Callable[[Request], str]):
        self._app = app
        self._owners = owners
        self._user_of = user_of

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        asked = _FILE_ROUTE.search(scope["path"]) if scope["type"] == "http" else None
        if asked is not None:
            path, user = Path(asked["path"]), self._user_of(Request(scope))
            if not self._owners.may_fetch(path, user):
                await PlainTextResponse("There is no such file.\n", 404)(scope, receive, send)
                return
        await self._app(scope, receive, send)
