"""What leaves memory and disk as time goes by."""

from __future__ import annotations

from pathlib import Path

from app.disk_cache import DiskCache
from app.store import SessionStore


def sweep(store: SessionStore, disk: DiskCache, coming: int = 0) -> None:
    """Bring memory and disk back within their bounds.

    Files of open scans are no cache: they go with their pages. Where those alone fill the disk,
    the pages that were used least recently are forgotten.

    Args:
        store: Everybody's open scans.
        disk: The folder with their files.
        coming: Bytes on disk to make room for.
    """
    store.sweep()
    while disk.is_overfull(_folders(store), coming) and store.forget_least_recent():
        pass
    disk.sweep(_folders(store), coming)


def make_room(store: SessionStore, disk: DiskCache, coming: int) -> bool:
    """Whether there is room on disk for an upload, after what nobody needs has been deleted.

    Files that have just come are needed, though no scan is open from them yet.

    Args:
        store: Everybody's open scans.
        disk: The folder with their files.
        coming: Bytes of the upload.
    """
    if not disk.has_room(coming) and coming <= disk.budget_bytes:
        sweep(store, disk, coming)
    return disk.has_room(coming)


def _folders(store: SessionStore) -> set[Path]:
    return {scan.source.folder for scan in store.open_scans()}
