"""What a mask measures, and its surface for the 3-D view."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.measure import marching_cubes

from app.diameters import Diameters, axial_diameters
from caiseg.annotation.objects import AnnotatedObject, Scene
from caiseg.annotation.packed_mask import PackedMask
from caiseg.grids import Grid

# A mesh of this many voxels a side is as fine as the small 3-D view can show.
_SURFACE_VOXELS = 72


@dataclass(frozen=True, slots=True)
class Measurement:
    """What is known about one object.

    Attributes:
        object_id: Of the object.
        name: Its name.
        millilitres: Volume in mL.
        diameters: Longest axial diameter and its perpendicular; none for an empty mask.
        components: Number of 26-connected components.
        mean_intensity: Mean of the scan inside the mask; none for an empty mask, or while the
            scan is not in memory.
        clicks: Clicks used.
    """

    object_id: int
    name: str
    millilitres: float
    diameters: Diameters | None
    components: int
    mean_intensity: float | None
    clicks: int

    def to_json(self) -> dict[str, Any]:
        """What the page shows: lengths in mm, ends of the diameters in voxels ``(i, j)``."""
        found = self.diameters
        return {
            "id": self.object_id,
            "millilitres": self.millilitres,
            "longest": found and found.longest_mm,
            "perpendicular": found and found.perpendicular_mm,
            "slice": found and found.slice,
            "ends": found and [found.longest_ends.tolist(), found.perpendicular_ends.tolist()],
            "components": self.components,
            "intensity": self.mean_intensity,
            "clicks": self.clicks,
        }


def measure(
    item: AnnotatedObject, mask: PackedMask, grid: Grid, data: NDArray[Any] | None
) -> Measurement:
    """Measure one object.

    Args:
        item: The object.
        mask: Its own voxels, on ``grid``.
        grid: The display grid.
        data: The scan's intensities on that grid; None while they are not in memory.
    """
    intensity = None
    if data is not None and mask.voxels:
        intensity = float(data[mask.box][mask.crop()].mean(dtype=np.float64))
    return Measurement(
        object_id=item.object_id,
        name=item.name,
        millilitres=millilitres(mask, grid),
        diameters=axial_diameters(mask, grid),
        components=component_count(mask),
        mean_intensity=intensity,
        clicks=len(item.round.clicks),
    )


def measure_all(scene: Scene, grid: Grid, data: NDArray[Any] | None) -> list[Measurement]:
    """Measure every object of a scan, in the order of the list."""
    return [measure(item, scene.masks[item.object_id], grid, data) for item in scene.objects]


def volume_history(item: AnnotatedObject, grid: Grid) -> list[dict[str, float]]:
    """The volume of an object after each of its rounds, and the clicks that it took till then."""
    return [
        {"clicks": len(done.clicks), "millilitres": millilitres(done.mask, grid)}
        for done in item.round.history
    ]


def millilitres(mask: PackedMask, grid: Grid) -> float:
    """Volume of a mask in mL."""
    return mask.voxels * abs(float(np.linalg.det(grid.affine[:3, :3]))) / 1000


def component_count(mask: PackedMask) -> int:
    """Number of 26-connected components of a mask."""
    _, count = ndimage.label(mask.crop(), structure=np.ones((3, 3, 3)))
    return int(count)


def surface(mask: PackedMask, grid: Grid) -> dict[str, Any]:
    """Triangulate the boundary of a mask.

    Args:
        mask: A mask on ``grid``.
        grid: The display grid.

    Returns:
        A JSON document: ``vertices``, base64 of little-endian float32 triples in RAS+ mm, and
        ``faces``, base64 of little-endian uint32 triples; both empty for an empty mask.
    """
    if mask.voxels == 0:
        return {"vertices": "", "faces": ""}
    step = [max(1, -(-size // _SURFACE_VOXELS)) for size in mask.size]
    # A border of zeros closes the surface at the edge of the scan.
    coarse = np.pad(_block_mean(mask.crop(), step), 1)
    smooth = ndimage.gaussian_filter(coarse, 0.6)
    level = 0.5 * float(smooth.max())
    vertices, faces, _, _ = marching_cubes(smooth, level)
    centres = np.array(mask.start) + (np.array(step) - 1) / 2
    world = grid.voxel_to_world((vertices - 1) * step + centres)
    return {"vertices": _base64(world.astype("<f4")), "faces": _base64(faces.astype("<u4"))}


def _block_mean(mask: NDArray[np.bool_], step: list[int]) -> NDArray[np.float32]:
    """Average over blocks of ``step`` voxels; the last, incomplete blocks count as padded by 0."""
    padding = [(0, -size % factor) for size, factor in zip(mask.shape, step, strict=True)]
    padded = np.pad(mask, padding)
    i, j, k = (size // factor for size, factor in zip(padded.shape, step, strict=True))
    blocks = padded.reshape(i, step[0], j, step[1], k, step[2])
    means: NDArray[np.float32] = blocks.mean(axis=(1, 3, 5), dtype=np.float32)
    return means


def _base64(array: NDArray[Any]) -> str:
    return base64.b64encode(array.tobytes()).decode("ascii")
