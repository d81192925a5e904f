"""The three grids of a scan (native, display, model) and the maps between them.

* The *native* grid is the scan as uploaded.
* The *display* grid is the native grid with its axes permuted and flipped to closest canonical
  RAS+. Nothing is resampled, so the map between the two is exact in both directions.
* The *model* grid divides the field of view of the display grid into voxels of about the spacing
  that the network was trained at.

Voxel coordinates are continuous, ordered ``(i, j, k)``, and integers are voxel *centres*: voxel 0
spans -0.5 to 0.5. World coordinates are millimetres in RAS+.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt

from caiseg.errors import InvalidInput

FloatArray = npt.NDArray[np.float64]
Shape = tuple[int, int, int]
Spacing = tuple[float, float, float]

MAX_MODEL_VOXELS = 2**28
"""Largest model grid, in voxels: 1 GiB of float32. Beyond it, a header's spacing is nonsense."""


@dataclass(frozen=True, eq=False)
class Grid:
    """A regular grid of voxels in space.

    Attributes:
        shape: Number of voxels along ``(i, j, k)``.
        affine: 4x4 matrix from voxel coordinates to world coordinates in mm, RAS+.
    """

    shape: Shape
    affine: FloatArray

    def __post_init__(self) -> None:
        i, j, k = (int(size) for size in self.shape)
        affine = np.array(self.affine, dtype=np.float64)
        affine.flags.writeable = False
        object.__setattr__(self, "shape", (i, j, k))
        object.__setattr__(self, "affine", affine)

    @cached_property
    def spacing(self) -> Spacing:
        """Distance between neighbouring voxel centres along each axis, in mm."""
        i, j, k = (float(length) for length in np.linalg.norm(self.affine[:3, :3], axis=0))
        return (i, j, k)

    @cached_property
    def extent(self) -> Spacing:
        """Size of the field of view along each axis, in mm, from voxel edge to voxel edge."""
        i, j, k = (n * step for n, step in zip(self.shape, self.spacing, strict=True))
        return (i, j, k)

    @cached_property
    def corners(self) -> FloatArray:
        """World coordinates, ``(8, 3)`` in mm, of the outer corners of the field of view."""
        edges = [(-0.5, size - 0.5) for size in self.shape]
        return self.voxel_to_world(np.array(list(itertools.product(*edges))))

    def voxel_to_world(self, points: npt.ArrayLike) -> FloatArray:
        """Map voxel coordinates ``(..., 3)`` to world coordinates ``(..., 3)`` in mm."""
        return _apply_affine(self.affine, points)

    def world_to_voxel(self, points: npt.ArrayLike) -> FloatArray:
        """Map world coordinates ``(..., 3)`` in mm to continuous voxel coordinates."""
        return _apply_affine(self._inverse, points)

    def nearest_voxel(self, points: npt.ArrayLike) -> npt.NDArray[np.int64]:
        """Round voxel coordinates ``(..., 3)`` to indices of this grid, clipped to its border."""
        nearest = np.floor(np.asarray(points, dtype=np.float64) + 0.5)
        return np.clip(nearest, 0, np.array(self.shape) - 1).astype(np.int64)

    def coincides_with(self, other: Grid, tolerance: float = 0.1) -> bool:
        """Whether both grids have the same voxels, to a ``tolerance`` in voxels."""
        if self.shape != other.shape:
            return False
        distances = np.linalg.norm(self.corners - other.corners, axis=1)
        return bool(distances.max() <= tolerance * min(self.spacing))

    @cached_property
    def _inverse(self) -> FloatArray:
        return np.asarray(np.linalg.inv(self.affine), dtype=np.float64)


@dataclass(frozen=True, eq=False)
class Reorientation:
    """The exact map between the native grid and the display grid: axes permuted and flipped.

    Attributes:
        native: The grid as uploaded.
        display: The same voxels in closest canonical RAS+ order.
    """

    native: Grid
    display: Grid
    _orientation: FloatArray

    @classmethod
    def to_canonical(cls, native: Grid) -> Reorientation:
        """Find the axis order and directions that are closest to RAS+."""
        orientation = nib.orientations.io_orientation(native.affine)
        to_native = nib.orientations.inv_ornt_aff(orientation, native.shape)
        axes = np.argsort(orientation[:, 0])
        i, j, k = (native.shape[axis] for axis in axes)
        return cls(native, Grid((i, j, k), native.affine @ to_native), orientation)

    def array_to_display(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Reorder a native array ``(I, J, K)`` to the display grid; contiguous, same dtype."""
        check_shape(array, self.native.shape)
        reordered = nib.orientations.apply_orientation(array, self._orientation)
        return np.ascontiguousarray(reordered)

    def array_to_native(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The inverse of :meth:`array_to_display`."""
        check_shape(array, self.display.shape)
        canonical = nib.orientations.axcodes2ornt("RAS")
        inverse = nib.orientations.ornt_transform(canonical, self._orientation)
        return np.ascontiguousarray(nib.orientations.apply_orientation(array, inverse))

    def points_to_display(self, points: npt.ArrayLike) -> FloatArray:
        """Map native voxel coordinates ``(..., 3)`` to display voxel coordinates."""
        inverse = np.linalg.inv(self._display_to_native)
        return _apply_affine(np.round(inverse), points)

    def points_to_native(self, points: npt.ArrayLike) -> FloatArray:
        """Map display voxel coordinates ``(..., 3)`` to native voxel coordinates."""
        return _apply_affine(self._display_to_native, points)

    @cached_property
    def _display_to_native(self) -> FloatArray:
        matrix: FloatArray = nib.orientations.inv_ornt_aff(self._orientation, self.native.shape)
        return matrix


@dataclass(frozen=True, eq=False)
class ScanGrids:
    """The three grids of one scan, and the maps between display and model voxels.

    The display and model grids share axes and field of view, voxel edge on voxel edge, so
    ``x_model = (x_display + 0.5) · n_model / n_display - 0.5`` along each axis.
    """

    reorientation: Reorientation
    model: Grid

    @classmethod
    def build(cls, native: Grid, target_spacing: Spacing) -> ScanGrids:
        """The grids of a scan for a network trained at ``target_spacing`` (i, j, k) mm.

        Raises:
            InvalidInput: The scan is too large at that spacing.
        """
        reorientation = Reorientation.to_canonical(native)
        return cls(reorientation, model_grid(reorientation.display, target_spacing))

    @property
    def native(self) -> Grid:
        """The grid as uploaded."""
        return self.reorientation.native

    @property
    def display(self) -> Grid:
        """The native grid in closest canonical RAS+ order."""
        return self.reorientation.display

    def display_to_model(self, points: npt.ArrayLike) -> FloatArray:
        """Map display voxel coordinates ``(..., 3)`` to continuous model voxel coordinates."""
        return map_voxels(points, self.display.shape, self.model.shape)

    def model_to_display(self, points: npt.ArrayLike) -> FloatArray:
        """Map model voxel coordinates ``(..., 3)`` to continuous display voxel coordinates."""
        return map_voxels(points, self.model.shape, self.display.shape)

    def nearest_model_voxel(self, points: npt.ArrayLike) -> npt.NDArray[np.int64]:
        """The model voxels that contain display voxel coordinates ``(..., 3)``, clipped."""
        return self.model.nearest_voxel(self.display_to_model(points))


def map_voxels(points: npt.ArrayLike, source: Sequence[int], target: Sequence[int]) -> FloatArray:
    """Map voxel coordinates ``(..., 3)`` between two edge-aligned grids of the same extent.

    Args:
        points: Coordinates on the source grid.
        source: Shape ``(I, J, K)`` of the grid that the points are on.
        target: Shape ``(I, J, K)`` of the grid to map them to.
    """
    ratio = np.asarray(target, dtype=np.float64) / np.asarray(source, dtype=np.float64)
    mapped: FloatArray = (np.asarray(points, dtype=np.float64) + 0.5) * ratio - 0.5
    return mapped


def model_grid(display: Grid, target_spacing: Spacing) -> Grid:
    """Divide the field of view of ``display`` into voxels of about ``target_spacing`` mm.

    Each axis gets ``n = max(1, round(extent / target))`` voxels, so the actual spacing is
    ``extent / n`` and the outer voxel edges of both grids coincide exactly.

    Raises:
        InvalidInput: That would take more than :data:`MAX_MODEL_VOXELS` voxels.
    """
    i, j, k = (
        max(1, round(extent / target))
        for extent, target in zip(display.extent, target_spacing, strict=True)
    )
    if i * j * k > MAX_MODEL_VOXELS:
        size = " × ".join(f"{extent:.0f}" for extent in display.extent)
        raise InvalidInput(
            f"The scan covers {size} mm, which is too much at this model's voxel size; check the "
            "spacing in the scan's header, or crop it around the region of interest."
        )
    ratio = np.array(display.shape) / np.array((i, j, k))
    to_display = np.diag([*ratio, 1.0])
    to_display[:3, 3] = 0.5 * ratio - 0.5
    return Grid((i, j, k), display.affine @ to_display)


def _apply_affine(affine: FloatArray, points: npt.ArrayLike) -> FloatArray:
    mapped: FloatArray = nib.affines.apply_affine(affine, np.asarray(points, dtype=np.float64))
    return mapped


def check_shape(array: npt.NDArray[Any], shape: Shape) -> None:
    """Refuse an array ``(I, J, K)`` that was not made for a grid.

    Raises:
        InvalidInput: Its shape is another.
    """
    if array.shape != shape:
        raise InvalidInput(
            f"An array of size {array.shape} does not fit a scan of size {shape}; "
            "give one that was made for this scan."
        )
