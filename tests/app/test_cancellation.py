"""What a person no longer wants is given up, and what was open before stays."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from app import replies
from app.cancellation import Cancellations
from app.file_owners import FileOwners
from app.handlers import Handlers
from app.store import SessionKey, SessionStore
from caiseg import Volume
from tests.app.stand_in import StandInShelf, request

ANN, BOB = SessionKey("", "ann"), SessionKey("", "bob")


@pytest.fixture
def asking(blob: Path, cache: Path, owners: FileOwners) -> Callable[[int], dict[str, Any]]:
    """The page's value when it asks to open a scan, by the number of that request."""
    upload = blob.rename(cache / blob.name)
    owners.received(upload, ANN.user)
    asked = {"kind": "upload", "file": {"path": str(upload)}}
    return lambda ticket: {"model": "small", "request": asked, "ticket": ticket}


def cancel_midway(
    shelf: StandInShelf, monkeypatch: pytest.MonkeyPatch, cancel: Callable[[], None]
) -> None:
    """Cancel once the first of many patches is encoded."""
    encode = shelf.small.encode

    def in_patches(volume: Volume, progress: Callable[[float], None], **settings: Any) -> Any:
        progress(0.1)
        cancel()
        for _ in range(3000):
            # A patch takes a moment, in which the server can hear of the wish.
            threading.Event().wait(0.01)
            progress(0.2)
        return encode(volume, progress, **settings)

    monkeypatch.setattr(shelf.small, "encode", in_patches)


def states(updates: list[gr.HTML]) -> list[str]:
    works = (replies.documents(update).get("server_work") for update in updates)
    return [work["state"] for work in works if work]


def test_work_stops_at_the_next_patch_and_the_scan_before_stays(
    handlers: Handlers,
    shelf: StandInShelf,
    store: SessionStore,
    cache: Path,
    asking: Callable[[int], dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    list(handlers.open(asking(1), request(ANN.page)))
    before = store.get(ANN)
    files = set(cache.rglob("*"))
    encoded = len(shelf.small.encoded)
    cancel_midway(shelf, monkeypatch, lambda: handlers.cancel(asking(2), request(ANN.page)))
    updates = list(handlers.open(asking(2), request(ANN.page)))
    assert states(updates)[-1] == "cancelled"
    assert len(shelf.small.encoded) == encoded, "the network stopped before it was done"
    assert store.get(ANN) is before
    assert set(cache.rglob("*")) == files, "nothing of the other scan is left"


def test_a_cancelled_change_of_checkpoint_changes_nothing(
    handlers: Handlers,
    shelf: StandInShelf,
    store: SessionStore,
    asking: Callable[[int], dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    list(handlers.open({**asking(1), "model": "large"}, request(ANN.page)))
    value = {"model": "small", "request": {"kind": "model"}, "ticket": 2}
    cancel_midway(shelf, monkeypatch, lambda: handlers.cancel(value, request(ANN.page)))
    assert states(list(handlers.open(value, request(ANN.page))))[-1] == "cancelled"
    scan = store.get(ANN)
    assert scan is not None
    assert scan.model == "large"
    assert scan.answers == 1


def test_what_waits_can_be_cancelled_before_it_begins(
    handlers: Handlers, store: SessionStore, asking: Callable[[int], dict[str, Any]]
) -> None:
    handlers.cancel(asking(3), request(ANN.page))
    assert states(list(handlers.open(asking(3), request(ANN.page))))[-1] == "cancelled"
    assert states(list(handlers.open(asking(4), request(ANN.page))))[-1] == "idle"
    assert store.get(ANN) is not None


def test_nobody_cancels_the_work_of_another_page(
    handlers: Handlers, asking: Callable[[int], dict[str, Any]]
) -> None:
    handlers.cancel(asking(9), request(BOB.page))
    assert states(list(handlers.open(asking(1), request(ANN.page))))[-1] == "idle"


def test_a_page_that_closes_is_forgotten() -> None:
    cancellations = Cancellations()
    cancellations.add(ANN, 5)
    assert cancellations.include(ANN, 5)
    assert not cancellations.include(ANN, 6)
    cancellations.forget(ANN)
    assert not cancellations.include(ANN, 5)
