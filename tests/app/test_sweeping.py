"""Open scans fill neither memory nor disk, and a page that was forgotten goes on by itself."""

from __future__ import annotations

import gc
import os
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.disk_cache import DiskCache
from app.file_owners import FileOwners
from app.handlers import Handlers
from app.store import SessionKey, SessionStore
from app.sweeping import make_room, sweep
from app.uploads import Uploads
from tests.app.stand_in import StandInShelf, request, said, work_with, write_scan


@pytest.fixture
def store() -> SessionStore:
    return SessionStore(1 << 30, idle_seconds=60, forget_seconds=86_400)


@pytest.fixture
def uploads(cache: Path, owners: FileOwners, tmp_path: Path) -> Uploads:
    return Uploads(cache, tmp_path / "demo.nii.gz", owners)


def upload(cache: Path, owners: FileOwners, page: str) -> dict[str, Any]:
    """What a page asks for that has uploaded a scan which does not compress."""
    folder = cache / f"upload-{page}"
    folder.mkdir(exist_ok=True)
    noise = np.random.default_rng(0).integers(-900, 900, (32, 32, 32), np.int16)
    path = write_scan(folder / "scan.nii.gz", noise)
    # The upload itself has been there for long, and is swept before anything that is in use.
    for changed in (path, folder):
        os.utime(changed, (0, 0))
    owners.received(path, "")
    return {"kind": "upload", "file": {"path": str(path)}}


def open_pages(handlers: Handlers, cache: Path, owners: FileOwners, pages: str) -> None:
    """Open a scan in each page, one after the other."""
    for page in pages:
        opening = {"model": "small", "request": upload(cache, owners, page)}
        said(handlers.open(opening, request(page)))


def test_scans_of_silent_pages_do_not_fill_the_disk(
    handlers: Handlers, store: SessionStore, cache: Path, owners: FileOwners
) -> None:
    # Nobody says goodbye, as a program does that opens one session after the other.
    open_pages(handlers, cache, owners, "abcdef")
    one = sum(
        file.stat().st_size for file in next(iter(store.open_scans())).source.folder.iterdir()
    )
    disk = DiskCache(cache, budget_bytes=3 * one)
    assert disk.nbytes >= 6 * one

    sweep(store, disk)

    assert len(store) == 3
    assert disk.nbytes <= 3 * one
    assert [store.get(SessionKey("", page)) is not None for page in "abcdef"] == [
        False, False, False, True, True, True,
    ]  # fmt: skip


def test_room_for_an_upload_is_made_by_forgetting_silent_pages_and_no_more_than_it_takes(
    handlers: Handlers, store: SessionStore, cache: Path, owners: FileOwners
) -> None:
    open_pages(handlers, cache, owners, "abc")
    held = DiskCache(cache, budget_bytes=0).nbytes
    one = held // 3
    disk = DiskCache(cache, budget_bytes=held + one // 2)

    assert make_room(store, disk, one // 4), "there is room already"
    assert len(store) == 3
    assert not make_room(store, disk, disk.budget_bytes + 1), "no sweeping makes that fit"
    assert len(store) == 3
    assert make_room(store, disk, one)
    assert [store.get(SessionKey("", page)) is not None for page in "abc"] == [False, True, True]


def test_what_has_just_arrived_leaves_no_room_for_more(store: SessionStore, cache: Path) -> None:
    (cache / "upload").mkdir()
    (cache / "upload" / "scan.nii.gz").write_bytes(bytes(1000))
    disk = DiskCache(cache, budget_bytes=1500)
    assert make_room(store, disk, 500)
    assert not make_room(store, disk, 501)


def test_a_page_that_was_forgotten_is_told_so_and_replays(
    handlers: Handlers, store: SessionStore, cache: Path, owners: FileOwners
) -> None:
    clicks = [{"do": "click", "voxel": [4, 5, 6], "label": "fg"}]
    opening = {"model": "small", "request": upload(cache, owners, "a")}
    opened = said(handlers.open(opening, request("a")))
    acting = {"scan": opened["server_scan"]["id"], "actions": clicks}
    answer = said(handlers.act(acting, request("a")))["server_answer"]
    said(handlers.open({"model": "small", "request": upload(cache, owners, "b")}, request("b")))

    sweep(store, DiskCache(cache, budget_bytes=1))

    assert said(handlers.act(acting, request("a")))["server_work"]["lost"], "which lets it replay"
    assert store.get(SessionKey("", "b")) is not None
    again = {**upload(cache, owners, "a"), "session": answer["session"]}
    replayed = said(handlers.open({"model": "small", "request": again}, request("a")))
    assert replayed["server_answer"]["objects"] == answer["objects"]


def test_the_page_in_use_stays_however_large_its_scan_is(
    handlers: Handlers, store: SessionStore, cache: Path, owners: FileOwners
) -> None:
    said(handlers.open({"model": "small", "request": upload(cache, owners, "a")}, request("a")))
    sweep(store, DiskCache(cache, budget_bytes=1))
    assert len(store) == 1


def test_a_scan_that_takes_too_much_memory_to_read_is_refused(
    shelf: StandInShelf,
    store: SessionStore,
    uploads: Uploads,
    cache: Path,
    owners: FileOwners,
) -> None:
    work = work_with(shelf, store, uploads, reading_bytes=2 * 2 * 32**3 - 1)
    handlers = Handlers(work, store)
    refused = said(
        handlers.open({"model": "small", "request": upload(cache, owners, "a")}, request("a"))
    )
    assert "may be used" in refused["server_work"]["sentence"]
    assert len(store) == 0


def test_a_page_that_closes_leaves_nothing_of_its_scan_in_memory(
    handlers: Handlers, store: SessionStore, cache: Path, owners: FileOwners
) -> None:
    said(handlers.open({"model": "small", "request": upload(cache, owners, "a")}, request("a")))
    resident = store.open_scans()[0].resident
    assert resident is not None
    voxels = weakref.ref(resident.volume.data)
    del resident
    handlers.close(request("a"))
    gc.collect()
    assert voxels() is None
    assert store.nbytes == 0
