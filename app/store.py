"""Every person's open scan, bounded in memory and in time."""

from __future__ import annotations

import shutil
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

from app.scan_file import ScanFile
from caiseg import EncodedScan, Volume
from caiseg.annotation.session import AnnotationSession
from caiseg.annotation.session_file import CheckpointReference, ScanReference, SessionFile
from caiseg.grids import Grid


class SessionKey(NamedTuple):
    """Whose scan it is: knowing somebody's page does not open their scan to another user."""

    user: str
    page: str


@dataclass(slots=True)
class ResidentScan:
    """The large part of an open scan, which can be made again from its file.

    Attributes:
        volume: The scan as read.
        encoded: Its features; on the CPU once the GPU had no memory for a click.
    """

    volume: Volume
    encoded: EncodedScan

    @property
    def nbytes(self) -> int:
        """Bytes of memory held."""
        return int(self.volume.data.nbytes) + self.encoded.nbytes


@dataclass(slots=True)
class OpenScan:
    """One scan on one page.

    Attributes:
        scan_id: Names the scan in messages between the page and the server.
        name: Its name, for the person.
        source: The file that it is read from, again after an eviction, in a folder of its own.
        grid: The display grid.
        model: The checkpoint in use.
        session: Clicks and rounds; they stay when the scan is evicted.
        identity: Which scan it is, for session files.
        checkpoint_hash: SHA-256 of the checkpoint in use.
        reservations: What speaks against using that checkpoint on this scan.
        resident: The scan in memory, none while it is evicted.
        applied: How many of the page's actions have been answered.
        answers: How many answers were given; numbers them for the page.
        last_used: When the person last did something, on the store's clock.
    """

    scan_id: str
    name: str
    source: ScanFile
    grid: Grid
    model: str
    session: AnnotationSession
    resident: ResidentScan | None
    identity: ScanReference
    checkpoint_hash: str = ""
    reservations: list[str] = field(default_factory=list)
    applied: int = 0
    answers: int = 1
    last_used: float = 0.0

    @property
    def warnings(self) -> list[str]:
        """What the person should know: how the scan is computed, and the reservations."""
        notices = self.resident.encoded.notices if self.resident else ()
        return [*notices, *self.reservations]

    @property
    def document(self) -> SessionFile:
        """Everything that was done to the scan."""
        checkpoint = CheckpointReference(name=self.model, sha256=self.checkpoint_hash)
        return SessionFile.of(self.session, self.identity, checkpoint)

    def close(self) -> None:
        """Delete the scan's files."""
        shutil.rmtree(self.source.folder, ignore_errors=True)


class SessionStore:
    """Open scans by page, the least recently used first.

    What is in memory stays within a budget by evicting the least recently used *resident* scans,
    never one at work nor the one used last; clicks and rounds stay. A page that closes is
    forgotten whole, and so is the least recently used idle one beyond a number of pages. A page
    that comes back after that opens its scan again by itself and hands over its clicks.

    Args:
        budget_bytes: Bytes that resident scans may hold together.
        idle_seconds: After this time without use a scan is evicted.
        forget_seconds: After this time without use a page that never said goodbye is forgotten.
        clock: Seconds that only grow.
        pages: Pages that all people may have open together.
        pages_each: Pages that one person may have open.
    """

    def __init__(
        self,
        budget_bytes: int,
        idle_seconds: float,
        forget_seconds: float,
        clock: Callable[[], float] = time.monotonic,
        *,
        pages: int = 512,
        pages_each: int = 64,
    ):
        self._budget_bytes = budget_bytes
        self._idle_seconds = idle_seconds
        self._forget_seconds = forget_seconds
        self._clock = clock
        self._pages = pages
        self._pages_each = pages_each
        self._scans: OrderedDict[SessionKey, OpenScan] = OrderedDict()
        self._at_work: dict[SessionKey, int] = {}
        self._order: dict[SessionKey, threading.Lock] = {}
        self._closed_at_work: set[SessionKey] = set()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._scans)

    @property
    def budget_bytes(self) -> int:
        """Bytes that resident scans may hold together."""
        return self._budget_bytes

    @property
    def nbytes(self) -> int:
        """Bytes that resident scans hold now."""
        with self._lock:
            return self._held_bytes()

    @property
    def resident_count(self) -> int:
        """How many scans are in memory now."""
        with self._lock:
            return sum(scan.resident is not None for scan in self._scans.values())

    def get(self, key: SessionKey) -> OpenScan | None:
        """The scan that a page has open; looking does not count as use."""
        with self._lock:
            return self._scans.get(key)

    def open_scans(self) -> list[OpenScan]:
        """All scans that are open now, the least recently used first."""
        with self._lock:
            return list(self._scans.values())

    def put(self, key: SessionKey, scan: OpenScan) -> None:
        """Open a scan on a page, in place of the one that it had open.

        A page that was closed while its scan was being encoded keeps nothing.
        """
        with self._lock:
            if key in self._closed_at_work:
                scan.close()
                return
            gone = [self._scans.pop(key)] if key in self._scans else []
            self._scans[key] = scan
            self._touch(key)
            own = [page for page in self._scans if page.user == key.user]
            gone += self._forget_idle(len(own) - self._pages_each, own)
            gone += self._forget_idle(len(self._scans) - self._pages, list(self._scans))
            self._evict()
        for one in gone:
            one.close()

    def drop(self, key: SessionKey) -> None:
        """Forget a page that has closed."""
        with self._lock:
            scan = self._scans.pop(key, None)
            if key in self._at_work:
                self._closed_at_work.add(key)
        if scan is not None:
            scan.close()

    def forget_least_recent(self) -> bool:
        """Forget the idle page that was used least recently; whether there was one.

        The page that was used last is not idle.
        """
        with self._lock:
            gone = self._forget_idle(1, list(self._scans))
        for scan in gone:
            scan.close()
        return bool(gone)

    @contextmanager
    def at_work(self, key: SessionKey) -> Iterator[OpenScan | None]:
        """The scan that a page has open, safe from eviction inside the ``with`` block.

        What one page asks for is done one after the other.
        """
        with self._lock:
            self._at_work[key] = self._at_work.get(key, 0) + 1
            order = self._order.setdefault(key, threading.Lock())
        try:
            with order:
                with self._lock:
                    scan = self._scans.get(key)
                    self._touch(key)
                yield scan
        finally:
            with self._lock:
                self._at_work[key] -= 1
                if self._at_work[key] == 0:
                    del self._at_work[key], self._order[key]
                    self._closed_at_work.discard(key)
                self._touch(key)
                self._evict()

    def sweep(self) -> None:
        """Evict scans that have been idle, and forget pages that have been silent, for too long."""
        forgotten = []
        with self._lock:
            now = self._clock()
            for key, scan in list(self._scans.items()):
                idle = 0.0 if key in self._at_work else now - scan.last_used
                if idle > self._forget_seconds:
                    forgotten.append(self._scans.pop(key))
                elif idle > self._idle_seconds:
                    scan.resident = None
        for scan in forgotten:
            scan.close()

    def _touch(self, key: SessionKey) -> None:
        if key in self._scans:
            self._scans[key].last_used = self._clock()
            self._scans.move_to_end(key)

    def _forget_idle(self, count: int, pages: list[SessionKey]) -> list[OpenScan]:
        """Take so many pages out, those first that were used least recently, but never the last."""
        idle = [page for page in pages[:-1] if page not in self._at_work]
        return [self._scans.pop(page) for page in idle[: max(0, count)]]

    def _evict(self) -> None:
        for key in list(self._scans)[:-1]:
            if self._held_bytes() <= self._budget_bytes:
                return
            if key not in self._at_work:
                self._scans[key].resident = None

    def _held_bytes(self) -> int:
        return sum(scan.resident.nbytes for scan in self._scans.values() if scan.resident)
