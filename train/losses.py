"""The losses of training (eqs. 11-12) and those that the paper compares them with."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from caiseg.clicks import Click
from train.config import LossConfig
from train.focus_guided_loss import focus_guided_loss


def dice_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Soft Dice loss (ref. 16), per sample over all its voxels, averaged over the batch.

    Args:
        logits: ``(N, 1, I, J, K)``.
        target: Same shape, in {0, 1}.
    """
    probability = torch.sigmoid(logits).flatten(1)
    truth = target.flatten(1)
    overlap = 2 * (probability * truth).sum(1) + 1
    return (1 - overlap / (probability.sum(1) + truth.sum(1) + 1)).mean()


def focal_loss(logits: Tensor, target: Tensor, gamma: float = 2.0) -> Tensor:
    """Focal loss (ref. 17) without class weights, averaged over voxels."""
    entropy = torch.nn.functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    return ((1 - torch.exp(-entropy)) ** gamma * entropy).mean()


def click_loss(logits: Tensor, clicks: Sequence[Sequence[Click]]) -> Tensor:
    """Binary cross entropy at the clicked voxels, averaged over all clicks of the batch.

    Args:
        logits: Of ``Ŷ``, ``(N, 1, I, J, K)``.
        clicks: The clicks of each scan of the batch, on the grid of ``logits``.

    Returns:
        A scalar; 0 without any click.
    """
    placed = [(n, 0, *click.voxel) for n, scan in enumerate(clicks) for click in scan]
    if not placed:
        return logits.new_zeros(())
    labels = [float(click.label) for scan in clicks for click in scan]
    return torch.nn.functional.binary_cross_entropy_with_logits(
        logits[tuple(torch.tensor(placed, device=logits.device).T)], logits.new_tensor(labels)
    )


def pretraining_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Dice plus binary cross entropy, what VNet is pre-trained with (section IV-B3)."""
    entropy = torch.nn.functional.binary_cross_entropy_with_logits(logits, target)
    return dice_loss(logits, target) + entropy


def combined_loss(
    logits: Tensor, target: Tensor, weights: Tensor, mu: float, config: LossConfig
) -> Tensor:
    """Eq. 11: ``μ FG + (1 - μ) Dice``, or the loss that an ablation puts in its place."""
    if config.kind == "dice":
        return dice_loss(logits, target)
    if config.kind == "focal":
        return focal_loss(logits, target)
    focused = focus_guided_loss(logits, target, weights)
    return mu * focused + (1 - mu) * dice_loss(logits, target)


def training_loss(
    logits: Tensor,
    coarse_logits: Tensor,
    target: Tensor,
    weights: Tensor,
    mu: float,
    config: LossConfig,
) -> Tensor:
    """Eq. 12: ``ν`` times the loss of ``Ŷ`` plus ``1 - ν`` times that of ``P̂_cls``.

    Args:
        logits: Of ``Ŷ``, ``(N, 1, I, J, K)``.
        coarse_logits: Of ``P̂_cls``, same shape.
        target: Ground truth, same shape.
        weights: Eq. 8's weights, same shape.
        mu: μ at this epoch.
        config: ν, the kind of loss, and whether there is deep supervision.
    """
    final = combined_loss(logits, target, weights, mu, config)
    if not config.deep_supervision:
        return final
    coarse = combined_loss(coarse_logits, target, weights, mu, config)
    return config.nu * final + (1 - config.nu) * coarse
