"""Work in threads of its own: long work that says how far it is, and loading that leaves no trace.

Each thread that computes with PyTorch keeps OpenMP's threads for itself as long as it lives. Where
there are more of these than cores they sleep at every barrier, and small operations take twice as
long. So clicks have one thread (:mod:`app.network_work`); all else computes in threads that end.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

R = TypeVar("R")
T = TypeVar("T")
U = TypeVar("U")
Report = Callable[[R], None]


class _Outcome(Generic[T]):
    """What the thread leaves behind: a value or an exception."""

    value: T
    error: BaseException | None = None


class _Abandoned(Exception):
    """Nobody waits for the work any more."""


def with_reports(work: Callable[[Report[R]], T], say: Callable[[R], U]) -> Generator[U, None, T]:
    """Run ``work`` in a thread, and tell how far it is while it runs.

    Args:
        work: Gets a function to call with how far it is. Once the generator has been closed, the
            next call ends the work.
        say: Turns the newest report into what is yielded.

    Returns:
        What ``work`` returns, as the value of ``yield from``; what it raises is raised here.
    """
    reports: queue.SimpleQueue[R | None] = queue.SimpleQueue()
    outcome: _Outcome[T] = _Outcome()
    abandoned = threading.Event()

    def report(progress: R) -> None:
        if abandoned.is_set():
            raise _Abandoned
        reports.put(progress)

    def run() -> None:
        try:
            outcome.value = work(report)
        except BaseException as error:
            outcome.error = error
        finally:
            reports.put(None)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        while (progress := _newest(reports)) is not None:
            yield say(progress)
    finally:
        abandoned.set()
        # Also when the person has left: two pieces of work must not share the processor's memory.
        thread.join()
    if outcome.error is not None:
        raise outcome.error
    return outcome.value


def apart(work: Callable[[], T]) -> T:
    """Run ``work`` in a thread that ends with it, and wait for it."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(work).result()


def _newest(reports: queue.SimpleQueue[R | None]) -> R | None:
    report = reports.get()
    while report is not None and not reports.empty():
        report = reports.get()
    return report
