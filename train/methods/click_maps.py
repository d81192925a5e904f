"""Clicks as images: what networks that take clicks as input channels are fed with.

All maps are ``(N, 2, I, J, K)`` float32 in [0, 1]; channel 0 shows background clicks, channel 1
foreground clicks. Reaches are in mm, so that a click looks the same at every voxel size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from caiseg.clicks import Click, Label
from train.focus_guided_loss import distance_to_clicks
from train.rounds import click_tensors


@dataclass(frozen=True)
class ClickPoints:
    """The clicks in one image.

    Attributes:
        voxels: ``(n_c, 3)`` int64, on the grid of the image.
        labels: ``(n_c,)`` int64, 0 for background and 1 for foreground.
    """

    voxels: Tensor
    labels: Tensor

    @classmethod
    def of(cls, clicks: Sequence[Click], device: torch.device) -> ClickPoints:
        """Clicks on the grid of the image, as tensors."""
        return cls(*click_tensors(clicks, device))

    @classmethod
    def none(cls, device: torch.device) -> ClickPoints:
        """No click."""
        return cls.of((), device)

    def labelled(self, label: Label) -> Tensor:
        """Voxels ``(n, 3)`` of one label's clicks."""
        return self.voxels[self.labels == int(label)]


def click_distances(
    points: Sequence[ClickPoints], shape: tuple[int, int, int], spacing: Tensor
) -> Tensor:
    """Distance in mm to the nearest click of each label; infinite where there is none.

    Args:
        points: Clicks of every image of the batch.
        shape: Grid ``(I, J, K)``.
        spacing: Voxel sizes ``(N, 3)`` in mm.

    Returns:
        ``(N, 2, I, J, K)`` float32.
    """
    maps = torch.full((len(points), 2, *shape), torch.inf, device=spacing.device)
    for sample, (clicks, step) in enumerate(zip(points, spacing.tolist(), strict=True)):
        for label in Label:
            voxels = clicks.labelled(label)
            if len(voxels):
                i, j, k = step
                maps[sample, int(label)] = distance_to_clicks(voxels, shape, (i, j, k))
    return maps


def disk_maps(
    points: Sequence[ClickPoints], shape: tuple[int, int, int], spacing: Tensor, radius_mm: float
) -> Tensor:
    """Balls of a radius in mm around the clicks, RITM's encoding (Sofiiuk et al. 2022)."""
    return (click_distances(points, shape, spacing) <= radius_mm).float()


def gaussian_maps(
    points: Sequence[ClickPoints], shape: tuple[int, int, int], spacing: Tensor, sigma_mm: float
) -> Tensor:
    """``exp(-d² / 2σ²)`` with ``d`` the distance in mm to the nearest click of the label."""
    return torch.exp(-(click_distances(points, shape, spacing) ** 2) / (2 * sigma_mm**2))
