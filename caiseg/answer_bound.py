"""How far an adjustment of ``F`` can move a logit: a bound that holds for every voxel.

From ``F_new = F + ΔF`` to the logits there are, by construction of
:class:`caiseg.vnet.LastStage`, a transposed convolution, a PReLU, one residual convolution, a
PReLU and a weighted sum over channels. What a PReLU's input changes by, its output changes by that
times a factor between its slope and 1. So the change of a logit is at most a convolution of
``|ΔF|``, carried through the transposed convolution, with a non-negative kernel that the weights
alone determine: the largest sums over the last channels that such factors allow.
"""

from __future__ import annotations

import itertools
import math
from typing import cast

import torch
from torch import Tensor, nn

from caiseg.convolution import same_size
from caiseg.interaction_guided import Adjustment
from caiseg.vnet import LastStage, Stride

SETTLED_LOGIT = 4.6
"""Beyond it the foreground's probability is below 0.01 or above 0.99."""

NEGLIGIBLE = 0.04
"""A change of a logit that changes a probability by at most 0.01."""

_ROUNDING = 1.001
"""The bound itself is computed in single precision."""


class AnswerBound:
    """The largest change of each logit that an adjustment can cause.

    Args:
        stage: VNet's last stage.
        stride: Down-sampling ratio ``(i, j, k)`` of ``F``.
    """

    def __init__(self, stage: LastStage, stride: Stride):
        self.stride = stride
        up, _, up_activation = stage.merge.up
        self._up = cast("nn.ConvTranspose3d", up).weight
        weight, _ = stage.weights
        # What a PReLU passes on is its input's change times its slope, 1, or something between.
        to_logit = stage.logit.weight.movedim(1, 0) * weight
        ends = torch.stack((to_logit, to_logit * _slopes(stage.merge.stage.activation)))
        most, least = ends.amax(0).sum(0), ends.amin(0).sum(0)
        steepest = _slopes(up_activation).abs().clamp(min=1)
        kernel = torch.maximum(most.abs(), least.abs()) * steepest[:, 0]
        self._kernel = _per_sub_voxel(kernel, stride)

    def __call__(self, adjustment: Adjustment) -> Tensor:
        """The bound of every logit, ``(I, J, K)``.

        Args:
            adjustment: What the clicks add to ``F``.
        """
        # Per click and channel, the most that any voxel of a fully moved cell changes.
        moved = torch.einsum("nc,cuijk->nuijk", adjustment.targets, self._up).abs().amax((2, 3, 4))
        grid = adjustment.strength.shape[1:]
        change = torch.zeros((*grid, moved.shape[1]), device=moved.device)
        for strength, winner in zip(adjustment.strength, adjustment.winner, strict=True):
            most = moved.index_select(0, winner.flatten()).view_as(change)
            change.addcmul_(strength[..., None], most)
        bounds = same_size(change.movedim(-1, 0)[None], self._kernel)[0]
        i, j, k = (size * step for size, step in zip(grid, self.stride, strict=True))
        split = bounds.unflatten(0, self.stride).permute(3, 0, 4, 1, 5, 2)
        whole: Tensor = split.reshape(i, j, k)
        return whole * _ROUNDING


def tolerated_change(logits: Tensor) -> Tensor:
    """How far each logit may move before the mask must be computed anew, ``(I, J, K)``.

    A change within it keeps the side of every voxel. Where the two sides meet, interpolation
    between voxels decides where the border lies, so that a change on one side counts there too.

    Args:
        logits: The answer without clicks, ``(I, J, K)``.
    """
    distance = logits.abs()
    return torch.where(_at_border(logits), distance.clamp(max=NEGLIGIBLE), distance)


def tolerated_for_probability(logits: Tensor) -> Tensor:
    """The same, but before its probability must be: a change within it keeps that within 0.01."""
    distance = logits.abs()
    unsettled = distance.clamp(max=NEGLIGIBLE)
    settled = torch.maximum(distance - SETTLED_LOGIT, unsettled)
    return torch.where(_at_border(logits), unsettled, settled)


def _at_border(logits: Tensor) -> Tensor:
    inside = logits > 0
    return _spread(inside) & _spread(~inside)


def _spread(where: Tensor) -> Tensor:
    """Where a bool ``(I, J, K)`` or one of its 26 neighbours is true."""
    for axis, size in enumerate(where.shape):
        wider = where.clone()
        wider.narrow(axis, 1, size - 1).logical_or_(where.narrow(axis, 0, size - 1))
        wider.narrow(axis, 0, size - 1).logical_or_(where.narrow(axis, 1, size - 1))
        where = wider
    return where


def _slopes(activation: nn.Module) -> Tensor:
    """What each channel of a PReLU multiplies values below 0 by, ``(C, 1, 1, 1, 1)``."""
    return cast("nn.PReLU", activation).weight.detach()[:, None, None, None, None]


def _per_sub_voxel(kernel: Tensor, stride: Stride) -> Tensor:
    """A kernel on voxels as one kernel on cells per place of a voxel in its cell.

    Args:
        kernel: ``(channels, n, n, n)``, odd ``n``.
        stride: Voxels per cell along each axis.

    Returns:
        ``(r_i r_j r_k, channels, m_i, m_j, m_k)``, odd ``m``.
    """
    reach = kernel.shape[-1] // 2
    cells = [-(-reach // step) for step in stride]
    reached = [2 * size + 1 for size in cells]
    places = kernel.new_zeros(math.prod(stride), kernel.shape[0], *reached)
    for at_place, place in zip(
        places, itertools.product(*(range(step) for step in stride)), strict=True
    ):
        for offset in itertools.product(range(-reach, reach + 1), repeat=3):
            a, b, c = (
                (at + by) // step + size
                for at, by, step, size in zip(place, offset, stride, cells, strict=True)
            )
            i, j, k = (by + reach for by in offset)
            at_place[:, a, b, c] += kernel[:, i, j, k]
    return places
