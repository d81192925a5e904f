"""What the server says to those who run it: ``/health`` and ``/metrics``."""

from __future__ import annotations

import base64
import binascii
import logging
from collections.abc import Callable

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from app.metrics import Metrics
from app.store import SessionStore

Admits = Callable[[str, str], bool]
"""Whether a name and a password belong together."""


def operator_routes(metrics: Metrics, admits: Admits | None) -> list[BaseRoute]:
    """Routes beside those of the page.

    ``/health`` tells a proxy that this process answers, and nothing else. ``/metrics`` is for
    Prometheus, which logs in by HTTP Basic authentication where the server has accounts: Gradio
    knows only logins by form and cookie, and its own check does not cover these routes.

    Args:
        metrics: What to show.
        admits: Checks a login; none lets everybody see.
    """

    async def health(request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def show_metrics(request: Request) -> Response:
        # In a thread: hashing a password takes a tenth of a second.
        if admits is not None and not await run_in_threadpool(_is_admitted, request, admits):
            return PlainTextResponse(
                "Log in with a name and a password of the auth file.\n",
                status_code=401,
                headers={"WWW-Authenticate": 'Basic realm="CAISeg metrics"'},
            )
        return Response(metrics.text(), media_type=CONTENT_TYPE_LATEST)

    return [Route("/health", health), Route("/metrics", show_metrics)]


def watch_server(metrics: Metrics, store: SessionStore, queue_length: Callable[[], int]) -> None:
    """Show what the store holds, who waits, and how many faults the log describes."""
    metrics.watch("caiseg_sessions", "Pages and programs with a scan open.", lambda: len(store))
    metrics.watch("caiseg_scans_held", "Scans in memory.", lambda: store.resident_count)
    metrics.watch("caiseg_bytes_held", "Bytes that they hold.", lambda: store.nbytes)
    metrics.watch("caiseg_bytes_budget", "Bytes that they may hold.", lambda: store.budget_bytes)
    metrics.watch("caiseg_queue_length", "Requests that wait to be answered.", queue_length)
    metrics.count_faults(logging.getLogger("app"))


def _is_admitted(request: Request, admits: Admits) -> bool:
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    try:
        name, _, password = base64.b64decode(given, validate=True).decode("utf-8").partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return False
    return scheme.lower() == "basic" and admits(name, password)
