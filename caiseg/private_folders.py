"""Folders for scans in transit, which go even if the process that made them is killed."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

if sys.platform != "win32":
    import fcntl

_PREFIX = "caiseg-"
_LOCK, _FILES = "lock", "files"


@contextmanager
def private_folder() -> Iterator[Path]:
    """A new folder that nobody else on this machine can read, deleted at the end.

    It lies beside a file that is locked as long as this process lives, so that
    :func:`delete_abandoned` of another one can tell whether it is in use.
    """
    folder, lock = _locked_folder()
    try:
        yield folder / _FILES
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def delete_abandoned() -> None:
    """Delete this user's private folders whose processes were killed.

    Windows has no such locks: there they stay until somebody deletes them.
    """
    if sys.platform == "win32":
        return
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        # A folder of somebody else, one in use, or one that is gone meanwhile.
        with suppress(OSError):
            if folder.is_symlink() or folder.stat().st_uid != os.getuid():
                continue
            lock = os.open(folder / _LOCK, os.O_RDWR)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder)
            finally:
                os.close(lock)


def _locked_folder() -> tuple[Path, int]:
    """A new private folder and the descriptor that holds its lock."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
        lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            if sys.platform != "win32":
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            (folder / _FILES).mkdir(0o700)
        except (BlockingIOError, FileNotFoundError):
            # A process that starts now has found it before it was locked, and deletes it.
            os.close(lock)
        else:
            return folder, lock
