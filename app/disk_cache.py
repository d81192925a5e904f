"""The folder through which all files come and go, kept within bounds."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

KEEP_SECONDS = 3600.0
"""What no open scan needs is deleted after this time."""

GRACE_SECONDS = 600.0
"""Nothing younger is deleted: it may be on its way into a scan that is being opened."""


@dataclass(frozen=True, slots=True)
class _File:
    path: Path
    inode: int
    size: int
    since: float


def _sum_of_sizes(files: Iterable[_File]) -> int:
    return sum({file.inode: file.size for file in files}.values())


class DiskCache:
    """Deletes files that no open scan needs: old ones, and the oldest beyond a budget.

    Args:
        folder: The folder, which belongs to this server alone.
        budget_bytes: Bytes that all files may have together.
        clock: Seconds since the epoch, as files count them.
    """

    def __init__(self, folder: Path, budget_bytes: int, clock: Callable[[], float] = time.time):
        self.budget_bytes = budget_bytes
        self._folder = folder
        self._clock = clock

    @property
    def nbytes(self) -> int:
        """Bytes on disk now; a file of several names counts once."""
        return _sum_of_sizes(self._files())

    def is_overfull(self, in_use: Collection[Path], coming: int = 0) -> bool:
        """Whether the files of open scans alone are beyond the budget.

        Args:
            in_use: Folders of open scans.
            coming: Bytes of the budget that are wanted for something else.
        """
        needed = _sum_of_sizes(file for file in self._files() if file.path.parent in in_use)
        return needed + coming > self.budget_bytes

    def has_room(self, coming: int) -> bool:
        """Whether so many bytes more are within the budget."""
        return self.nbytes + coming <= self.budget_bytes

    def sweep(self, in_use: Collection[Path], coming: int = 0) -> None:
        """Delete what is not needed any more.

        Args:
            in_use: Folders of open scans, whose own files stay. What lies in folders inside them
                (downloads) ages like everything else.
            coming: Bytes of the budget that are wanted for something else.
        """
        now, held = self._clock(), self.nbytes
        for file in sorted(self._files(), key=lambda file: file.since):
            age = now - file.since
            if file.path.parent in in_use or age <= GRACE_SECONDS:
                continue
            if age > KEEP_SECONDS or held + coming > self.budget_bytes:
                with suppress(OSError):
                    file.path.unlink()
                    file.path.parent.rmdir()
                held = self.nbytes

    def _files(self) -> Iterator[_File]:
        for parent, _, names in os.walk(self._folder):
            folder = Path(parent)
            for name in names:
                # It may have gone meanwhile, with its page.
                with suppress(OSError):
                    status = (folder / name).lstat()
                    # A link is as old as its folder, however old the file is.
                    since = max(status.st_mtime, folder.stat().st_mtime)
                    yield _File(folder / name, status.st_ino, status.st_size, since)
