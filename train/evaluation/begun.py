"""Marks of cases that are being evaluated: what ends every run at one case is found out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from caiseg.errors import InvalidInput
from train.files import replacing

MOST_ENDS = 2
"""Runs may end for reasons of their own, a time limit, say; hardly twice at one case."""


@contextmanager
def begun(part: Path, *, resume: bool) -> Iterator[None]:
    """Leave a mark beside the rows of a case for as long as it is evaluated.

    A process that the kernel ends, because the memory is full, leaves its mark behind.

    Args:
        part: Where the rows go.
        resume: Whether the marks of earlier runs count.

    Raises:
        InvalidInput: Two runs have ended at this case already.
        CannotWrite: The mark cannot be written.
    """
    mark = part.with_suffix(".begun")
    ends = _count(mark) if resume else 0
    if ends >= MOST_ENDS:
        raise InvalidInput(
            f"{ends} runs ended while they evaluated this case, most likely because the memory was "
            f"full; to try it again, delete {mark.parent.name}/{mark.name}."
        )
    with replacing(mark) as partial:
        partial.write_text(f"{ends + 1}\n", encoding="utf-8")
    try:
        yield
    finally:
        mark.unlink(missing_ok=True)


def _count(mark: Path) -> int:
    try:
        return int(mark.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return 0
