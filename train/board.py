"""Curves and pictures of a run, for TensorBoard."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.summary.writer.record_writer import RecordWriter
from torch.utils.tensorboard import summary

from train.files import CannotWrite
from train.pictures import Picture

_FILE_VERSION = "brain.Event:2"


class Board:
    """Writes events that ``tensorboard --logdir RUN`` shows; a context that closes their file.

    Places in the training are counted in optimizer steps. Records are written by the caller's own
    thread: the one of ``SummaryWriter`` would meet a full disk with a traceback of its own.

    Args:
        folder: For event files; each start of a run adds one.
        resumed_at: Events from this step on are forgotten, which a run that is resumed writes
            again; ``None`` in a new run.

    Raises:
        CannotWrite: The disk is full or the folder cannot be written. So do all methods.
    """

    def __init__(self, folder: Path, resumed_at: int | None = None):
        self.folder = folder
        # The name's order is that in which TensorBoard reads the files of a run.
        name = f"events.out.tfevents.{time.time():017.6f}.{socket.gethostname()}.{os.getpid()}"
        with self._writing():
            folder.mkdir(parents=True, exist_ok=True)
            self._file = (folder / name).open("wb")
            self._records = RecordWriter(self._file)
            self._write(file_version=_FILE_VERSION)
            if resumed_at is not None:
                start = SessionLog(status=SessionLog.START)
                self._write(step=resumed_at, session_log=start)

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        """Add one point to each curve."""
        with self._writing():
            for name, value in values.items():
                self._write(step=step, summary=summary.scalar(name, value))

    def picture(self, name: str, picture: Picture, step: int) -> None:
        """Add an RGB image of shape ``(height, width, 3)``."""
        with self._writing():
            self._write(step=step, summary=summary.image(name, picture, dataformats="HWC"))

    def flush(self) -> None:
        """Have everything on the disk."""
        with self._writing():
            self._file.flush()

    def __enter__(self) -> Board:
        return self

    def __exit__(self, *_: object) -> None:
        with self._writing():
            self._file.close()

    def _write(self, **event: Any) -> None:
        self._records.write(Event(wall_time=time.time(), **event).SerializeToString())

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            with suppress(OSError, AttributeError):  # there may be no file, and it may be full
                self._file.close()
            raise CannotWrite(
                f"{self.folder} cannot be written ({error.strerror or error}); free some disk "
                "space and use --resume."
            ) from error
