"""The app as a process that can be stopped in the middle of its work.

``python -m tests.app.held_app FOLDER …`` is ``python app.py …``, but before the work named by a
FIFO in the folder begins, somebody has to write into that FIFO: who opens it for writing knows that
the server has come that far, and that it stays there.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import wraps
from pathlib import Path
from typing import Any

import typer

HOLDS = ("encode", "answer")
"""Encoding a scan, and answering a click."""


@contextmanager
def held(folder: Path, what: str) -> Iterator[Callable[[], None]]:
    """Stop a server that is about to do something, until the ``with`` block ends.

    Args:
        folder: The server's folder of FIFOs.
        what: One of :data:`HOLDS`.

    Yields:
        A function that returns when the server has stopped there.
    """
    fifo = folder / what
    os.mkfifo(fifo)
    with ExitStack() as exits:

        def wait_for_server() -> None:
            # Opens when the server opens the other end.
            exits.enter_context(fifo.open("w"))
            fifo.unlink()

        yield wait_for_server


def _holding(work: Callable[..., Any], fifo: Path) -> Callable[..., Any]:
    @wraps(work)
    def wait_and_work(*inputs: Any, **settings: Any) -> Any:
        if fifo.exists():
            fifo.read_text()
        return work(*inputs, **settings)

    return wait_and_work


def _hold(folder: Path) -> None:
    from app.network_work import NetworkWork

    for method, what in zip(("encode", "answering"), HOLDS, strict=True):
        setattr(NetworkWork, method, _holding(getattr(NetworkWork, method), folder / what))


if __name__ == "__main__":
    from app.cli import main

    folder, *sys.argv[1:] = sys.argv[1:]
    _hold(Path(folder))
    typer.run(main)
