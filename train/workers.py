"""Work shared by processes, one of which may be lost."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context
from typing import TypeVar

import SimpleITK as sitk
import torch

from caiseg.errors import InvalidInput

Item = TypeVar("Item")
Result = TypeVar("Result")


def map_in_workers(
    function: Callable[[Item], Result], items: Sequence[Item], workers: int
) -> Iterator[Result]:
    """Yield ``function`` of every item, in order.

    Args:
        function: Picklable.
        items: What to work on.
        workers: Processes to share the work; 0 does it in this one.

    Raises:
        InvalidInput: A worker died. What ``function`` raises is raised here as well, and in both
            cases no further item is begun.
    """
    if workers == 0:
        yield from map(function, items)
        return
    try:
        with worker_pool(workers) as pool:
            yield from pool.map(function, items)
    except BrokenProcessPool as error:
        raise InvalidInput(
            "A worker process was lost, most likely because the memory was full; run the command "
            "again with fewer --workers, which keeps what is finished."
        ) from error


@contextmanager
def worker_pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    """Processes that share this one's threads; leaving the block drops what has not begun."""
    # Forked processes would inherit the locks of the threads that draw the progress bar.
    pool = ProcessPoolExecutor(
        workers, get_context("spawn"), initializer=_start, initargs=(threads_of(workers),)
    )
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def threads_of(workers: int) -> int:
    """CPU threads of each of so many processes; all of this one's for a single one, or none."""
    return max(1, torch.get_num_threads() // max(1, workers))


def _start(threads: int) -> None:
    """Compute with so many threads, and leave Ctrl-C to the process that waits for this one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(threads)
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(threads)
