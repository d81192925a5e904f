"""A server with a stand-in network, its handlers without a browser, and a scan to open in it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser

from app.file_owners import FileOwners
from app.handlers import Handlers
from app.server import RunningApp, launch, private_cache
from app.store import OpenScan, SessionStore
from app.uploads import Uploads
from tests.app.stand_in import StandInShelf, settings, work_with, write_scan
from tests.browser import Person, open_browser, person_at


@pytest.fixture(scope="module")
def shelf() -> StandInShelf:
    return StandInShelf()


@pytest.fixture(scope="module")
def disk_gb() -> float:
    """Room on the server's disk; modules that are about it override this."""
    return 1.0


@pytest.fixture(scope="module")
def running(
    shelf: StandInShelf, tmp_path_factory: pytest.TempPathFactory, disk_gb: float
) -> Iterator[RunningApp]:
    """The app, served from a thread of this process, with the stand-in for a network."""
    folder = tmp_path_factory.mktemp("server")

    async def start() -> RunningApp:
        given = settings(folder, folder / "demo", disk_gb=disk_gb)
        return launch(given, shelf.as_models(), private_cache())

    # Without a running event loop Gradio makes some of its own, and leaves them open. The main
    # thread may have the browser's.
    with ThreadPoolExecutor() as threads:
        app = threads.submit(asyncio.run, start()).result()
    yield app
    app.page.close()


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """Where the server keeps what is uploaded."""
    folder = tmp_path / "cache"
    folder.mkdir()
    return folder


@pytest.fixture
def owners(cache: Path) -> FileOwners:
    """Who has sent what; a test that puts an upload there has to say so."""
    return FileOwners(cache)


@pytest.fixture
def store() -> SessionStore:
    """Room for the scan that is in use."""
    return SessionStore(1, idle_seconds=60, forget_seconds=600)


@pytest.fixture
def handlers(
    shelf: StandInShelf, store: SessionStore, cache: Path, owners: FileOwners, tmp_path: Path
) -> Handlers:
    """The server's side of the page's events, called as Gradio calls it."""
    uploads = Uploads(cache, tmp_path / "demo" / "demo.nii.gz", owners)
    return Handlers(work_with(shelf, store, uploads), store)


@pytest.fixture(scope="module")
def browser(chromium: Path) -> Iterator[Browser]:
    with open_browser(chromium) as opened:
        yield opened


@pytest.fixture(scope="module")
def surface() -> bool:
    """Whether the 3-D surface is drawn; modules that are not about it override this."""
    return True


@pytest.fixture(scope="module")
def settled(browser: Browser, running: RunningApp, surface: bool) -> Iterator[Person]:
    """Somebody who keeps the same page open for all tests of a module."""
    with person_at(browser, running.url, surface=surface) as somebody:
        yield somebody


@pytest.fixture
def person(settled: Person, blob: Path) -> Iterator[Person]:
    """Somebody who has just opened a scan; the page must give no reason to complain."""
    # The same scan was worked on by the test before, and to go on with that would be offered.
    settled.page.evaluate("localStorage.clear()")
    settled.open_file(blob)
    settled.page.keyboard.press("f")
    settled.page.mouse.move(5, 5)
    yield settled
    check_behaviour(settled)


@pytest.fixture
def newcomer(browser: Browser, running: RunningApp, surface: bool) -> Iterator[Person]:
    """Somebody who has just come to the page; it must give no reason to complain."""
    with person_at(browser, running.url, surface=surface) as somebody:
        yield somebody
        check_behaviour(somebody)


def check_behaviour(person: Person) -> None:
    assert person.complaints == []
    assert person.foreign_requests == []


@pytest.fixture
def blob(tmp_path: Path) -> Path:
    """A small scan with thick slices and one bright block."""
    data = np.zeros((24, 30, 10), dtype=np.int16)
    data[8:14, 10:18, 3:6] = 200
    data += np.arange(10, dtype=np.int16)
    return write_scan(tmp_path / "blob.nii.gz", data, (1.0, 1.2, 3.0))


def scan_of(person: Person, running: RunningApp) -> OpenScan:
    """What the server holds of the scan that somebody has on screen."""
    (scan,) = (s for s in running.store.open_scans() if s.scan_id == person.state("scan"))
    return scan
