"""Memory is bounded, work is never lost, and closed pages leave nothing."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from app.scan_file import ScanFile
from app.store import OpenScan, ResidentScan, SessionKey, SessionStore
from caiseg.annotation.session import AnnotationSession
from caiseg.annotation.session_file import ScanReference
from caiseg.grids import Grid

SCAN_BYTES = 100
ANN, BOB, EVE = (SessionKey("", page) for page in ("ann", "bob", "eve"))


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(clock: Clock) -> SessionStore:
    return SessionStore(2 * SCAN_BYTES, idle_seconds=60, forget_seconds=600, clock=clock)


def open_scan(folder: Path) -> OpenScan:
    folder.mkdir(exist_ok=True)
    volume: Any = SimpleNamespace(data=np.zeros(SCAN_BYTES // 2, np.uint8))
    encoded: Any = SimpleNamespace(nbytes=SCAN_BYTES // 2)
    return OpenScan(
        scan_id="1",
        name="scan",
        source=ScanFile(folder / "scan.nii"),
        grid=Grid((1, 1, 1), np.eye(4)),
        model="m",
        session=AnnotationSession(lambda clicks, previous: np.ones((1, 1, 1), bool), (1, 1, 1)),
        resident=ResidentScan(volume, encoded),
        identity=ScanReference(sha256="0" * 64, shape=(1, 1, 1)),
    )


def is_resident(store: SessionStore, key: SessionKey) -> bool:
    return cast(OpenScan, store.get(key)).resident is not None


def test_the_least_recently_used_scan_leaves_memory_but_keeps_its_clicks(
    store: SessionStore, tmp_path: Path
) -> None:
    store.put(ANN, open_scan(tmp_path / "a"))
    store.put(BOB, open_scan(tmp_path / "b"))
    with store.at_work(ANN):
        pass
    store.put(EVE, open_scan(tmp_path / "e"))
    assert [is_resident(store, key) for key in (ANN, BOB, EVE)] == [True, False, True]
    assert store.nbytes <= 2 * SCAN_BYTES
    evicted = cast(OpenScan, store.get(BOB))
    assert evicted.session.current.mask.voxels == 1
    assert evicted.source.folder.is_dir(), "its file is needed to read it again"


def test_a_scan_at_work_is_never_evicted(store: SessionStore, tmp_path: Path) -> None:
    store.put(ANN, open_scan(tmp_path / "a"))
    with store.at_work(ANN):
        for name in ("b", "c", "d", "e"):
            store.put(SessionKey("", name), open_scan(tmp_path / name))
        assert is_resident(store, ANN)


def test_what_one_page_asks_for_is_done_one_after_the_other(
    store: SessionStore, tmp_path: Path
) -> None:
    order: list[str] = []

    def second() -> None:
        with store.at_work(ANN) as scan:
            order.append(f"second has scan {scan.scan_id if scan else None}")

    with store.at_work(ANN) as scan:
        assert scan is None
        thread = threading.Thread(target=second)
        thread.start()
        with store.at_work(BOB):
            order.append("another page")
        store.put(ANN, open_scan(tmp_path / "a"))
        order.append("first")
    thread.join()
    assert order == ["another page", "first", "second has scan 1"]


def test_a_scan_larger_than_the_budget_stays_while_it_is_the_one_in_use(tmp_path: Path) -> None:
    store = SessionStore(SCAN_BYTES // 2, idle_seconds=60, forget_seconds=600)
    store.put(ANN, open_scan(tmp_path / "a"))
    assert is_resident(store, ANN)


def test_an_idle_scan_leaves_memory_and_a_silent_page_is_forgotten(
    store: SessionStore, clock: Clock, tmp_path: Path
) -> None:
    store.put(ANN, open_scan(tmp_path / "a"))
    clock.now = 59
    store.sweep()
    assert is_resident(store, ANN)
    clock.now = 61
    store.sweep()
    assert not is_resident(store, ANN)
    clock.now = 601
    store.sweep()
    assert store.get(ANN) is None
    assert not (tmp_path / "a").exists()


def test_a_scan_at_work_is_not_idle(store: SessionStore, clock: Clock, tmp_path: Path) -> None:
    store.put(ANN, open_scan(tmp_path / "a"))
    with store.at_work(ANN):
        clock.now = 10_000
        store.sweep()
        assert is_resident(store, ANN)
    store.sweep()
    assert is_resident(store, ANN), "the work has just ended"


def test_a_closed_page_leaves_nothing(store: SessionStore, tmp_path: Path) -> None:
    store.put(ANN, open_scan(tmp_path / "a"))
    store.drop(ANN)
    assert len(store) == 0
    assert not (tmp_path / "a").exists()


def test_a_new_scan_replaces_the_old_one_with_its_files(
    store: SessionStore, tmp_path: Path
) -> None:
    store.put(ANN, open_scan(tmp_path / "old"))
    store.put(ANN, open_scan(tmp_path / "new"))
    assert len(store) == 1
    assert not (tmp_path / "old").exists()
    assert (tmp_path / "new").is_dir()


def test_a_page_closed_while_its_scan_is_encoded_keeps_nothing(
    store: SessionStore, tmp_path: Path
) -> None:
    with store.at_work(ANN):
        store.drop(ANN)
        store.put(ANN, open_scan(tmp_path / "a"))
    assert len(store) == 0
    assert not (tmp_path / "a").exists()
    store.put(ANN, open_scan(tmp_path / "again"))
    assert len(store) == 1, "the page may come back after a broken connection"


def test_the_same_page_name_under_another_user_is_another_page(
    store: SessionStore, tmp_path: Path
) -> None:
    store.put(SessionKey("ann", "page"), open_scan(tmp_path / "a"))
    assert store.get(SessionKey("bob", "page")) is None


def test_beyond_their_number_the_idle_page_used_least_recently_is_forgotten(
    clock: Clock, tmp_path: Path
) -> None:
    store = SessionStore(10**9, 60, 600, clock, pages=4, pages_each=2)
    first, second, third = (SessionKey("ann", page) for page in ("1", "2", "3"))
    store.put(first, open_scan(tmp_path / "1"))
    with store.at_work(first):
        store.put(second, open_scan(tmp_path / "2"))
        store.put(third, open_scan(tmp_path / "3"))
    assert store.get(first) is not None, "it was at work"
    assert store.get(second) is None
    assert not (tmp_path / "2").exists()
    for user in ("bob", "eve", "joe"):
        store.put(SessionKey(user, "1"), open_scan(tmp_path / user))
    assert len(store) == 4
    assert store.get(third) is None
    assert store.get(SessionKey("joe", "1")) is not None


def test_a_flood_of_pages_without_goodbye_pushes_nobody_else_out(
    clock: Clock, tmp_path: Path
) -> None:
    store = SessionStore(10**9, 60, 600, clock, pages=50, pages_each=5)
    store.put(ANN, open_scan(tmp_path / "a"))
    for page in range(40):
        store.put(SessionKey("flood", str(page)), open_scan(tmp_path / f"flood{page}"))
    assert len(store) == 6
    assert store.get(ANN) is not None
    assert len(list(tmp_path.iterdir())) == 6
