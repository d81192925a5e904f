"""Where the patches of a scan lie, and what share of the blend each has there."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor

from caiseg.boxes import Box

OVERLAP = 0.25
"""Least share of a patch that neighbouring patches have in common, along each axis."""

_PLANES = 16
"""Planes that are blended at once, so that sums in single precision stay small."""


def patch_boxes(
    shape: Sequence[int],
    patch_size: Sequence[int],
    strides: Sequence[int],
    aligned: Sequence[int] = (1, 1, 1),
) -> list[Box]:
    """Boxes that cover ``shape``, of at most ``patch_size`` rounded up to the total stride.

    Args:
        shape: Size of the scan.
        patch_size: Largest patch.
        strides: Total stride of the network.
        aligned: Every box begins at a multiple of it, and it divides what is longer than a patch.
    """
    return tile_boxes(shape, padded_size(patch_size, strides), aligned)


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
    return pad_to(part, padded_size(part.shape, strides), value)


def pad_to(part: Tensor, sizes: Sequence[int], value: float) -> Tensor:
    """Append voxels at the far ends of ``(I, J, K)``; the same tensor where none is missing."""
    missing = [size - have for size, have in zip(sizes, part.shape, strict=True)]
    if not any(missing):
        return part
    flat = [amount for extra in reversed(missing) for amount in (0, extra)]
    return torch.nn.functional.pad(part, flat, value=value)


def scan_size(
    shape: Sequence[int], patch_size: Sequence[int], strides: Sequence[int], cell: Sequence[int]
) -> tuple[int, int, int]:
    """Size of a scan padded to be encoded: to whole cells where it takes several patches.

    Where it takes one, to what the network's total stride divides.

    Args:
        shape: Size of the scan.
        patch_size: Largest patch.
        strides: Total stride of the network.
        cell: Voxels of a cell of ``F``.
    """
    patch, alone = padded_size(patch_size, strides), padded_size(shape, strides)
    i, j, k = (
        have if size <= length else _round_up(size, step)
        for size, length, have, step in zip(shape, patch, alone, cell, strict=True)
    )
    return i, j, k


def tile_boxes(
    shape: Sequence[int], patch: Sequence[int], aligned: Sequence[int] = (1, 1, 1)
) -> list[Box]:
    """Boxes of at most ``patch`` voxels that cover ``shape``, evenly spaced and overlapping."""
    axes = []
    for size, length, unit in zip(shape, patch, aligned, strict=True):
        if size <= length:
            axes.append([slice(0, size)])
            continue
        step = int(length * (1 - OVERLAP)) // unit
        steps = (size - length) // unit
        count = 1 + -(-steps // step)
        starts = [unit * round(n * steps / (count - 1)) for n in range(count)]
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


class Blending:
    """Each patch's share of what overlapping patches give together.

    Patches lie on a grid, so that the sum of their windows is a product of one sum per axis.

    Args:
        boxes: All patches.
        shape: Size of the scan.
        device: Where shares are needed.
    """

    def __init__(self, boxes: Sequence[Box], shape: Sequence[int], device: torch.device):
        self._along: list[dict[tuple[int, int], Tensor]] = []
        for axis, size in enumerate(shape):
            ramps, total = {}, torch.zeros(size)
            for start, stop in sorted({(box[axis].start, box[axis].stop) for box in boxes}):
                ramps[start, stop] = torch.zeros(size)
                ramps[start, stop][start:stop] = ramp(slice(start, stop), size)
                total += ramps[start, stop]
            self._along.append({ends: (one / total).to(device) for ends, one in ramps.items()})

    def share(self, box: Box) -> Tensor:
        """A patch's share in its box, ``(I, J, K)``."""
        return torch.einsum(
            "i,j,k->ijk",
            *(shares[part] for shares, part in zip(self._shares(box), box, strict=True)),
        )

    def at(self, box: Box, voxels: Tensor) -> Tensor:
        """A patch's share ``(n,)`` at voxels ``(n, 3)`` int64 of the scan; 0 outside of its box."""
        i, j, k = (
            shares[places] for shares, places in zip(self._shares(box), voxels.T, strict=True)
        )
        return i * j * k

    def _shares(self, box: Box) -> list[Tensor]:
        """The factors of a patch's share along each axis of the scan."""
        return [along[part.start, part.stop] for along, part in zip(self._along, box, strict=True)]


def blend(parts: Sequence[Tensor], boxes: Sequence[Box], shape: Sequence[int]) -> Tensor:
    """What overlapping patches give together, each by its share.

    Args:
        parts: One ``(1, C, *box)`` per patch, of any floating type.
        boxes: Where they lie.
        shape: Size of the scan.

    Returns:
        ``(1, C, *shape)`` of that type, the channels of a place together in memory. A single
        patch is given back as it is.
    """
    if len(parts) == 1:
        return parts[0]
    blending = Blending(boxes, shape, parts[0].device)
    channels = parts[0].shape[1]
    whole = parts[0].new_empty((*shape, channels))
    shares = [blending.share(box) for box in boxes]
    for start in range(0, shape[0], _PLANES):
        slab = slice(start, min(start + _PLANES, shape[0]))
        total = torch.zeros((slab.stop - start, *shape[1:], channels), device=whole.device)
        for part, box, share in zip(parts, boxes, shares, strict=True):
            first, last = max(slab.start, box[0].start), min(slab.stop, box[0].stop)
            if first < last:
                within = slice(first - box[0].start, last - box[0].start)
                values = part[0].permute(1, 2, 3, 0)[within].float()
                here = (slice(first - start, last - start), *box[1:])
                total[here] += share[within][..., None] * values
        whole[slab] = total
    return whole.permute(3, 0, 1, 2)[None]


def distance(box: Box, voxel: Sequence[float] | None) -> float:
    """Distance from a voxel to the middle of a box."""
    if voxel is None:
        return 0.0
    return math.dist([(part.start + part.stop) / 2 for part in box], voxel)


def _round_up(size: int, stride: int) -> int:
    return -(-size // stride) * stride
