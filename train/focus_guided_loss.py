"""Focus Guided Loss (section III-D, eq. 8)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from caiseg.clicks import Click


def distance_to_clicks(
    voxels: Tensor, shape: tuple[int, int, int], spacing: tuple[float, float, float]
) -> Tensor:
    """Distance in mm from every voxel to the nearest click.

    Args:
        voxels: Click voxels ``(n_c, 3)``, at least one.
        shape: Grid ``(I, J, K)``.
        spacing: Voxel size in mm.

    Returns:
        ``(I, J, K)`` float32.
    """
    i, j, k = (
        ((torch.arange(size, device=voxels.device)[:, None] - voxels[:, axis]) * step) ** 2
        for axis, (size, step) in enumerate(zip(shape, spacing, strict=True))
    )
    nearest = torch.full(shape, torch.inf, device=voxels.device)
    for click in range(len(voxels)):
        squared = i[:, None, None, click] + j[None, :, None, click] + k[None, None, :, click]
        nearest = torch.minimum(nearest, squared)
    return nearest.sqrt()


def focus_weights(
    voxels: Tensor,
    shape: tuple[int, int, int],
    spacing: tuple[float, float, float],
    focus_lambda: float,
) -> Tensor:
    """The weight of eq. 8, ``1 + ((d_max - d) / d_max) ** λ``; 1 everywhere without a click.

    ``d`` is the distance to the nearest click and ``d_max`` its maximum over the image.

    Returns:
        ``(I, J, K)`` float32, in [1, 2].
    """
    if len(voxels) == 0:
        return torch.ones(shape, device=voxels.device)
    distance = distance_to_clicks(voxels, shape, spacing)
    return 1 + ((distance.max() - distance) / distance.max()) ** focus_lambda


def batch_focus_weights(
    clicks: Sequence[Sequence[Click]], lesion: Tensor, spacing: Tensor, focus_lambda: float
) -> Tensor:
    """Eq. 8's weights of every sample of a batch.

    Args:
        clicks: Clicks of each sample, on the grid of ``lesion``.
        lesion: Ground truth ``(N, 1, I, J, K)``.
        spacing: Voxel sizes ``(N, 3)`` in mm.
        focus_lambda: λ.

    Returns:
        ``(N, 1, I, J, K)`` float32.
    """
    shape = (lesion.shape[2], lesion.shape[3], lesion.shape[4])
    rows = []
    for placed, (i, j, k) in zip(clicks, spacing.tolist(), strict=True):
        voxels = torch.tensor([click.voxel for click in placed], device=lesion.device)
        rows.append(focus_weights(voxels.reshape(-1, 3), shape, (i, j, k), focus_lambda))
    return torch.stack(rows)[:, None]


def focus_guided_loss(logits: Tensor, target: Tensor, weights: Tensor) -> Tensor:
    """Eq. 8, averaged over voxels.

    Args:
        logits: Foreground logits, any shape.
        target: Ground truth in {0, 1}, same shape.
        weights: Result of :func:`focus_weights`, broadcastable to that shape.
    """
    entropy = torch.nn.functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    return (weights * entropy).mean()
