"""The surface of a mask as a file: STL or PLY, for printing, planning and 3-D programs.

Coordinates are millimetres in the scan's world, RAS+: x grows to the patient's right, y to the
front, z to the head. DICOM viewers and ITK-SNAP count x and y the other way (LPS).
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from skimage.measure import marching_cubes

from caiseg.annotation.packed_mask import PackedMask
from caiseg.errors import InvalidInput
from caiseg.grids import Grid

SurfaceFormat = Literal["stl", "ply"]
_COORDINATES = "mm, RAS+ (x right, y anterior, z superior)"


def write_surface(mask: PackedMask, grid: Grid, path: Path) -> None:
    """Write the boundary of a mask, halfway between its voxels and those around it.

    Args:
        mask: A mask on ``grid``.
        grid: The display grid.
        path: Ends in ``.stl`` or ``.ply``; both are written binary.

    Raises:
        InvalidInput: The mask is empty.
    """
    if mask.voxels == 0:
        raise InvalidInput("The mask is empty, so it has no surface; click on the lesion first.")
    vertices, triangles = triangulate(mask, grid)
    write = _write_stl if path.suffix == ".stl" else _write_ply
    write(path, vertices, triangles)


def triangulate(mask: PackedMask, grid: Grid) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """The closed surface of a mask at the scan's full resolution.

    Returns:
        Vertices ``(n, 3)`` in mm, RAS+, and triangles ``(m, 3)`` of their indices, each seen
        counter-clockwise from outside.
    """
    # A border of zeros closes the surface at the edge of the scan.
    padded = np.pad(mask.crop(), 1).astype(np.float32)
    vertices, triangles, _, _ = marching_cubes(padded, 0.5, gradient_direction="ascent")
    world = grid.voxel_to_world(vertices - 1 + np.array(mask.start))
    return world.astype(np.float32), triangles.astype(np.int32)


def _write_stl(path: Path, vertices: NDArray[np.float32], triangles: NDArray[np.int32]) -> None:
    corners = vertices[triangles]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    lengths = np.linalg.norm(normals, axis=1, keepdims=True)
    facets = np.zeros(
        len(triangles), dtype=[("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("unused", "<u2")]
    )
    facets["normal"] = np.divide(normals, lengths, out=np.zeros_like(normals), where=lengths > 0)
    facets["corners"] = corners
    header = f"CAISeg surface, {_COORDINATES}".encode("ascii").ljust(80)
    path.write_bytes(header + np.uint32(len(triangles)).tobytes() + facets.tobytes())


def _write_ply(path: Path, vertices: NDArray[np.float32], triangles: NDArray[np.int32]) -> None:
    header = "\n".join(
        (
            "ply",
            "format binary_little_endian 1.0",
            f"comment CAISeg surface, {_COORDINATES}",
            f"element vertex {len(vertices)}",
            "property float x",
            "property float y",
            "property float z",
            f"element face {len(triangles)}",
            "property list uchar int vertex_indices",
            "end_header\n",
        )
    )
    faces = np.zeros(len(triangles), dtype=[("count", "u1"), ("corners", "<i4", 3)])
    faces["count"], faces["corners"] = 3, triangles
    path.write_bytes(header.encode("ascii") + vertices.astype("<f4").tobytes() + faces.tobytes())
