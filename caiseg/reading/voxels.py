"""Voxel values: which types are read, how they are kept, and what is repaired."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from caiseg.errors import InvalidInput
from caiseg.reading.rounding import Rounding

_KEPT = {"u1": np.uint8, "i1": np.int16, "i2": np.int16, "u2": np.uint16}
_AT_ONCE = 1 << 20
"""Voxels that are looked at together, so that memory stays small beside the scan."""


def kept_type(stored: np.dtype[Any], scaling: tuple[float, float] | None = None) -> np.dtype[Any]:
    """The type that voxels are kept in.

    Small integers without scaling stay integers, which takes a half or a quarter of the memory;
    everything else becomes float32.

    Args:
        stored: Any real type, of any byte order.
        scaling: Slope and intercept of the header's linear scaling; None for no scaling.
    """
    plain = scaling is None or scaling == (1.0, 0.0)
    return np.dtype(_KEPT.get(stored.str[1:], np.float32) if plain else np.float32)


def compact(
    stored: npt.NDArray[Any], scaling: tuple[float, float] | None = None
) -> tuple[npt.NDArray[Any], Rounding]:
    """Scale stored values, in the type of :func:`kept_type`; always a copy.

    Args:
        stored: Voxels of any real type and byte order.
        scaling: Slope and intercept of the header's linear scaling; None for no scaling. Takes
            three times the memory of a float64 for each voxel while it is applied.

    Returns:
        The values, and which of them had to be rounded.
    """
    slope, exact = 1.0, stored
    # Values beyond float32 become infinite, and repair() reports them.
    with np.errstate(over="ignore", invalid="ignore"):
        if scaling is not None and scaling != (1.0, 0.0):
            slope, intercept = scaling
            exact = stored.astype(np.float64) * slope + intercept
        kept = exact.astype(kept_type(stored.dtype, scaling))
    return kept, Rounding.of(exact, kept, stored.dtype, slope)


def repair(data: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], list[str]]:
    """Replace voxels that are not finite, and notice scans with nothing to see.

    Args:
        data: Voxels ``(I, J, K)``, contiguous; changed in place where it is floating.

    Returns:
        The voxels, all finite, and one notice for each reservation.

    Raises:
        InvalidInput: No voxel is finite.
    """
    notices = []
    if np.issubdtype(data.dtype, np.floating):
        finite = sum(int(np.count_nonzero(np.isfinite(part))) for part in _parts(data))
        broken = data.size - finite
        if broken == data.size:
            raise InvalidInput("The scan holds no finite value at all; export it again.")
        if broken:
            minimum = min(
                part.min(where=np.isfinite(part), initial=np.inf) for part in _parts(data)
            )
            for part in _parts(data):
                part[~np.isfinite(part)] = minimum
            notices.append(
                f"{_count(broken, 'voxel is', 'voxels are')} not a finite number; the scan's "
                f"minimum, {minimum:g}, stands in."
            )
    if data.min() == data.max():
        notices.append(
            f"Every voxel of the scan has the same value, {data.flat[0]:g}; nothing can be seen."
        )
    if 1 in data.shape:
        notices.append("The scan is a single slice; results are better on a whole volume.")
    return data, notices


def _parts(data: npt.NDArray[Any]) -> Iterator[npt.NDArray[Any]]:
    """All voxels of a contiguous array, some at a time."""
    flat = data.reshape(-1)
    for start in range(0, flat.size, _AT_ONCE):
        yield flat[start : start + _AT_ONCE]


def _count(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"
