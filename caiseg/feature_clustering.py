"""The Feature Clustering Block (section III-C, eqs. 4-7)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from caiseg.click_windows import ClickWindows
from caiseg.fused_affinity import best_affinities

REACH_UNIT_MM = 100.0
"""The distance that counts as 1 in eq. 4 when ``position`` is ``mm``."""


@dataclass(frozen=True)
class ClickCells:
    """The distinct clicks of one scan on the grid of ``F``, in an order of their own.

    Duplicates are merged and the rest is sorted, by label first, so neither repeating a click nor
    the order of clicks changes anything that is computed from them.

    Attributes:
        cells: ``(n_c, 3)`` int64 indices ``(i, j, k)`` on the grid of ``F``.
        labels: ``(n_c,)`` int64, 0 for background and 1 for foreground.
    """

    cells: Tensor
    labels: Tensor

    @classmethod
    def from_voxels(cls, voxels: Tensor, labels: Tensor, stride: Sequence[int]) -> ClickCells:
        """Divide click voxels ``(n_c, 3)`` by the down-sampling ratio of ``F``."""
        steps = torch.as_tensor(stride, device=voxels.device)
        rows = torch.cat((labels.reshape(-1, 1), voxels.reshape(-1, 3) // steps), dim=1)
        rows = torch.unique(rows.long(), dim=0) if len(rows) else rows.long()
        return cls(rows[:, 1:], rows[:, 0])

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class ClusteredAffinity:
    """The clustered affinity map ``CA`` (eq. 7), stored without its zeros.

    A voxel has at most one non-zero affinity per label (eq. 6), so two values and two indices
    hold its row of the ``(IJK) x n_c`` matrix.

    Attributes:
        value: ``(2, I, J, K)``: affinity to the best click of each label; 0 where there is none.
        winner: ``(2, I, J, K)`` int64: which click of the :class:`ClickCells` that is.
    """

    value: Tensor
    winner: Tensor

    def dense(self, clicks: int) -> Tensor:
        """``CA`` as the paper writes it, ``(I, J, K, n_c)``."""
        rows = self.value.new_zeros((*self.value.shape[1:], clicks))
        if clicks == 0:
            return rows
        for value, winner in zip(self.value, self.winner, strict=True):
            rows.scatter_add_(-1, winner[..., None], value[..., None])
        return rows


class FeatureClustering(nn.Module):
    """Affinity of every feature vector to its best foreground and background click.

    Args:
        channels: Channels ``C`` of ``F``.
        heads: ``n_h``; divides ``channels``.
        similarity: ``gaussian`` (eqs. 4-5) or ``cosine`` (the ablation of Table III).
        position: How the distance to a click counts in eq. 4, see
            :class:`caiseg.network_config.NetworkConfig`.
        alpha: Initial weight of the distance, one for all heads or one per head.
        query_scale: Initial factor on the shared linear layer's weights.
    """

    def __init__(
        self,
        channels: int,
        heads: int,
        *,
        similarity: Literal["gaussian", "cosine"] = "gaussian",
        position: Literal["minmax", "mm", "none"] = "minmax",
        alpha: Sequence[float] = (1.0,),
        query_scale: float = 1.0,
    ):
        super().__init__()
        self.heads = heads
        self.similarity = similarity
        self.position = position
        self.query_scale = query_scale
        self.mask_fusion = nn.Conv3d(1, channels, 3, padding=1)
        self.projection = nn.Linear(channels, channels)
        self.log_alpha = nn.Parameter(torch.tensor([math.log(value) for value in alpha]))

    def reset_parameters(self) -> None:
        """Start from ``F`` without the mask, and from the configured spread of affinities."""
        nn.init.zeros_(self.mask_fusion.weight)
        if self.mask_fusion.bias is not None:
            nn.init.zeros_(self.mask_fusion.bias)
        with torch.no_grad():
            self.projection.weight.mul_(self.query_scale)

    def forward(
        self,
        features: Tensor,
        previous_mask: Tensor,
        clicks: ClickCells,
        cell_mm: Tensor,
        windows: ClickWindows | None = None,
    ) -> ClusteredAffinity:
        """Cluster one scan's feature map round its clicks.

        Args:
            features: ``F`` of one scan, ``(C, I, J, K)``.
            previous_mask: ``S_p`` on the grid of ``F``, ``(I, J, K)``, in [0, 1].
            clicks: Cluster centres; any number, 0 included.
            cell_mm: ``s`` of eq. 13, ``(3,)``: spacing times down-sampling ratio, in mm.
            windows: Where each click acts, for answers (not for training); everywhere when left
                out.
        """
        grid = features.shape[1:]
        if len(clicks) == 0:
            value = features.new_zeros((2, *grid))
            return ClusteredAffinity(value, torch.zeros_like(value, dtype=torch.long))
        unit = self._distance_unit(grid, clicks, cell_mm, windows)
        with torch.no_grad():
            value, winner = best_affinities(
                self, features, previous_mask, clicks, cell_mm, unit, windows
            )
        if torch.is_grad_enabled():
            fused = features + self.mask_fusion(previous_mask[None, None].to(features))[0]
            layer = self.projection
            rows = torch.addmm(layer.bias[:, None], layer.weight, fused.flatten(1)).float()
            value = torch.stack(
                [
                    self._affinity_to(best.flatten(), rows, clicks, grid, cell_mm / unit)
                    if bool((clicks.labels == label).any())
                    else rows.new_zeros(rows.shape[1])
                    for label, best in enumerate(winner)
                ]
            ).unflatten(1, grid)
        return ClusteredAffinity(value, winner)

    def _distance_unit(
        self,
        grid: torch.Size,
        clicks: ClickCells,
        cell_mm: Tensor,
        windows: ClickWindows | None,
    ) -> float:
        """The distance in mm that counts as 1.

        Min-max normalisation maps the smallest distance, 0 at a click itself, to 0 and the
        largest, found between a click and a corner of the grid, to 1; where clicks act in windows,
        a corner of its own.
        """
        if self.position != "minmax":
            return REACH_UNIT_MM
        first, size = torch.zeros_like(clicks.cells), torch.tensor(grid, device=cell_mm.device)
        if windows is not None:
            first = torch.tensor(windows.starts, device=cell_mm.device)
            size = torch.tensor(windows.size, device=cell_mm.device)
        place = clicks.cells - first
        farthest = (torch.maximum(place, size - 1 - place) * cell_mm).norm(dim=1).max()
        return max(float(farthest), torch.finfo(cell_mm.dtype).tiny)

    def _affinity_to(
        self, winner: Tensor, rows: Tensor, clicks: ClickCells, grid: torch.Size, cell: Tensor
    ) -> Tensor:
        """Eqs. 4-5 for every cell and one click each, with gradients.

        Eq. 6 makes all other affinities 0, so that nothing is learned through them.

        Args:
            winner: Each cell's click, ``(L,)`` int64.
            rows: Projected features ``(C, L)``, in single precision: squares follow.
            clicks: The clicks.
            grid: Size of the grid of ``F``.
            cell: Edges ``(3,)`` of a cell, in units of the normalised distance.

        Returns:
            Affinities averaged over heads, ``(L,)``.
        """
        place = torch.zeros_like(clicks.cells[:, 0])
        for axis, size in enumerate(grid):
            place = place * size + clicks.cells[:, axis]
        centres = columns_of_winners(rows.index_select(1, place), winner)
        away = (_cell_positions(grid, cell) - (clicks.cells * cell)[winner]).norm(dim=1)
        alpha = self.log_alpha.exp().expand(self.heads)[:, None]
        weighted = torch.zeros_like(alpha) if self.position == "none" else alpha * away
        by_head, centre = (part.unflatten(0, (self.heads, -1)) for part in (rows, centres))
        if self.similarity == "cosine":
            cosine = nn.functional.cosine_similarity(by_head, centre, dim=1, eps=1e-12)
            affinity = cosine.clamp(min=0) * torch.exp(-(weighted**2))
        else:
            gap = torch.linalg.vector_norm(by_head - centre, dim=1) + weighted
            affinity = torch.exp(-(gap**2))
        return affinity.mean(0)


def columns_of_winners(columns: Tensor, winner: Tensor, strength: Tensor | None = None) -> Tensor:
    """Each cell's click's column, times a strength: a row of the sparse product ``CA M``.

    A matrix product that multiplies by zeros takes less time than looking each column up, and far
    less when gradients of a cell's worth have to be added up per click.

    Args:
        columns: One per click, ``(C, n_c)``.
        winner: ``(L,)`` int64.
        strength: ``(L,)``; 1 when left out.

    Returns:
        ``(C, L)`` float32.
    """
    chosen = torch.zeros((columns.shape[1], len(winner)), device=winner.device)
    value = torch.ones_like(chosen[:1]) if strength is None else strength[None]
    chosen = chosen.scatter(0, winner[None], value)
    with torch.autocast(columns.device.type, enabled=False):
        return columns.float() @ chosen


def _cell_positions(grid: torch.Size, cell_mm: Tensor) -> Tensor:
    """Positions ``(IJK, 3)`` in mm of the cells of a grid, in memory order."""
    axes = [torch.arange(size, device=cell_mm.device) for size in grid]
    return torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1).reshape(-1, 3) * cell_mm
