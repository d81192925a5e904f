"""Where the patches of a scan lie, and what share of the blend each has there."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor

from caiseg.interpolation import Box

OVERLAP = 0.25
"""Least share of a patch that neighbouring patches have in common, along each axis."""


def patch_boxes(
    shape: Sequence[int], patch_size: Sequence[int], strides: Sequence[int]
) -> list[Box]:
    """Boxes that cover ``shape``, of at most ``patch_size`` rounded up to the total stride."""
    patch = [_round_up(size, stride) for size, stride in zip(patch_size, strides, strict=True)]
    return tile_boxes(shape, patch)


def padded_size(shape: Sequence[int], strides: Sequence[int]) -> tuple[int, int, int]:
    """Size that the total stride divides, at least two cells of the coarsest grid a side.

    A single cell would leave instance normalisation without a variance.
    """
    i, j, k = (
        max(_round_up(size, stride), 2 * stride)
        for size, stride in zip(shape, strides, strict=True)
    )
    return i, j, k


def pad_to_strides(part: Tensor, strides: Sequence[int], value: float) -> Tensor:
    """Append voxels at the far ends so that the total stride divides ``(I, J, K)``."""
    missing = [
        size - have for size, have in zip(padded_size(part.shape, strides), part.shape, strict=True)
    ]
    flat = [amount for extra in reversed(missing) for amount in (0, extra)]
    return torch.nn.functional.pad(part, flat, value=value)


def tile_boxes(shape: Sequence[int], patch: Sequence[int]) -> list[Box]:
    """Boxes of at most ``patch`` voxels that cover ``shape``, evenly spaced and overlapping."""
    axes = []
    for size, length in zip(shape, patch, strict=True):
        if size <= length:
            axes.append([slice(0, size)])
            continue
        step = int(length * (1 - OVERLAP))
        count = 1 + -(-(size - length) // step)
        starts = [round(n * (size - length) / (count - 1)) for n in range(count)]
        axes.append([slice(start, start + length) for start in starts])
    return [(i, j, k) for i, j, k in itertools.product(*axes)]


def blending_window(box: Box, shape: Sequence[int]) -> Tensor:
    """Blending weights: 1 at the middle of a tile, falling to its inner borders, never 0."""
    ramps = (ramp(part, size) for part, size in zip(box, shape, strict=True))
    return torch.einsum("i,j,k->ijk", *ramps)


def ramp(part: slice, size: int) -> Tensor:
    """The factor of :func:`blending_window` along one axis."""
    length = part.stop - part.start
    place = torch.arange(length) + 0.5
    low = place if part.start > 0 else torch.full_like(place, torch.inf)
    high = length - place if part.stop < size else torch.full_like(place, torch.inf)
    border: Tensor = torch.minimum(low, high) / (length * OVERLAP)
    return border.clamp(max=1.0)


def axis_weights(boxes: Sequence[Box], shape: Sequence[int]) -> list[Tensor]:
    """Sums of all tiles' ramps along each axis.

    Tiles lie on a grid, so that the sum of their windows is the product of these.
    """
    totals = []
    for axis, size in enumerate(shape):
        total = torch.zeros(size)
        for start, stop in sorted({(box[axis].start, box[axis].stop) for box in boxes}):
            total[start:stop] += ramp(slice(start, stop), size)
        totals.append(total)
    return totals


def distance(box: Box, voxel: Sequence[float] | None) -> float:
    """Distance from a voxel to the middle of a box."""
    if voxel is None:
        return 0.0
    return math.dist([(part.start + part.stop) / 2 for part in box], voxel)


def _round_up(size: int, stride: int) -> int:
    return -(-size // stride) * stride
