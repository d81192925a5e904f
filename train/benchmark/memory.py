"""The most memory that a piece of work holds at once."""

from __future__ import annotations

import os
import resource
import threading
from pathlib import Path
from types import TracebackType

_INTERVAL = 0.005
"""Seconds between two looks; what is held for less may be missed."""


class PeakMemory:
    """Watches the resident memory of this process while the ``with`` block runs.

    Attributes:
        mebibytes: The most that was held, above what was held at the beginning.
    """

    def __init__(self) -> None:
        self.mebibytes = 0.0
        self._ended = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> PeakMemory:
        self._before = _resident_bytes()
        self._watcher.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._watcher.join()

    def _watch(self) -> None:
        while not self._ended.wait(_INTERVAL):
            held = _resident_bytes() - self._before
            self.mebibytes = max(self.mebibytes, held / 2**20)


def _resident_bytes() -> int:
    """What this process holds in memory; where Linux does not tell, the most it ever held."""
    statm = Path("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
