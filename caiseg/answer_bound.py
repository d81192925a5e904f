"""How far an adjustment of ``F`` can move a logit: a bound that holds for every voxel.

From ``F_new = F + ΔF`` to the logits there are, by construction of
:class:`caiseg.vnet.LastStage`, a transposed convolution, a PReLU, one residual convolution, a
PReLU and a weighted sum over channels. What a PReLU's input changes by, its output changes by that
times a factor between its slope and 1. So the change of a logit is at most a convolution of what
``ΔF`` becomes in the transposed convolution, without its sign, with a non-negative kernel that the
weights alone determine: the largest sums over the last channels that such factors allow. One weight
per channel times one kernel for all, nowhere less than that, leaves a single channel to convolve.
"""

from __future__ import annotations

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

_ROOM = 1 << 22
"""Cells times clicks that are worked on at once, so that memory does not grow with either."""

_ROUNDS = 20
"""Weights and common kernel of the bound are lowered in turn so often, as far as they can be."""

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
        # From a channel of ``F`` to the channels of each voxel of a cell.
        self._up = cast("nn.ConvTranspose3d", up).weight.permute(0, 2, 3, 4, 1).flatten(1)
        weight, _ = stage.weights
        # What a PReLU passes on is its input's change times its slope, 1, or something between.
        to_logit = stage.logit.weight.movedim(1, 0) * weight
        ends = torch.stack((to_logit, to_logit * _slopes(stage.merge.stage.activation)))
        most, least = ends.amax(0).sum(0), ends.amin(0).sum(0)
        steepest = _slopes(up_activation).abs().clamp(min=1)
        kernel = torch.maximum(most.abs(), least.abs()) * steepest[:, 0]
        self._weight, self._kernel = _product_above(kernel)

    def __call__(self, adjustment: Adjustment) -> Tensor:
        """The bound of every logit, ``(I, J, K)``.

        Args:
            adjustment: What the clicks add to ``F``.
        """
        grid = adjustment.strength.shape[1:]
        moved = (adjustment.targets @ self._up).T
        cells = max(1, _ROOM // len(adjustment.targets))
        change = torch.cat(
            [
                self._changed(moved, strength, winner)
                for strength, winner in zip(
                    adjustment.strength.flatten(1).split(cells, dim=1),
                    adjustment.winner.flatten(1).split(cells, dim=1),
                    strict=True,
                )
            ],
            dim=1,
        )
        i, j, k = (size * step for size, step in zip(grid, self.stride, strict=True))
        split = change.view(*self.stride, *grid).permute(3, 0, 4, 1, 5, 2)
        bound: Tensor = same_size(split.reshape(1, 1, i, j, k), self._kernel[None, None])[0, 0]
        return bound * _ROUNDING

    def _changed(self, moved: Tensor, strength: Tensor, winner: Tensor) -> Tensor:
        """What changes in the voxels of cells, all channels together, ``(r_i r_j r_k, L)``.

        Args:
            moved: What a click changes where its strength is 1, ``(r_i r_j r_k channels, n_c)``.
            strength: Of the best click of each label, ``(2, L)``.
            winner: Which click that is; any where its strength is 0.
        """
        shares = strength.new_zeros(moved.shape[1], strength.shape[1])
        shares.scatter_add_(0, winner, strength)
        change = (moved @ shares).abs_().view(-1, len(self._weight), strength.shape[1])
        return self._weight @ change


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


def _product_above(kernel: Tensor) -> tuple[Tensor, Tensor]:
    """Weights ``(channels,)`` and a kernel ``(n, n, n)`` of which no product is below another.

    Args:
        kernel: That other one, ``(channels, n, n, n)``, nowhere below 0 itself.
    """
    rows = kernel.flatten(1)
    least = torch.finfo(rows.dtype).tiny  # of what is 0 throughout
    weight = rows.sum(1)
    for _ in range(_ROUNDS):
        common = (rows / weight[:, None].clamp(min=least)).amax(0)
        weight = (rows / common.clamp(min=least)).amax(1)
    return weight, common.view(kernel.shape[1:])
