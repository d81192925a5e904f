"""One piece of the network's work at a time, in the order in which people asked for it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager


class Turns:
    """A lock that is handed on in order of arrival.

    A click is one piece of work, and so is a patch of a scan that is being encoded: whoever
    encodes gives way after each, so a click never waits for somebody else's whole scan.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken = False
        self._line: deque[threading.Event] = deque()

    @property
    def waiting(self) -> int:
        """How many wait for their turn."""
        return len(self._line)

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for one's turn, and have it until the ``with`` block ends."""
        self._take()
        try:
            yield
        finally:
            self._hand_on()

    def give_way(self) -> None:
        """In the middle of one's turn, let those who wait now come first."""
        with self._lock:
            if not self._line:
                return
            mine = threading.Event()
            self._line.append(mine)
            self._line.popleft().set()
        mine.wait()

    def _take(self) -> None:
        with self._lock:
            if not self._taken:
                self._taken = True
                return
            mine = threading.Event()
            self._line.append(mine)
        mine.wait()

    def _hand_on(self) -> None:
        with self._lock:
            if self._line:
                self._line.popleft().set()
            else:
                self._taken = False
