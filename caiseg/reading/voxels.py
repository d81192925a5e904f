"""Voxel values: which types are read, how they are kept, and what is repaired."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from caiseg.errors import InvalidInput

_KEPT = {"u1": np.uint8, "i1": np.int16, "i2": np.int16, "u2": np.uint16}


def compact(
    stored: npt.NDArray[Any], scaling: tuple[float, float] | None = None
) -> npt.NDArray[Any]:
    """Scale stored values and choose the type to keep them in.

    Small integers without scaling stay integers, which takes a half or a quarter of the memory;
    everything else becomes float32.

    Args:
        stored: Voxels of any real type and byte order.
        scaling: Slope and intercept of the header's linear scaling; None for no scaling.
    """
    if scaling is None or scaling == (1.0, 0.0):
        kept = _KEPT.get(stored.dtype.str[1:], np.float32)
        # Values beyond float32 become infinite, and repair() reports them.
        with np.errstate(over="ignore", invalid="ignore"):
            return stored.astype(kept, copy=False)
    slope, intercept = scaling
    scaled = np.empty(stored.shape, dtype=np.float32, order="F")
    with np.errstate(over="ignore", invalid="ignore"):
        for index in range(stored.shape[-1]):
            scaled[..., index] = stored[..., index].astype(np.float64) * slope + intercept
    return scaled


def repair(data: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], list[str]]:
    """Replace voxels that are not finite, and notice scans with nothing to see.

    Args:
        data: Voxels ``(I, J, K)``; changed in place where it is floating.

    Returns:
        The voxels, all finite, and one notice for each reservation.

    Raises:
        InvalidInput: No voxel is finite.
    """
    notices = []
    if np.issubdtype(data.dtype, np.floating):
        finite = np.isfinite(data)
        broken = data.size - int(np.count_nonzero(finite))
        if broken == data.size:
            raise InvalidInput("The scan holds no finite value at all; export it again.")
        if broken:
            minimum = data.min(where=finite, initial=np.inf)
            data[~finite] = minimum
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


def _count(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"
