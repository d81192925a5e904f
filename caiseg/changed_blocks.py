"""VNet's last stage, evaluated only in the blocks where clicks can change the answer."""

from __future__ import annotations

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
        self.margin = stage.margin
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
        for whole in _groups(blocks):
            places, inside = _places(logits.shape, whole, [0] * 3, (1, 1, 1))
            x = self._raised(logits.shape, whole, scan.features, adjustment)
            answer = self._merge(x, _rows(scan.share, places))
            if inside.all():
                flat[places.flatten()] = answer
            else:
                flat[places[inside]] = answer.view(places.shape)[inside]

    def _raised(
        self, shape: torch.Size, blocks: Tensor, features: Tensor, adjustment: Adjustment
    ) -> Tensor:
        """``F_new`` brought to the scan's grid, ``(n, b, b, b, base)`` with margins."""
        halo = [-(-self.margin // step) for step in self.stride]
        places, _ = _places(features.shape[2:], blocks, halo, self.stride)
        moved = adjustment.add_to(_rows(features, places), places.flatten())
        up, _, activation = self.stage.merge.up
        layer = cast("nn.ConvTranspose3d", up)
        assert layer.bias is not None
        weight = layer.weight.permute(0, 2, 3, 4, 1)
        bias = layer.bias.repeat(math.prod(self.stride))
        raised = torch.addmm(bias, moved, weight.flatten(1)).view(-1, weight.shape[-1])
        raised = cast("nn.PReLU", activation)(raised).view(*places.shape, *weight.shape[1:])
        # (n, i, j, k, r_i, r_j, r_k, base) becomes (n, i r_i, j r_j, k r_k, base).
        spread = raised.permute(0, 1, 4, 2, 5, 3, 6, 7)
        size = [cells * step for cells, step in zip(places.shape[1:], self.stride, strict=True)]
        i, j, k = (
            slice(cells * step - self.margin, cells * step + BLOCK + self.margin)
            for cells, step in zip(halo, self.stride, strict=True)
        )
        within: Tensor = spread.reshape(len(blocks), *size, -1)[:, i, j, k]
        _, inside = _places(shape, blocks, [self.margin] * 3, (1, 1, 1))
        # Outside the scan there is 0, which is what the convolution pads the whole with.
        return within if inside.all() else within * inside[..., None]

    def _merge(self, x: Tensor, share: Tensor) -> Tensor:
        """The residual convolution and the logit of every voxel, ``(n b b b,)``.

        Args:
            x: ``F_new`` on the scan's grid, see :meth:`_raised`.
            share: Of the skip features, ``(n b b b, 2 base)``; is written over.
        """
        moved = nn.functional.conv3d(x.movedim(-1, 1), self._weight)
        rows = share.add_(moved.permute(0, 2, 3, 4, 1).reshape(share.shape))
        active = self.stage.merge.stage.activation(rows)
        logit = self.stage.logit
        assert logit.bias is not None
        return torch.addmv(logit.bias, active, logit.weight.flatten())


def _groups(blocks: Tensor) -> Iterator[Tensor]:
    """The blocks in groups of the sizes that there are; the last one repeats a block."""
    many, few = _BLOCKS_AT_ONCE
    apart = len(blocks) - len(blocks) % many
    yield from blocks[:apart].split(many) if apart else ()
    for part in blocks[apart:].split(few) if apart < len(blocks) else ():
        yield torch.cat((part, part[:1].expand(few - len(part), 3)))


def _places(
    shape: torch.Size, blocks: Tensor, margins: Sequence[int], stride: Stride
) -> tuple[Tensor, Tensor]:
    """Flat indices of the cells of blocks, and which of them lie inside the grid.

    Args:
        shape: Size of the grid.
        blocks: First voxels ``(n, 3)``.
        margins: Cells to add on both sides along each axis.
        stride: Voxels per cell.

    Returns:
        Indices ``(n, b_i, b_j, b_k)`` int64, those outside moved to the border; and the same
        shape as bool.
    """
    places = torch.zeros((), dtype=torch.long, device=blocks.device)
    inside = torch.ones((), dtype=torch.bool, device=blocks.device)
    for axis, (length, step, margin) in enumerate(zip(shape, stride, margins, strict=True)):
        steps = torch.arange(-margin, BLOCK // step + margin, device=blocks.device)
        view = [len(blocks), 1, 1, 1]
        view[axis + 1] = -1
        cells = (blocks[:, axis, None] // step + steps).view(view)
        places = places * length + cells.clamp(0, length - 1)
        inside = inside & (cells >= 0) & (cells < length)
    return places, inside


def _rows(grid: Tensor, places: Tensor) -> Tensor:
    """Vectors ``(L, C)`` of ``(1, C, I, J, K)`` at flat indices, in single precision.

    Where the channels of a place lie side by side in memory, nothing else is read.
    """
    return grid[0].permute(1, 2, 3, 0).flatten(0, 2).index_select(0, places.flatten()).float()
