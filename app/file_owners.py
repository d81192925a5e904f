"""Whose files are whose: a file of one person is never readable by another."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from pathlib import Path

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# Gradio's routes for files, whatever path the app is published under.
_FILE_ROUTE = re.compile(r"/file[=/](?P<path>.*)", re.DOTALL)


class FileOwners:
    """Which file of the cache belongs to whom.

    Gradio serves every file of the cache to everybody who has logged in and knows its address, and
    hands it to every handler. Here only folders of scans are served, each to the person who opened
    it; an upload is served to nobody, and opened only for those who have sent it.

    Args:
        cache: Gradio's cache folder.
        public: Files elsewhere that everybody may fetch.
    """

    def __init__(self, cache: Path, public: Collection[Path] = ()):
        self._cache = cache.resolve()
        self._public = {path.resolve() for path in public}
        self._owners: dict[Path, str] = {}
        # Gradio stores uploads by their content: two people who send the same file share a path.
        self._senders: dict[Path, set[str]] = {}

    def give(self, folder: Path, user: str) -> None:
        """Let a folder of the cache belong to a user."""
        # Scans delete their folders when they are closed.
        for gone in [known for known in list(self._owners) if not known.is_dir()]:
            self._owners.pop(gone, None)
        self._owners[folder.resolve()] = user

    def received(self, upload: Path, user: str) -> None:
        """Remember who has sent a file."""
        for gone in [known for known in list(self._senders) if not known.is_file()]:
            self._senders.pop(gone, None)
        self._senders.setdefault(upload.resolve(), set()).add(user)

    def has_sent(self, user: str, path: Path) -> bool:
        """Whether a file is an upload of this user."""
        return user in self._senders.get(path.resolve(), ())

    def is_private(self, path: Path) -> bool:
        """Whether a file lies in the cache."""
        return path.resolve().is_relative_to(self._cache)

    def may_fetch(self, path: Path, user: str) -> bool:
        """Whether a user may read a file by its address."""
        resolved = path.resolve()
        if not self.is_private(resolved):
            return resolved in self._public
        owners = (self._owners[folder] for folder in resolved.parents if folder in self._owners)
        return next(owners, None) == user


class OwnFilesOnly:
    """ASGI middleware that hides other people's files, and lets nobody keep a copy of one's own.

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
        if asked is None:
            await self._app(scope, receive, send)
            return
        path, user = Path(asked["path"]), self._user_of(Request(scope))
        if not self._owners.may_fetch(path, user):
            await PlainTextResponse("There is no such file.\n", 404)(scope, receive, send)
            return

        async def send_to_keep_nowhere(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["Cache-Control"] = "no-store"
            await send(message)

        private = self._owners.is_private(path)
        await self._app(scope, receive, send_to_keep_nowhere if private else send)
