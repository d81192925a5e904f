"""Eqs. 4-7 without a gradient: one pass over ``F``, a running best per label.

Training keeps affinities of every voxel to every click for the backward pass. An answer needs
the best of each label alone, so the feature map is read slab by slab while its projection, its
distances to the clicks and the running maximum stay in the cache of the processor.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from caiseg.feature_clustering import ClickCells, FeatureClustering

_SLAB_CELLS = 1 << 13
"""Cells of ``F`` that are worked on at once."""

_FEW_CLICKS = 2
"""Up to so many clicks, differences cost less than a matrix product; Metal has no doubles."""

_CLICKS_AT_ONCE = 16
"""From so many clicks on, slabs become thinner, so that memory does not grow with them."""


def best_affinities(
    clustering: FeatureClustering,
    features: Tensor,
    previous_mask: Tensor,
    clicks: ClickCells,
    cell_mm: Tensor,
    unit: float,
) -> tuple[Tensor, Tensor]:
    """The largest affinity per label, and the click that it belongs to.

    Args:
        clustering: The block whose weights to use.
        features: ``F``, ``(C, I, J, K)``.
        previous_mask: ``S_p`` on the grid of ``F``, ``(I, J, K)``.
        clicks: At least one cluster centre.
        cell_mm: Edges of a cell of ``F`` in mm, ``(3,)``.
        unit: The distance in mm that counts as 1.

    Returns:
        Values ``(2, I, J, K)`` and winners ``(2, I, J, K)`` int64.
    """
    grid = features.shape[1:]
    value = torch.zeros((2, *grid), device=features.device)
    winner = torch.zeros((2, *grid), dtype=torch.long, device=features.device)
    centres = _click_rows(clustering, features, previous_mask, clicks)
    distances = _SlabDistances(clicks, grid, cell_mm / unit)
    plane = grid[1] * grid[2] * max(1, len(clicks) // _CLICKS_AT_ONCE)
    for part in _slabs(grid[0], max(1, _SLAB_CELLS // plane)):
        rows = _project(clustering, features, previous_mask, part)
        affinity = _affinity(clustering, rows, centres, distances.of(part))
        for label in (0, 1):
            members = torch.nonzero(clicks.labels == label).flatten()
            if len(members):
                best, place = affinity.index_select(0, members).max(dim=0)
                value[label, part] = best.unflatten(0, (-1, *grid[1:]))
                winner[label, part] = members.index_select(0, place).unflatten(0, (-1, *grid[1:]))
    return value, winner


def _slabs(length: int, thickness: int) -> Iterator[slice]:
    for start in range(0, length, thickness):
        yield slice(start, min(start + thickness, length))


def _project(
    clustering: FeatureClustering, features: Tensor, previous_mask: Tensor, part: slice
) -> Tensor:
    """Rows ``(n_h, d, L)`` of one slab: ``F`` fused with ``S_p``, through the linear layer."""
    fusion = clustering.mask_fusion
    assert fusion.bias is not None
    slab = features[:, part].float()
    low, high = max(part.start - 1, 0), min(part.stop + 1, len(previous_mask))
    near = previous_mask[low:high].to(slab)
    if bool(near.any()):
        added = fusion(near[None, None])[0]
        slab = slab + added[:, part.start - low : part.stop - low]
    else:
        slab = slab + fusion.bias[:, None, None, None]
    layer = clustering.projection
    rows = torch.addmm(layer.bias[:, None], layer.weight, slab.flatten(1))
    split: Tensor = rows.unflatten(0, (clustering.heads, -1))
    return split


def _click_rows(
    clustering: FeatureClustering, features: Tensor, previous_mask: Tensor, clicks: ClickCells
) -> Tensor:
    """Rows ``(n_h, n_c, d)`` of the clicked cells, from the very slabs that hold them."""
    rows = [
        _project(clustering, features, previous_mask, slice(i, i + 1)).unflatten(
            2, features.shape[2:]
        )[:, :, j, k]
        for i, j, k in clicks.cells.tolist()
    ]
    return torch.stack(rows, dim=1)


class _SlabDistances:
    """Distances from the cells of a slab to every click, in units of eq. 4's normalisation."""

    def __init__(self, clicks: ClickCells, grid: torch.Size, cell: Tensor):
        self._squares = []
        for axis, size in enumerate(grid):
            steps = torch.arange(size, device=cell.device) - clicks.cells[:, axis : axis + 1]
            self._squares.append((steps * cell[axis]).square())

    def of(self, part: slice) -> Tensor:
        """``(n_c, L)``."""
        i, j, k = self._squares
        plane = j[:, :, None] + k[:, None, :]
        return (i[:, part, None, None] + plane[:, None]).sqrt_().flatten(1)


def _affinity(
    clustering: FeatureClustering, rows: Tensor, centres: Tensor, distance: Tensor
) -> Tensor:
    """Mean over heads of eqs. 4-5, ``(n_c, L)``."""
    weighted = clustering.log_alpha.exp().expand(clustering.heads)[:, None, None] * distance
    if clustering.position == "none":
        weighted = torch.zeros_like(weighted)
    if clustering.similarity == "cosine":
        directions = nn.functional.normalize(rows, dim=1)
        cosine = nn.functional.normalize(centres, dim=2) @ directions
        return (cosine.clamp_(min=0) * weighted.square_().neg_().exp_()).mean(0)
    gap = _euclidean(rows, centres).add_(weighted)
    return gap.square_().neg_().exp_().mean(0)


def _euclidean(rows: Tensor, centres: Tensor) -> Tensor:
    """``||q - k||_2`` of ``(n_h, d, L)`` rows to ``(n_h, n_c, d)`` centres, ``(n_h, n_c, L)``.

    For more than a few clicks it is expanded into a matrix product, which is many times faster
    than differences, in double precision: in single precision it is not 0 for equal vectors and
    loses the small distances that decide which click wins.
    """
    if centres.shape[1] <= _FEW_CLICKS or rows.device.type == "mps":
        return (rows[:, None] - centres[..., None]).square_().sum(2).sqrt_()
    wide, centre = rows.double(), centres.double()
    squares = wide.square().sum(1)[:, None] + centre.square().sum(2)[..., None]
    return torch.baddbmm(squares, centre, wide, alpha=-2).clamp_(min=0).float().sqrt_()
