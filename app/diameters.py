"""How long and how wide a mask is in an axial slice, as RECIST measures a lesion."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import ConvexHull, distance

from caiseg.annotation.packed_mask import PackedMask
from caiseg.grids import Grid

FloatArray = NDArray[np.float64]

# Voxels of a slice that touch, also at a corner, are one region.
_TOUCHING = np.ones((3, 3), dtype=bool)


@dataclass(frozen=True, slots=True)
class Diameters:
    """The longest diameter in any axial slice, and the longest one perpendicular to it there.

    Attributes:
        longest_mm: Length of the longest diameter.
        perpendicular_mm: Length of the longest perpendicular diameter in the same slice.
        slice: The axial slice, a ``k`` of the display grid.
        longest_ends: Its two ends ``(2, 2)``, ``(i, j)`` in voxels of the display grid.
        perpendicular_ends: Those of the perpendicular diameter.
    """

    longest_mm: float
    perpendicular_mm: float
    slice: int
    longest_ends: FloatArray
    perpendicular_ends: FloatArray


def axial_diameters(mask: PackedMask, grid: Grid) -> Diameters | None:
    """Measure a mask in the axial slices of the display grid.

    A diameter runs inside the convex hull of *one* region of a slice, so two spots side by side
    are not measured as one. Its ends lie on the outline halfway between a voxel of the mask and
    one outside, where marching squares puts it: ``n`` voxels in a row measure ``n`` voxel sizes.

    Args:
        mask: A mask on ``grid``.
        grid: The display grid; its voxels may be anisotropic, and its axes need not be
            perpendicular.

    Returns:
        The diameters, or None for an empty mask.
    """
    if mask.voxels == 0:
        return None
    crop = mask.crop()
    to_mm = _plane_to_mm(grid)
    best: tuple[float, int, FloatArray, FloatArray] | None = None
    # No diameter is longer than the box round its slice or region: most need not be looked at.
    reach = _slice_reach(crop, to_mm)
    for k in np.argsort(reach)[::-1]:
        if best is not None and best[0] >= reach[k]:
            break
        regions, _ = ndimage.label(crop[:, :, k], structure=_TOUCHING)
        for index, (i, j) in enumerate(ndimage.find_objects(regions), start=1):
            if best is not None and best[0] >= _diagonal(i.stop - i.start, j.stop - j.start, to_mm):
                continue
            corners = np.array([i.start, j.start]) + _outline(regions[i, j] == index)
            hull = _hull(corners, to_mm)
            apart = distance.squareform(distance.pdist(hull @ to_mm.T))
            first, second = np.unravel_index(np.argmax(apart), apart.shape)
            if best is None or apart[first, second] > best[0]:
                best = (float(apart[first, second]), int(k), hull, hull[[first, second]])
    assert best is not None
    longest, k, hull, ends = best
    perpendicular = _longest_perpendicular(hull @ to_mm.T, *(ends @ to_mm.T))
    to_voxels = np.linalg.inv(to_mm).T
    start = np.array(mask.start)
    return Diameters(
        longest_mm=longest,
        perpendicular_mm=float(np.linalg.norm(perpendicular[1] - perpendicular[0])),
        slice=k + mask.start[2],
        longest_ends=ends + start[:2],
        perpendicular_ends=perpendicular @ to_voxels + start[:2],
    )


def _plane_to_mm(grid: Grid) -> FloatArray:
    """2x2 matrix from steps ``(i, j)`` to mm in a plane of their own, exact under shear too."""
    first, second = grid.affine[:3, 0], grid.affine[:3, 1]
    along = first / np.linalg.norm(first)
    across = second - (second @ along) * along
    return np.array(
        [[np.linalg.norm(first), second @ along], [0.0, np.linalg.norm(across)]], dtype=np.float64
    )


def _slice_reach(crop: NDArray[np.bool_], to_mm: FloatArray) -> FloatArray:
    """For each slice of a mask, the diagonal of its bounding box in mm; 0 for an empty slice."""
    widths, heights = (_sides(crop, axis=axis) for axis in (1, 0))
    return np.array([_diagonal(*sides, to_mm) for sides in zip(widths, heights, strict=True)])


def _sides(crop: NDArray[np.bool_], *, axis: int) -> list[int]:
    """For each slice of a mask, how many voxels it reaches across ``axis``, seen along it."""
    occupied: NDArray[np.bool_] = np.asarray(crop.any(axis=axis))
    first, last = occupied.argmax(axis=0), occupied[::-1].argmax(axis=0)
    reach = np.where(occupied.any(axis=0), len(occupied) - last - first, 0)
    return [int(length) for length in reach]


def _diagonal(width: int, height: int, to_mm: FloatArray) -> float:
    diagonals = np.array([(width, height), (width, -height)]) @ to_mm.T
    return float(np.linalg.norm(diagonals, axis=1).max())


def _outline(region: NDArray[np.bool_]) -> FloatArray:
    """Points ``(n, 2)`` between which all points of a region's outline lie, in voxels.

    In each row and each column of the region only the first and last can be corners of the hull.
    """
    rows, columns = (np.flatnonzero(region.any(axis=axis)) for axis in (1, 0))
    across, down = region[rows], region[:, columns].T
    ends = [
        (rows, across.argmax(axis=1) - 0.5),
        (rows, region.shape[1] - 0.5 - across[:, ::-1].argmax(axis=1)),
        (down.argmax(axis=1) - 0.5, columns),
        (region.shape[0] - 0.5 - down[:, ::-1].argmax(axis=1), columns),
    ]
    return np.concatenate([np.stack(pair, axis=1) for pair in ends]).astype(np.float64)


def _hull(points: FloatArray, to_mm: FloatArray) -> FloatArray:
    """The corners of the convex hull, in voxels, one after the other round it."""
    corners: FloatArray = points[ConvexHull(points @ to_mm.T).vertices]
    return corners


def _longest_perpendicular(hull: FloatArray, first: FloatArray, second: FloatArray) -> FloatArray:
    """Ends ``(2, 2)`` in mm of the hull's longest chord at a right angle to a line.

    Along the line the chord's length is concave and linear between corners of the hull, so the
    longest chord passes through a corner.
    """
    along = (second - first) / np.linalg.norm(second - first)
    across = np.array([-along[1], along[0]])
    position, height = hull @ along, hull @ across
    best, length = np.stack([first, first]), -1.0
    following = np.roll(np.arange(len(hull)), -1)
    for place in position:
        low = np.minimum(position, position[following])
        high = np.maximum(position, position[following])
        crossed = (low <= place) & (place <= high)
        step = position[following] - position
        share = np.divide(place - position, step, out=np.zeros_like(step), where=step != 0)
        heights = (height + share * (height[following] - height))[crossed]
        # An edge at a right angle to the line counts with both its ends.
        heights = np.concatenate([heights, height[np.isclose(position, place)]])
        if np.ptp(heights) > length:
            length = float(np.ptp(heights))
            best = np.stack(
                [place * along + heights.min() * across, place * along + heights.max() * across]
            )
    return best
