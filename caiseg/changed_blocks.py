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
        self._stride, self._halo = stride, stage.halo(stride)
        grid = features.shape[2:]
        corners = self._corners(blocks)
        steps = [
            torch.arange(BLOCK // step + 2 * halo, device=blocks.device)
            for step, halo in zip(stride, self._halo, strict=True)
        ]
        # Only the part of the grid that holds the blocks is looked through, and what beside the
        # grid they reach into.
        first = corners.amin(0)
        self._first, part = first.tolist(), (corners.amax(0) - first).tolist()
        self._part = [more + len(step) for more, step in zip(part, steps, strict=True)]
        used = torch.zeros(self._part, dtype=torch.bool, device=blocks.device)
        used.view(-1)[self._flat(corners, steps)] = True
        for axis, (length, start) in enumerate(zip(grid, self._first, strict=True)):
            beside = torch.arange(start, start + self._part[axis], device=blocks.device)
            used.index_fill_(axis, torch.nonzero((beside < 0) | (beside >= length))[:, 0], False)
        inside = torch.nonzero(used)
        cells = torch.zeros((), dtype=torch.long, device=blocks.device)
        for axis, length in enumerate(grid):
            cells = cells * length + (inside[:, axis] + self._first[axis])
        moved = adjustment.add_to(_rows(features, cells), cells)
        up, _, activation = stage.merge.up
        layer = cast("nn.ConvTranspose3d", up)
        assert layer.bias is not None
        weight = layer.weight.permute(0, 2, 3, 4, 1)
        voxels = math.prod(stride)
        raised = torch.addmm(layer.bias.repeat(voxels), moved, weight.flatten(1))
        active = cast("nn.PReLU", activation)(raised.view(-1, weight.shape[-1]))
        # Behind the voxels of all cells lie those of a cell outside the scan, which are 0.
        self._voxels = nn.functional.pad(active, (0, 0, 0, voxels))
        # Where the voxels of a cell begin among those.
        self._begin = torch.full((used.numel(),), len(active), device=blocks.device)
        self._begin[used.view(-1)] = torch.arange(0, len(active), voxels, device=blocks.device)
        # A block with the margin that the convolution reads: cells, and places within them.
        near = [
            torch.arange(-stage.margin, BLOCK + stage.margin, device=blocks.device)
            for _ in range(3)
        ]
        self._cells = [
            places.div(step, rounding_mode="floor") + halo
            for places, step, halo in zip(near, stride, self._halo, strict=True)
        ]
        within = torch.zeros((), dtype=torch.long, device=blocks.device)
        for axis, step in enumerate(stride):
            within = within * step + _on_axis(near[axis] % step, axis)
        self._within = within

    def around(self, blocks: Tensor) -> Tensor:
        """Blocks with the margin that the convolution reads, ``(n, b, b, b, base)``.

        Outside the scan there is 0, which is what the convolution pads the whole with.
        """
        begin = self._begin.take(self._flat(self._corners(blocks), self._cells))
        places = begin.add_(self._within)
        rows: Tensor = self._voxels.index_select(0, places.flatten()).view(*places.shape, -1)
        return rows

    def _corners(self, blocks: Tensor) -> Tensor:
        """First cell ``(n, 3)`` of each block with a halo; it may lie outside the grid."""
        step, halo = (
            torch.tensor(each, device=blocks.device) for each in (self._stride, self._halo)
        )
        return blocks // step - halo

    def _flat(self, corners: Tensor, cells: Sequence[Tensor]) -> Tensor:
        """Flat indices ``(n, a, b, c)`` in the part of cells counted from corners ``(n, 3)``."""
        first = torch.tensor(self._first, device=corners.device)
        flat = along = torch.zeros((), dtype=torch.long, device=corners.device)
        for axis, length in enumerate(self._part):
            flat = flat * length + (corners - first)[:, axis]
            along = along * length + _on_axis(cells[axis], axis)
        return flat[:, None, None, None] + along


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
        Indices ``(n, b, b, b)`` int64, any for voxels outside; and the same shape as bool, ``None``
        where all lie inside.
    """
    steps = torch.arange(BLOCK, device=blocks.device)
    flat = along = torch.zeros((), dtype=torch.long, device=blocks.device)
    insides = []
    for axis, length in enumerate(shape):
        flat = flat * length + blocks[:, axis]
        along = along * length + _on_axis(steps, axis)
        if length % BLOCK > 0 and int(blocks[:, axis].max()) + BLOCK > length:
            voxels = blocks[:, axis, None, None, None] + _on_axis(steps, axis)
            insides.append(voxels < length)
    places = flat[:, None, None, None] + along
    if not insides:
        return places, None
    inside = functools.reduce(torch.logical_and, insides)
    return places.clamp_(max=math.prod(shape) - 1), inside.expand(places.shape)


def _on_axis(values: Tensor, axis: int) -> Tensor:
    """A vector along one of three axes."""
    view = [1, 1, 1]
    view[axis] = -1
    return values.view(view)


def _rows(grid: Tensor, places: Tensor) -> Tensor:
    """Vectors ``(L, C)`` of ``(1, C, I, J, K)`` at flat indices, in single precision.

    Where the channels of a place lie side by side in memory, nothing else is read.
    """
    return grid[0].permute(1, 2, 3, 0).flatten(0, 2).index_select(0, places.flatten()).float()
