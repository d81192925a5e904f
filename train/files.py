"""Files that appear complete or not at all."""

from __future__ import annotations

import glob
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from safetensors import SafetensorError

from caiseg.errors import InvalidInput

_PARTIAL = ".part"


class CannotWrite(InvalidInput):
    """The disk refuses a file, so that nothing else can be written either."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A name beside ``path`` for a file that takes its place once it is written completely.

    The folder is created when missing. Only write within the block: every ``OSError`` in it is
    taken for the disk's.

    Raises:
        CannotWrite: The disk is full or the folder cannot be written.
    """
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex}{_PARTIAL}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        partial.replace(path)
    except (OSError, SafetensorError) as error:
        cause = getattr(error, "strerror", None) or error
        raise CannotWrite(
            f"{path} cannot be written ({cause}); free some disk space or choose another folder."
        ) from error
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def remove_partial(path: Path) -> None:
    """Remove what processes that were killed within :func:`replacing` left beside ``path``."""
    for partial in path.parent.glob(f".{glob.escape(path.name)}.*{_PARTIAL}"):
        with suppress(OSError):
            partial.unlink()
