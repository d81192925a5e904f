"""Irregular lesions: their shapes, and where in a head they lie."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import nibabel as nib
import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from caiseg.errors import InvalidInput
from caiseg.synthetic.config import SyntheticScanConfig
from caiseg.synthetic.noise import smooth_noise

_ATTEMPTS = 200
_SHRINKAGE = 0.98
# A lesion that lost more than this share to the border of the brain looks cut off.
_LEAST_KEPT = 0.6
_CONNECTIVITY = np.ones((3, 3, 3), bool)

Mask = NDArray[np.bool_]
Window = tuple[slice, ...]


@dataclass(frozen=True)
class Lesion:
    """One lesion on the thin-slice grid.

    Attributes:
        window: The box of the grid that holds it; along ``k`` it spans whole slices
            of the scan.
        mask: Its voxels within the box, bool.
    """

    window: Window
    mask: Mask


def place_lesions(
    config: SyntheticScanConfig, room: Mask, slice_averaging: int, rng: np.random.Generator
) -> list[Lesion]:
    """Draw lesions that stay apart, each one piece, before and after slice averaging.

    Args:
        config: Number, size and irregularity of the lesions.
        room: Where lesions may grow, of shape ``config.shape``.
        slice_averaging: Thin slices that one slice of the scan averages; divides ``K``.
        rng: Source of shapes and places.

    Raises:
        InvalidInput: The lesions do not fit, or a file of ``mask_folder`` is no mask.
    """
    room = room.copy()
    number = int(rng.integers(*config.lesion_count, endpoint=True))
    lesions: list[Lesion] = []
    for _ in range(number):
        lesion = _place_lesion(config, room, slice_averaging, rng)
        if lesion is None:
            raise InvalidInput(
                f"There is no room for {number} lesions in a head of {config.shape} voxels, "
                f"only for {len(lesions)}; ask for fewer lesions or a larger shape."
            )
        lesions.append(lesion)
        _keep_clear(room, lesion, slice_averaging)
    return lesions


def average_slices(array: NDArray[np.generic], slices: int) -> NDArray[np.float32]:
    """Mean of every ``slices`` neighbours along ``k``: ``(I, J, K)`` to ``(I, J, K / slices)``."""
    blocks = array.reshape(*array.shape[:2], -1, slices)
    return np.asarray(blocks.mean(axis=3, dtype=np.float32))


def _place_lesion(
    config: SyntheticScanConfig, room: Mask, slice_averaging: int, rng: np.random.Generator
) -> Lesion | None:
    candidates = np.argwhere(room[::2, ::2, ::2]) * 2
    shapes = _draw_shapes(config, rng)
    for _ in range(_ATTEMPTS if len(candidates) else 0):
        shape = next(shapes)
        lesion = grow_at(rng.choice(candidates), shape, room, slice_averaging)
        if lesion.mask.sum() < _LEAST_KEPT * shape.sum():
            continue
        in_scan = average_slices(lesion.mask, slice_averaging) >= 0.5
        if ndimage.label(in_scan, _CONNECTIVITY)[1] == 1:
            return lesion
    return None


def grow_at(centre: ArrayLike, shape: Mask, room: Mask, slice_averaging: int = 1) -> Lesion:
    """Put a shape's middle at a voxel and keep its largest part that lies in the room.

    Args:
        centre: The voxel ``(i, j, k)``.
        shape: Bool, in a box of its own.
        room: Where it may lie, bool ``(I, J, K)``.
        slice_averaging: See :func:`place_lesions`.
    """
    start = np.asarray(centre) - np.asarray(shape.shape) // 2
    stop = start + shape.shape
    low = np.maximum(start, 0)
    high = np.minimum(stop, room.shape)
    low[2] -= low[2] % slice_averaging
    high[2] += -high[2] % slice_averaging
    window = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))

    mask = room[window].copy()
    pad = [(max(a, 0), max(b, 0)) for a, b in zip(start - low, high - stop, strict=True)]
    cut = tuple(
        slice(max(int(a), 0), size - max(int(b), 0))
        for a, b, size in zip(low - start, stop - high, shape.shape, strict=True)
    )
    mask &= np.pad(shape[cut], pad)
    return Lesion(window, _largest_component(mask))


def _largest_component(mask: Mask) -> Mask:
    labels, number = ndimage.label(mask)
    if number <= 1:
        return mask
    return np.asarray(labels == np.bincount(labels.ravel())[1:].argmax() + 1)


def _keep_clear(room: Mask, lesion: Lesion, slice_averaging: int) -> None:
    """Take from the room what would touch a lesion once slices are averaged."""
    margin = (2, 2, 2 * slice_averaging)
    padded = np.pad(lesion.mask, [(m, m) for m in margin])
    near = ndimage.maximum_filter(padded, size=[2 * m + 1 for m in margin])
    grown = tuple(
        slice(max(s.start - m, 0), s.stop + m) for s, m in zip(lesion.window, margin, strict=True)
    )
    cut = tuple(
        slice(max(m - s.start, 0), max(m - s.start, 0) + length)
        for s, m, length in zip(lesion.window, margin, room[grown].shape, strict=True)
    )
    room[grown] &= ~near[cut]


def _draw_shapes(config: SyntheticScanConfig, rng: np.random.Generator) -> Iterator[Mask]:
    """Endless candidate shapes on the thin-slice grid, each a little smaller than the last."""
    if config.mask_folder is None:
        radius = rng.uniform(*config.lesion_radius)
        for attempt in count():
            size = radius * _SHRINKAGE**attempt
            yield draw_blob(size, config.spacing, config.lesion_irregularity, rng)
    else:
        files = sorted(config.mask_folder.glob("*.nii*"))
        if not files:
            raise InvalidInput(f"{config.mask_folder} holds no .nii or .nii.gz mask to use.")
        for attempt in count():
            file = files[rng.integers(len(files))]
            shape = _load_shape(file, config.spacing, _SHRINKAGE**attempt)
            flips = tuple(axis for axis in range(3) if rng.random() < 0.5)
            yield np.flip(shape, flips)


def draw_blob(
    radius: float,
    spacing: tuple[float, float, float],
    irregularity: float,
    rng: np.random.Generator,
) -> Mask:
    """An ellipsoid of random proportions whose border a smooth field pushes in and out.

    Args:
        radius: In mm.
        spacing: Voxel size ``(i, j, k)`` in mm.
        irregularity: How far the border departs from the ellipsoid, as a share of the radius.
        rng: Source of proportions and field.

    Returns:
        Bool, in a box of odd size round its middle.
    """
    half_axes = radius * rng.uniform(0.75, 1.25, 3)
    reach = np.ceil(half_axes * (1 + 2 * irregularity) / np.asarray(spacing)).astype(int)
    axes = [
        np.arange(-r, r + 1) * step / half
        for r, step, half in zip(reach, spacing, half_axes, strict=True)
    ]
    x, y, z = np.ix_(*axes)
    shape = tuple(2 * reach + 1)
    lobes = smooth_noise(rng, shape, spacing, 1.6 * radius)
    fringe = smooth_noise(rng, shape, spacing, 0.7 * radius)
    # Bounded, so that the border stays inside the box.
    border = 1 + irregularity * np.clip(lobes + 0.5 * fringe, -2, 2)
    return _largest_component(np.sqrt(x**2 + y**2 + z**2) < border)


def _load_shape(path: Path, spacing: tuple[float, ...], scale: float) -> Mask:
    """Read a mask and resample its bounding box to a spacing."""
    try:
        image = nib.as_closest_canonical(nib.load(path))
        voxels = np.asanyarray(image.dataobj) > 0
        zooms = image.header.get_zooms()
    except (nib.filebasedimages.ImageFileError, OSError, ValueError) as error:
        raise InvalidInput(f"{path.name} is not a readable NIfTI mask: {error}") from error
    if voxels.ndim != 3 or not voxels.any():
        raise InvalidInput(f"{path.name} is not a 3-D mask with a lesion; take it out.")
    box = ndimage.find_objects(voxels.astype(np.uint8))[0]
    padded = np.pad(voxels[box], 1).astype(np.float32)
    factors = [scale * size / step for size, step in zip(zooms, spacing, strict=True)]
    # A tiny lesion may vanish between coarse voxels; the middle one then stands for it.
    resampled = ndimage.zoom(padded, factors, order=1, grid_mode=True, mode="grid-constant") > 0.5
    if not resampled.any():
        resampled = np.ones((1, 1, 1), bool)
    return _largest_component(resampled)
