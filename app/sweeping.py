"""What leaves memory and disk as time goes by."""

from __future__ import annotations

from pathlib import Path

from app.disk_cache import DiskCache
from app.store import SessionStore


def sweep(store: SessionStore, disk: DiskCache) -> None:
    """Bring memory and disk back within their bounds.

    Files of open scans are no cache: they go with their pages. Where those alone fill the disk,
    the pages that were used least recently are forgotten.

    Args:
        store: Everybody's open scans.
        disk: The folder with their files.
    """
    store.sweep()
    while disk.is_overfull(_folders(store)) and store.forget_least_recent():
        pass
    disk.sweep(_folders(store))


def _folders(store: SessionStore) -> set[Path]:
    return {scan.source.folder for scan in store.open_scans()}
