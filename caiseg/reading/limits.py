"""How large a scan may be, which its header is held to before memory is taken for it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from caiseg.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Limits:
    """What a reader may ask for.

    Attributes:
        voxels: Largest number of voxels in a file, over all of its volumes.
        memory: Bytes that reading may take at once; None for as many as there are.
    """

    voxels: int
    memory: int | None = None

    def check_size(self, shape: Sequence[int]) -> None:
        """Refuse sizes that are no size, or too large.

        Raises:
            InvalidInput: A dimension is not positive, or there are too many voxels.
        """
        if any(length < 1 for length in shape):
            raise InvalidInput(
                f"The header gives the scan's size as {_size(shape)} voxels, which is no size; "
                "export it again."
            )
        if math.prod(int(length) for length in shape) > self.voxels:
            raise InvalidInput(
                f"The header gives the scan's size as {_size(shape)} voxels, more than the "
                f"{self.voxels:,} that are accepted; crop it around the region of interest or "
                "resample it."
            )

    def check_memory(self, shape: Sequence[int], needed: int) -> None:
        """Refuse a scan that takes too much memory to read.

        Args:
            shape: Its size in voxels.
            needed: Bytes that are held at once while it is read.

        Raises:
            InvalidInput: That is more than the limit.
        """
        if self.memory is not None and needed > self.memory:
            raise InvalidInput(
                f"Reading {_size(shape)} voxels of this type takes {_gib(needed)} of memory, and "
                f"{_gib(self.memory)} may be used for it; crop the scan around the region of "
                "interest or resample it."
            )


def _size(shape: Sequence[int]) -> str:
    return " × ".join(str(int(length)) for length in shape)


def _gib(count: int) -> str:
    return f"{count / 2**30:.3g} GiB"
