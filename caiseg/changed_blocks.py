"""VNet's last stage, evaluated only in the blocks where clicks can change the answer."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from caiseg.interaction_guided import Adjustment
from caiseg.merged_features import MergedFeatures
from caiseg.vnet import LastStage, Stride

BLOCK = 8
"""Edge of a block in voxels."""

_BLOCKS_AT_ONCE = (64, 16)
"""Blocks that are convolved at once: many while there are many, then few. There are no other
numbers, so that kernels are prepared once."""

_BLOCKS_RAISED_AT_ONCE = 512
"""Blocks that share the cells around them, so that memory does not grow with their number."""


def changed_blocks(change: Tensor, tolerated: Tensor, first: Sequence[int] = (0, 0, 0)) -> Tensor:
    """First voxels of the blocks in which a change exceeds what is tolerated.

    A block counts as soon as a voxel next to it does, because interpolation between voxels
    reaches across its border.

    Args:
        change: Bound of the change of every logit, ``(I, J, K)``.
        tolerated: ``(I, J, K)``.
        first: Voxel of the scan that they begin at.

    Returns:
        ``(n, 3)`` int64, on a regular grid of step :data:`BLOCK`.
    """
    exceeds = change > tolerated
    for axis, (length, start) in enumerate(zip(exceeds.shape, first, strict=True)):
        before = start % BLOCK
        ends = [0] * 6
        ends[2 * (2 - axis) : 2 * (2 - axis) + 2] = [
            before + 1,
            -(before + length) % BLOCK + 1,
        ]
        windows = nn.functional.pad(exceeds, ends).unfold(axis, BLOCK + 2, BLOCK)
        exceeds = windows.any(dim=-1)
    origin = torch.tensor([start // BLOCK for start in first], device=change.device)
    return (torch.nonzero(exceeds) + origin) * BLOCK


class BlockwiseLastStage:
    """Logits of ``F_new`` in single blocks, equal to the last stage run on the whole.

    Args:
        stage: VNet's last stage.
        stride: Down-sampling ratio ``(i, j, k)`` of ``F``.
    """

    def __init__(self, stage: LastStage, stride: Stride):
        self.stage = stage
        self.stride = stride
        self._weight, _ = stage.weights

    def update(
        self,
        logits: Tensor,
        blocks: Tensor,
        scan: MergedFeatures,
        adjustment: Adjustment,
    ) -> None:
        """Write the logits of the blocks in place.

        Args:
            logits: ``(I, J, K)``, those without clicks.
            blocks: First voxels ``(n, 3)``, see :func:`changed_blocks`.
            scan: Features of the scan.
            adjustment: What the clicks add to ``F``.
        """
        flat = logits.view(-1)
        for some in blocks.split(_BLOCKS_RAISED_AT_ONCE) if len(blocks) else ():
            raised = _Raised(self.stage, self.stride, scan.features, adjustment, some)
            for whole in _groups(some):
                places, inside = _places(logits.shape, whole)
                answer = self._merge(raised.around(whole), _rows(scan.share, places))
                if inside is None:
                    flat[places.flatten()] = answer
                else:
                    flat[places[inside]] = answer.view(places.shape)[inside]

    def _merge(self, x: Tensor, share: Tensor) -> Tensor:
        """The residual convolution and the logit of every voxel, ``(n b b b,)``.

        Args:
            x: ``F_new`` on the scan's grid, see :class:`_Raised`.
            share: Of the skip features, ``(n b b b, 2 base)``; is written over.
        """
        moved = nn.functional.conv3d(x.movedim(-1, 1), self._weight)
        rows = share.add_(moved.permute(0, 2, 3, 4, 1).reshape(share.shape))
        active = self.stage.merge.stage.activation(rows)
        logit = self.stage.logit
        assert logit.bias is not None
        return torch.addmv(logit.bias, active, logit.weight.flatten())


class _Raised:
    """``F_new`` of the cells in and around some blocks, brought to the scan's grid.

    Neighbouring blocks share most of the cells around them, and each is computed once.

    Args:
        stage: VNet's last stage.
        stride: Voxels per cell.
        features: ``F``, ``(1, C, I, J, K)``.
        adjustment: What the clicks add to it.
        blocks: First voxels ``(n, 3)``.
    """

    def __init__(
        self,
        stage: LastStage,
        stride: Stride,
        features: Tensor,
        adjustment: Adjustment,
        blocks: Tensor,
    ):
        self._stride, self._margin = stride, stage.margin
        self._grid = features.shape[2:]
        halo = stage.halo(stride)
        along = [
            _along(axis, length, blocks, margin, step)[0]
            for axis, (length, margin, step) in enumerate(
                zip(self._grid, halo, stride, strict=True)
            )
        ]
        # Only the part of the grid that holds the blocks is looked through.
        self._first = [int(cells.min()) for cells in along]
        self._part = [
            int(cells.max()) + 1 - first for cells, first in zip(along, self._first, strict=True)
        ]
        used = torch.zeros(self._part, dtype=torch.bool, device=blocks.device)
        used[tuple(cells - first for cells, first in zip(along, self._first, strict=True))] = True
        inside = torch.nonzero(used)
        cells = torch.zeros((), dtype=torch.long, device=blocks.device)
        for axis, length in enumerate(self._grid):
            cells = cells * length + (inside[:, axis] + self._first[axis])
        moved = adjustment.add_to(_rows(features, cells), cells)
        up, _, activation = stage.merge.up
        layer = cast("nn.ConvTranspose3d", up)
        assert layer.bias is not None
        weight = layer.weight.permute(0, 2, 3, 4, 1)
        bias = layer.bias.repeat(math.prod(stride))
        raised = torch.addmm(bias, moved, weight.flatten(1)).view(-1, weight.shape[-1])
        self._voxels = cast("nn.PReLU", activation)(raised)
        # Where the voxels of a cell begin among those.
        self._begin = torch.empty(self._part, dtype=torch.long, device=blocks.device)
        self._begin[used] = torch.arange(len(cells), device=blocks.device) * math.prod(stride)

    def around(self, blocks: Tensor) -> Tensor:
        """Blocks with the margin that the convolution reads, ``(n, b, b, b, base)``.

        Outside the scan there is 0, which is what the convolution pads the whole with.
        """
        shape = [cells * step for cells, step in zip(self._grid, self._stride, strict=True)]
        cell = within = torch.zeros((), dtype=torch.long, device=blocks.device)
        insides = []
        for axis, step in enumerate(self._stride):
            voxels, inside = _along(axis, shape[axis], blocks, self._margin, 1)
            cell = cell * self._part[axis] + (voxels // step - self._first[axis])
            within = within * step + voxels % step
            insides.append(inside)
        begin = self._begin.view(-1).index_select(0, cell.flatten())
        places = begin.view_as(cell).add_(within)
        rows: Tensor = self._voxels.index_select(0, places.flatten()).view(*places.shape, -1)
        inside = _all_of(insides)
        return rows if inside is None else rows * inside[..., None]


def _groups(blocks: Tensor) -> Iterator[Tensor]:
    """The blocks in groups of the sizes that there are; the last one repeats a block."""
    many, few = _BLOCKS_AT_ONCE
    apart = len(blocks) - len(blocks) % many
    yield from blocks[:apart].split(many) if apart else ()
    for part in blocks[apart:].split(few) if apart < len(blocks) else ():
        yield torch.cat((part, part[:1].expand(few - len(part), 3)))


def _places(shape: torch.Size, blocks: Tensor) -> tuple[Tensor, Tensor | None]:
    """Flat indices of the voxels of blocks, and which of them lie inside the grid.

    Args:
        shape: Size of the grid.
        blocks: First voxels ``(n, 3)``.

    Returns:
        Indices ``(n, b, b, b)`` int64, those outside moved to the border; and the same shape as
        bool, ``None`` where all lie inside.
    """
    places = torch.zeros((), dtype=torch.long, device=blocks.device)
    insides = []
    for axis, length in enumerate(shape):
        voxels, inside = _along(axis, length, blocks, 0, 1)
        places = places * length + voxels
        insides.append(inside)
    inside = _all_of(insides)
    return places, None if inside is None else inside.expand(places.shape)


def _along(
    axis: int, length: int, blocks: Tensor, margin: int, step: int
) -> tuple[Tensor, Tensor | None]:
    """Cells of blocks along one axis, and which lie inside; to be broadcast with the others'.

    Args:
        axis: Of the grid.
        length: Its size.
        blocks: First voxels ``(n, 3)``.
        margin: Cells to add on both sides.
        step: Voxels per cell.
    """
    steps = torch.arange(-margin, BLOCK // step + margin, device=blocks.device)
    view = [len(blocks), 1, 1, 1]
    view[axis + 1] = -1
    cells = (blocks[:, axis, None] // step + steps).view(view)
    near = cells.clamp(0, length - 1)
    return near, None if torch.equal(near, cells) else near == cells


def _all_of(insides: Sequence[Tensor | None]) -> Tensor | None:
    """Where all of some hold, of which ``None`` holds everywhere."""
    known = [inside for inside in insides if inside is not None]
    return functools.reduce(torch.logical_and, known) if known else None


def _rows(grid: Tensor, places: Tensor) -> Tensor:
    """Vectors ``(L, C)`` of ``(1, C, I, J, K)`` at flat indices, in single precision.

    Where the channels of a place lie side by side in memory, nothing else is read.
    """
    return grid[0].permute(1, 2, 3, 0).flatten(0, 2).index_select(0, places.flatten()).float()
