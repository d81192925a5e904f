"""Boxes of a grid, one slice per axis: what holds, meets and contains what."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

Box = tuple[slice, slice, slice]

NOTHING: Box = (slice(0, 0), slice(0, 0), slice(0, 0))
"""A box without a voxel."""


def whole_box(shape: Sequence[int]) -> Box:
    """The box of a whole grid."""
    i, j, k = shape
    return slice(0, i), slice(0, j), slice(0, k)


def hull(boxes: Iterable[Box]) -> Box:
    """The smallest box that holds some, at least one."""
    i, j, k = (
        slice(min(part.start for part in parts), max(part.stop for part in parts))
        for parts in zip(*boxes, strict=True)
    )
    return i, j, k


def meeting(box: Box, other: Box) -> Box | None:
    """What two boxes have in common."""
    i, j, k = (
        slice(max(one.start, two.start), min(one.stop, two.stop))
        for one, two in zip(box, other, strict=True)
    )
    return (i, j, k) if all(part.start < part.stop for part in (i, j, k)) else None


def grown(box: Box, by: Sequence[int], shape: Sequence[int]) -> Box:
    """A box with so many voxels more on both sides along each axis, as far as there are any.

    Args:
        box: Of a grid.
        by: How many.
        shape: Size of the grid.
    """
    i, j, k = (
        slice(max(part.start - more, 0), min(part.stop + more, size))
        for part, more, size in zip(box, by, shape, strict=True)
    )
    return i, j, k


def around(
    voxel: Sequence[int], reach_mm: float, spacing: Sequence[float], shape: Sequence[int]
) -> Box:
    """The box of the voxels of a grid that may lie within so many mm of one."""
    i, j, k = (slice(place, place + 1) for place in voxel)
    return grown((i, j, k), [int(reach_mm / step) for step in spacing], shape)


def moved(box: Box, into: Box) -> Box:
    """A box of a part of a grid, as one of the grid."""
    i, j, k = (
        slice(part.start + whole.start, part.stop + whole.start)
        for part, whole in zip(box, into, strict=True)
    )
    return i, j, k


def relative(box: Box, part: Box) -> Box:
    """A box of a grid, as one of the part of it that it lies in."""
    i, j, k = (
        slice(inner.start - outer.start, inner.stop - outer.start)
        for inner, outer in zip(box, part, strict=True)
    )
    return i, j, k


def occupied(mask: npt.NDArray[np.bool_]) -> Box | None:
    """The smallest box that holds a mask; ``None`` for an empty one."""
    # Plane by plane as they lie in memory.
    order = np.argsort(mask.strides)[::-1]
    laid = mask.transpose(order)
    planes = np.flatnonzero([plane.any() for plane in laid])
    if len(planes) == 0:
        return None
    flat: npt.NDArray[np.bool_] = np.any(laid[planes[0] : planes[-1] + 1], axis=0)
    found = (planes, np.flatnonzero(np.any(flat, axis=1)), np.flatnonzero(np.any(flat, axis=0)))
    parts = [slice(int(places[0]), int(places[-1]) + 1) for places in found]
    i, j, k = (parts[place] for place in np.argsort(order))
    return i, j, k
