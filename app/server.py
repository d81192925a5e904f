"""From settings to a running server."""

from __future__ import annotations

import atexit
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from app.accounts import Accounts
from app.background import apart
from app.settings import Settings
from caiseg.errors import InvalidInput
from caiseg.private_folders import delete_abandoned, private_folder

if TYPE_CHECKING:
    import gradio as gr
    from starlette.requests import Request

    from app.disk_cache import DiskCache
    from app.models import ModelShelf
    from app.store import SessionStore

_FORGET_SECONDS = 86_400
_SWEEP_SECONDS = 30


@dataclass(frozen=True, slots=True)
class RunningApp:
    """A server that answers.

    Attributes:
        url: Where its page is.
        page: What serves it.
        store: Everybody's open scans.
    """

    url: str
    page: gr.Blocks
    store: SessionStore


def serve(settings: Settings) -> None:
    """Run the server until it is interrupted or terminated.

    Raises:
        InvalidInput: A setting cannot be used.
    """
    # Leaving through SystemExit deletes the scans in transit, which a plain SIGTERM would not.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    cache = private_cache()
    from app.models import ModelShelf

    models = ModelShelf(settings.checkpoints, settings.device)
    # The first person should not wait for it.
    apart(models.predictor(models.names[0]).warm_up)
    running = launch(settings, models, cache)
    print(f"CAISeg listens on {running.url}", flush=True)
    running.page.block_thread()


def private_cache() -> Path:
    """Make the folder for scans in transit, and tell Gradio about it before it is imported.

    Nobody else on this machine can read it, and it goes when the server does; those of servers that
    were killed go now. Gradio is also told to ask no other host for anything.
    """
    delete_abandoned()
    folder = ExitStack()
    cache = folder.enter_context(private_folder())
    atexit.register(folder.close)
    os.environ |= {
        "GRADIO_TEMP_DIR": str(cache),
        "GRADIO_EXAMPLES_CACHE": str(cache / "examples"),
        "GRADIO_ANALYTICS_ENABLED": "False",
        "GRADIO_RUN_HISTORY": "False",
        # After every event Gradio would summarise the last 10,000 in a data frame.
        "GRADIO_ANALYTICS_CACHE_FREQUENCY": str(10**9),
        "GRADIO_ANALYTICS_MAX_EVENTS": "1",
        "HF_HUB_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
    }
    return cache


def launch(settings: Settings, models: ModelShelf, cache: Path) -> RunningApp:
    """Start serving, without waiting.

    Args:
        settings: How to serve.
        models: The checkpoints on offer.
        cache: The folder from :func:`private_cache`.
    """
    import gradio as gr
    from gradio import processing_utils

    from app.disk_cache import DiskCache
    from app.file_owners import FileOwners
    from app.guards import guards
    from app.handlers import Handlers
    from app.main_page import build_page
    from app.metrics import Metrics
    from app.network_work import NetworkWork
    from app.operator_pages import operator_routes, watch_server
    from app.program_api import ProgramApi
    from app.store import SessionStore
    from app.sweeping import make_room
    from app.turns import Turns
    from app.uploads import Uploads
    from app.viewer import PLOTLY, head
    from app.work import Work

    # The surface's library comes from its Python package: the page asks no other host.
    gr.set_static_paths([PLOTLY])
    # Nor does the server: Gradio would fetch a file that a program names by a web address.
    processing_utils.async_ssrf_protected_download = _fetch_nothing
    store = SessionStore(settings.memory_bytes, settings.idle_minutes * 60, _FORGET_SECONDS)
    disk = DiskCache(cache, int(settings.disk_gb * 2**30))
    demo = settings.demo_folder / "demo_brain_flair.nii.gz"
    turns, metrics, owners = Turns(), Metrics(), FileOwners(cache, public=[PLOTLY])
    uploads = Uploads(cache, demo, owners)
    network = NetworkWork(turns, metrics, settings.memory_bytes)
    work = Work(models, store, uploads, network, settings.reading_bytes)
    api = ProgramApi(work, store, models.names[0])
    page = build_page(models.cards, settings.upload_mb, Handlers(work, store), api)
    watch_server(metrics, store, lambda: len(page._queue) + turns.waiting)
    admits = Accounts(settings.auth).admits if settings.auth else None
    try:
        _, url, _ = page.launch(
            server_name=settings.host,
            server_port=settings.port or _free_port(settings.host),
            root_path=settings.root_path,
            # It awaits coroutine functions too, whatever its types say.
            auth=_in_a_thread(admits) if admits else None,  # type: ignore[arg-type]
            auth_message="CAISeg",
            max_file_size=settings.upload_mb * 2**20,
            theme=gr.themes.Base(font=["system-ui", "sans-serif"], font_mono=["ui-monospace"]),
            head=head(),
            footer_links=[],
            run_history=False,
            share=False,
            ssr_mode=False,
            pwa=False,
            mcp_server=False,
            enable_monitoring=False,
            inbrowser=False,
            prevent_thread_lock=True,
            quiet=True,
            app_kwargs={
                "middleware": guards(
                    settings,
                    owners,
                    user_of=lambda request: _user(page, request),
                    has_room=lambda coming: make_room(store, disk, coming),
                ),
                "docs_url": None,
                "redoc_url": None,
                "routes": operator_routes(metrics, admits),
            },
        )
    except OSError:
        raise InvalidInput(
            f"Port {settings.port} of {settings.host} cannot be opened, perhaps because another "
            "program listens there; choose another one with --port."
        ) from None
    _sweep_regularly(store, disk)
    return RunningApp(url, page, store)


async def _fetch_nothing(url: str, cache_dir: str) -> str:
    from gradio import Error

    raise Error("Files at web addresses are not fetched; upload the file.", print_exception=False)


def _in_a_thread(admits: Callable[[str, str], bool]) -> Callable[[str, str], Awaitable[bool]]:
    """The same check for Gradio, which would keep everybody waiting while it hashes a password."""
    from starlette.concurrency import run_in_threadpool

    async def admits_soon(name: str, password: str) -> bool:
        return await run_in_threadpool(admits, name, password)

    return admits_soon


def _user(page: gr.Blocks, request: Request) -> str:
    """Who makes a request, as Gradio's own routes find out."""
    cookies, app = request.cookies, page.app
    tokens = [cookies.get(f"access-token{kind}-{app.cookie_id}") for kind in ("", "-unsecure")]
    return next((app.tokens[token] for token in tokens if token in app.tokens), "")


def _free_port(host: str) -> int:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def _sweep_regularly(store: SessionStore, disk: DiskCache) -> None:
    from app.sweeping import sweep

    def run() -> None:
        while True:
            time.sleep(_SWEEP_SECONDS)
            sweep(store, disk)

    threading.Thread(target=run, name="sweep", daemon=True).start()
