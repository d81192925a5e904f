"""Trilinear interpolation between edge-aligned grids, in any box of the target grid.

Values are those of ``torch.nn.functional.interpolate`` without aligned corners. Each depends on
its place alone, not on the box that was asked for, so a part can be renewed without a seam.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from caiseg.boxes import Box, grown, meeting, moved, occupied, relative, whole_box
from caiseg.unclaimed_zeros import unclaimed_zeros

_PLANES = 32
"""Planes that are interpolated at once, so that memory stays small beside the mask."""


def interpolate_box(
    source: Tensor,
    box: Box,
    source_shape: Sequence[int],
    target_shape: Sequence[int],
    origin: Sequence[int] = (0, 0, 0),
) -> Tensor:
    """Values in a box of the target grid.

    Args:
        source: ``(I, J, K)`` of any type, the source grid or a part of it that holds every voxel
            that the values are made of.
        box: Where to interpolate, on the target grid.
        source_shape: Size of the whole source grid.
        target_shape: Size of the whole target grid.
        origin: First voxel of the part.

    Returns:
        Float32 tensor of the size of the box.
    """
    read = _read(box, source_shape, target_shape)
    i, j, k = (
        slice(part.start - at, part.stop - at) for part, at in zip(read, origin, strict=True)
    )
    values = source[i, j, k]
    for axis in _cheapest_order(source_shape, target_shape):
        part, size = box[axis], source_shape[axis]
        if size == target_shape[axis]:
            continue
        place = _places(size, target_shape[axis])[part]
        low = place.floor().long()
        high = (low + 1).clamp(max=size - 1)
        view = [1, 1, 1]
        view[axis] = -1
        share = (place - low).float().view(view).to(source.device)
        below, above = (
            values.index_select(axis, (index - read[axis].start).to(source.device)).float()
            for index in (low, high)
        )
        values = torch.lerp(below, above, share)
    return values.float()


def _cheapest_order(source_shape: Sequence[int], target_shape: Sequence[int]) -> list[int]:
    """First the axes that lose voxels, then those that gain them, these from the innermost on.

    So there are few values while it takes long to gather them, voxel by voxel.
    """
    gained = [new > old for old, new in zip(source_shape, target_shape, strict=True)]
    growing = [axis for axis in (2, 1, 0) if gained[axis]]
    return [axis for axis in range(3) if not gained[axis]] + growing


def reached(box: Box, source_shape: Sequence[int], target_shape: Sequence[int]) -> Box:
    """The box of the target grid whose values depend on a box of the source grid."""
    parts = []
    for part, size, wanted in zip(box, source_shape, target_shape, strict=True):
        if size == wanted:
            parts.append(part)
            continue
        place = _places(size, wanted).numpy()
        first = int(np.searchsorted(place, part.start - 1, side="right"))
        after = int(np.searchsorted(place, part.stop, side="left"))
        parts.append(slice(first, after) if first < after else slice(0, 0))
    return parts[0], parts[1], parts[2]


@lru_cache(maxsize=64)
def _places(size: int, wanted: int) -> Tensor:
    """Where the voxels of an axis of ``wanted`` voxels lie on one of ``size`` voxels, ascending.

    A click asks for them many times; nobody writes to them.
    """
    steps = torch.arange(wanted, dtype=torch.float64)
    return ((steps + 0.5) * (size / wanted) - 0.5).clamp(min=0)


def write_mask(
    mask: npt.NDArray[np.bool_], logits: Tensor, box: Box, part: Box, shape: Sequence[int]
) -> None:
    """Renew a mask in a box, in place.

    Args:
        mask: A part of the display grid.
        logits: On the model grid, whole.
        box: Of the display grid, inside that part.
        part: Which part.
        shape: Size ``(I, J, K)`` of the display grid.
    """
    i, j, k = box
    for start in range(i.start, i.stop, _PLANES):
        planes = (slice(start, min(start + _PLANES, i.stop)), j, k)
        values = interpolate_box(logits, planes, logits.shape, shape)
        mask[relative(planes, part)] = (values > 0).cpu().numpy()


def redrawn(logits: Tensor, before: Tensor, box: Box) -> Box | None:
    """Where, in a box in which logits changed, a mask on a finer grid may have changed.

    Interpolated between voxels of the background the mask stays background, whatever their logits
    are, so only places next to a voxel of the foreground count.

    Args:
        logits: ``(I, J, K)``.
        before: The same before the change.
        box: Outside of it both are equal.

    Returns:
        A part of the box; ``None`` for nothing.
    """
    i, j, k = grown(box, (1, 1, 1), logits.shape)
    held = occupied(((logits[i, j, k] > 0) | (before[i, j, k] > 0)).cpu().numpy())
    if held is None:
        return None
    first, second, third = (
        slice(max(at.start + have.start - 1, part.start), min(at.start + have.stop + 1, part.stop))
        for at, have, part in zip((i, j, k), held, box, strict=True)
    )
    return first, second, third


def mask_to_model(
    mask: npt.NDArray[np.bool_], model_shape: Sequence[int], wanted: Box | None = None
) -> Tensor:
    """A mask on the model grid: where at least half of the interpolated mask is 1.

    Only the part of the scan that the mask occupies is interpolated.

    Args:
        mask: ``(I, J, K)`` on the display grid.
        model_shape: Size of the model grid.
        wanted: Box of the model grid outside of which the mask does not matter; all of it counts
            when left out.

    Returns:
        Bool tensor of that size, false outside of ``wanted``.
    """
    result = unclaimed_zeros(model_shape, torch.device("cpu"), np.bool_)
    wanted = whole_box(model_shape) if wanted is None else wanted
    looked_at = _read(wanted, mask.shape, model_shape)
    inside = occupied(mask[looked_at])
    if inside is None:
        return result
    held = moved(inside, looked_at)
    box = meeting(reached(held, mask.shape, model_shape), wanted)
    if box is None:
        return result
    i, j, k = _read(box, mask.shape, model_shape)
    part = torch.from_numpy(mask[i, j, k].copy(order="K"))
    share = interpolate_box(part, box, mask.shape, model_shape, (i.start, j.start, k.start))
    result[box] = share >= 0.5
    return result


def _read(box: Box, source_shape: Sequence[int], target_shape: Sequence[int]) -> Box:
    """The box of the source grid that values in a box of the target grid are made of."""
    parts = []
    for part, size, wanted in zip(box, source_shape, target_shape, strict=True):
        if size == wanted or part.start == part.stop:
            parts.append(part)
            continue
        place = _places(size, wanted)[part]
        parts.append(slice(int(place[0]), min(int(place[-1]) + 2, size)))
    return parts[0], parts[1], parts[2]
