"""Checks of a scan's place in space that every format shares."""

from __future__ import annotations

import numpy as np

from caiseg.errors import InvalidInput
from caiseg.reading.scan import FloatArray

MIN_SPACING_MM, MAX_SPACING_MM = 1e-5, 1e3
MAX_OFFSET_MM = 1e6
MIN_RELATIVE_VOLUME = 1e-3
"""Volume of a voxel relative to a box with the same edges; below it, the axes are in a plane."""
MAX_COSINE = 1e-3
"""Cosine between two axes beyond which an affine counts as sheared; rounding stays below."""


def check_affine(affine: FloatArray) -> list[str]:
    """Refuse affines that place voxels nowhere.

    Args:
        affine: 4x4 matrix from voxel to world coordinates in mm.

    Returns:
        Notices about what is unusual.

    Raises:
        InvalidInput: The affine is not finite, singular, or implausible.
    """
    if not np.isfinite(affine).all():
        raise InvalidInput(
            "The scan's orientation matrix holds values that are not numbers; export it again "
            "with a valid orientation."
        )
    axes = affine[:3, :3]
    spacing = np.linalg.norm(axes, axis=0)
    if (spacing == 0).any() or abs(np.linalg.det(axes / spacing)) < MIN_RELATIVE_VOLUME:
        raise InvalidInput(
            "The scan's orientation matrix is singular (its axes do not span space); export it "
            "again with a valid orientation."
        )
    if spacing.min() < MIN_SPACING_MM or spacing.max() > MAX_SPACING_MM:
        size = " × ".join(f"{step:.3g}" for step in spacing)
        raise InvalidInput(
            f"The header gives the voxel size as {size} mm, which cannot be; correct the spacing."
        )
    if np.abs(affine[:3, 3]).max() > MAX_OFFSET_MM:
        raise InvalidInput(
            "The header places the scan more than a kilometre from the origin; correct its origin."
        )
    if is_sheared(affine):
        return [
            "The scan's axes are not perpendicular (its orientation matrix has shear): it is "
            "processed voxel by voxel, and masks keep the matrix as it is."
        ]
    return []


def is_sheared(affine: FloatArray) -> bool:
    """Whether the axes of a 4x4 affine are not perpendicular to each other."""
    axes = affine[:3, :3]
    directions = axes / np.linalg.norm(axes, axis=0)
    cosines = directions.T @ directions - np.eye(3)
    return bool(np.abs(cosines).max() > MAX_COSINE)


def choose_volume(volumes: int, volume_index: int | None) -> int:
    """The index of the volume to read out of ``volumes``; the first one if none is asked for.

    Raises:
        InvalidInput: There is no such volume.
    """
    index = volume_index or 0
    if not 0 <= index < volumes:
        raise InvalidInput(f"There is no volume {index}; the file holds {volumes}, counted from 0.")
    return index
