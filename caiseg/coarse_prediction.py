"""The coarse prediction ``P̂_cls`` (eqs. 9-10) of a whole scan, before and after the adjustment.

It is what deep supervision teaches the head features, and shows what clicks made of ``F`` before
VNet's last stage sees it (Fig. 4, middle).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from caiseg.feature_clustering import ClickCells
from caiseg.patches import blending_window, pad_to_strides
from caiseg.tiling import EncodedTiles, Tile


@dataclass(frozen=True)
class ModelClicks:
    """What a click round is given, on the model grid.

    Attributes:
        voxels: ``(n_c, 3)`` int64.
        labels: ``(n_c,)`` int64, 0 for background and 1 for foreground.
        previous_mask: ``S_p``, ``(I, J, K)`` in [0, 1].
    """

    voxels: Tensor
    labels: Tensor
    previous_mask: Tensor


@torch.inference_mode()
def coarse_logits(tiles: EncodedTiles, clicks: ModelClicks | None) -> Tensor:
    """Foreground logits of ``P̂_cls`` from ``F`` and from ``F_new``.

    Args:
        tiles: The encoded scan.
        clicks: ``None`` for none, where ``F_new`` is ``F``.

    Returns:
        ``(2, I, J, K)`` on the model grid: before the adjustment, and after it.
    """
    blended = torch.zeros((2, *tiles.shape), device=tiles.spacing.device)
    weights = torch.zeros(tiles.shape, device=tiles.spacing.device)
    for tile in tiles.tiles:
        window = blending_window(tile.box, tiles.shape).to(weights)
        i, j, k = tile.box
        blended[:, i, j, k] += window * _of_tile(tiles, tile, clicks)
        weights[tile.box] += window
    return blended / weights


def _of_tile(tiles: EncodedTiles, tile: Tile, clicks: ModelClicks | None) -> Tensor:
    """The same for one tile, ``(2, I, J, K)`` of its box."""
    network = tiles.network
    features = tile.features.features[0].float()
    head_features = tile.features.head_features
    adjusted = features
    if clicks is not None:
        mask = pad_to_strides(
            clicks.previous_mask[tile.box].float(), network.config.total_stride, 0.0
        )
        coarse_mask = torch.nn.functional.interpolate(
            mask[None, None], size=features.shape[1:], mode="trilinear"
        )[0, 0]
        cell_mm = tiles.spacing * torch.as_tensor(
            network.feature_stride, device=tiles.spacing.device
        )
        cells = _cells_inside(tile, clicks, network.feature_stride)
        adjusted, _ = network.interaction(features, head_features[0], coarse_mask, cells, cell_mm)
    size = [
        step * length
        for step, length in zip(network.feature_stride, features.shape[1:], strict=True)
    ]
    both = torch.stack((features, adjusted))
    logits = network.classify(both, head_features.expand(2, -1, -1), size)[:, 0]
    i, j, k = (part.stop - part.start for part in tile.box)
    return logits[:, :i, :j, :k]


def _cells_inside(tile: Tile, clicks: ModelClicks, stride: tuple[int, int, int]) -> ClickCells:
    """The clicks that lie in a tile, on the grid of its ``F``."""
    start = torch.tensor([part.start for part in tile.box], device=clicks.voxels.device)
    stop = torch.tensor([part.stop for part in tile.box], device=clicks.voxels.device)
    inside = ((clicks.voxels >= start) & (clicks.voxels < stop)).all(dim=1)
    return ClickCells.from_voxels(clicks.voxels[inside] - start, clicks.labels[inside], stride)
