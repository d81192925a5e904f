"""The brush: a ball, round in millimetres, drawn along a line of voxels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from caiseg.annotation.packed_mask import BoolArray, PackedMask, triple
from caiseg.errors import InvalidInput
from caiseg.grids import Shape, Spacing

MAX_RADIUS_MM = 50.0
MAX_POINTS = 5000


@dataclass(frozen=True, slots=True)
class Stroke:
    """One stroke of the brush.

    A voxel is in the stroke when its centre lies within the radius of the line through the
    centres of the path's voxels, measured in millimetres. ``brush.js`` works it out by the same
    arithmetic, so what a person sees while drawing is what they get.

    Attributes:
        paint: Whether voxels are painted; otherwise they are erased.
        path: Voxels ``(i, j, k)`` of the display grid that the pointer passed, in order.
        radius_mm: Radius of the ball.

    Raises:
        InvalidInput: There is no path, it is too long, or the radius is out of range.
    """

    paint: bool
    path: tuple[Shape, ...]
    radius_mm: float

    def __post_init__(self) -> None:
        if not 0 < len(self.path) <= MAX_POINTS:
            raise InvalidInput(
                f"A stroke has 1 to {MAX_POINTS} points, not {len(self.path)}; draw it in parts."
            )
        if not (math.isfinite(self.radius_mm) and 0 < self.radius_mm <= MAX_RADIUS_MM):
            raise InvalidInput(
                f"The brush has a radius of up to {MAX_RADIUS_MM:g} mm, not {self.radius_mm}; "
                "choose one in that range."
            )

    def voxels(self, shape: Shape, spacing: Spacing) -> PackedMask:
        """The voxels under the stroke.

        Args:
            shape: Size ``(I, J, K)`` of the display grid.
            spacing: Distance of its voxels along each axis, in mm.

        Raises:
            InvalidInput: The path leaves the grid.
        """
        path = np.array(self.path)
        if path.min() < 0 or np.any(path >= np.array(shape)):
            raise InvalidInput("The stroke begins outside the scan; draw inside it.")
        reach = np.ceil(self.radius_mm / np.array(spacing)).astype(int)
        start = np.maximum(path.min(axis=0) - reach, 0)
        stop = np.minimum(path.max(axis=0) + reach + 1, shape)
        crop: BoolArray = np.zeros(tuple(stop - start), dtype=bool)
        # A single point is a line of no length.
        for segment in pairwise(self.path if len(self.path) > 1 else self.path * 2):
            ends = np.array(segment)
            low = np.maximum(ends.min(axis=0) - reach, start)
            high = np.minimum(ends.max(axis=0) + reach + 1, stop)
            box = tuple(slice(a, b) for a, b in zip(low - start, high - start, strict=True))
            crop[box] |= _near_line(low, high, segment, spacing, self.radius_mm)
        return PackedMask.pack_crop(crop, triple(start), shape)

    def to_json(self) -> dict[str, Any]:
        """This stroke as plain JSON types."""
        return {"path": [list(voxel) for voxel in self.path], "radius": self.radius_mm}

    @classmethod
    def from_json(cls, paint: bool, document: Any) -> Stroke:
        """The inverse of :meth:`to_json`.

        Raises:
            InvalidInput: The document is no stroke.
        """
        try:
            path = tuple(triple(voxel) for voxel in document["path"])
            return cls(paint, path, float(document["radius"]))
        except InvalidInput:
            raise
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise InvalidInput(f"A brush stroke cannot be read: {error}; draw it again.") from error


def _near_line(
    low: np.typing.NDArray[np.int64],
    high: np.typing.NDArray[np.int64],
    segment: tuple[Shape, Shape],
    spacing: Spacing,
    radius_mm: float,
) -> BoolArray:
    """Which voxels of the box ``low`` to ``high`` lie within the radius of a line, in mm.

    The order of the operations is that of ``brush.js``: both then round alike.
    """
    (i0, j0, k0), (i1, j1, k1) = segment
    si, sj, sk = spacing
    di, dj, dk = (i1 - i0) * si, (j1 - j0) * sj, (k1 - k0) * sk
    pi = ((np.arange(low[0], high[0]) - i0) * si)[:, None, None]
    pj = ((np.arange(low[1], high[1]) - j0) * sj)[None, :, None]
    pk = ((np.arange(low[2], high[2]) - k0) * sk)[None, None, :]
    length = di * di + dj * dj + dk * dk
    along = pi * di + pj * dj + pk * dk
    share = np.clip(along / length, 0.0, 1.0) if length > 0 else np.zeros_like(along)
    ei, ej, ek = pi - share * di, pj - share * dj, pk - share * dk
    near: BoolArray = ei * ei + ej * ej + ek * ek <= radius_mm * radius_mm
    return near
