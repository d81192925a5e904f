"""What every request passes before it comes to Gradio."""

from __future__ import annotations

from collections.abc import Callable

from starlette.middleware import Middleware
from starlette.requests import Request

from app.file_owners import FileOwners, OwnFilesOnly
from app.own_names import OwnNamesOnly
from app.request_limits import RequestLimits
from app.security import SecurityHeaders
from app.settings import Settings
from app.upload_room import UploadRoom
from app.upload_senders import UploadSenders


def guards(
    settings: Settings,
    owners: FileOwners,
    user_of: Callable[[Request], str],
    has_room: Callable[[int], bool],
) -> list[Middleware]:
    """The server's middleware, the outermost first.

    Args:
        settings: How to serve.
        owners: Whose files are whose.
        user_of: Who makes a request; an empty name for somebody who has not logged in.
        has_room: Whether the disk has room for so many bytes of uploads.
    """
    has_accounts = settings.auth is not None
    names = [] if has_accounts else [Middleware(OwnNamesOnly, root_path=settings.root_path)]
    return [
        Middleware(SecurityHeaders),
        *names,
        Middleware(
            RequestLimits,
            upload_bytes=settings.upload_mb * 2**20,
            is_admitted=lambda request: not has_accounts or user_of(request) != "",
        ),
        Middleware(UploadRoom, has_room=has_room, upload_bytes=settings.upload_mb * 2**20),
        Middleware(UploadSenders, owners=owners, user_of=user_of),
        Middleware(OwnFilesOnly, owners=owners, user_of=user_of),
    ]
