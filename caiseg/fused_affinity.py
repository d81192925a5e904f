"""Eqs. 4-7 without a gradient: one pass over ``F``, a running best per label.

Training keeps affinities of every voxel to every click for the backward pass. An answer needs
the best of each label alone, so the feature map is read slab by slab while its projection, its
distances to the clicks and the running maximum stay in the cache of the processor.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from caiseg.boxes import (
    Box,
    grown,
    hull,
    meeting,
    moved,
    occupied,
    relative,
    whole_box,
)
from caiseg.click_windows import ClickWindows
from caiseg.unclaimed_zeros import unclaimed_zeros

if TYPE_CHECKING:
    from caiseg.feature_clustering import ClickCells, FeatureClustering

_SLAB_CELLS = 1 << 14
"""Cells of ``F`` that are worked on at once."""

_FEW_CLICKS = 8
"""Up to so many clicks, differences cost less than a matrix product; Metal has no doubles."""

_CLICKS_AT_ONCE = 8
"""From so many clicks on, slabs become thinner, so that memory does not grow with them."""

_LOG2_E = math.log2(math.e)


def best_affinities(
    clustering: FeatureClustering,
    features: Tensor,
    previous_mask: Tensor,
    clicks: ClickCells,
    cell_mm: Tensor,
    unit: float,
    windows: ClickWindows | None = None,
) -> tuple[Tensor, Tensor]:
    """The largest affinity per label, and the click that it belongs to.

    Args:
        clustering: The block whose weights to use.
        features: ``F``, ``(C, I, J, K)``.
        previous_mask: ``S_p`` on the grid of ``F``, ``(I, J, K)``.
        clicks: At least one cluster centre.
        cell_mm: Edges of a cell of ``F`` in mm, ``(3,)``.
        unit: The distance in mm that counts as 1.
        windows: Where each click has an affinity above 0; everywhere when left out.

    Returns:
        Values ``(2, I, J, K)`` and winners ``(2, I, J, K)`` int64.
    """
    grid = features.shape[1:]
    value = unclaimed_zeros((2, *grid), features.device)
    winner = unclaimed_zeros((2, *grid), features.device, np.int64)
    everywhere = [(whole_box(grid), list(range(len(clicks))))]
    with torch.autocast(features.device.type, enabled=False):
        region = whole_box(grid) if windows is None else windows.hull(grid)
        projection = _Projection(clustering, features, previous_mask, region)
        sums_of = _HeadSums(clustering, projection.of_cells(clicks.cells).mT)
        distances = _Distances(clicks, grid, cell_mm / unit, windows)
        background = int((clicks.labels == 0).sum())
        for box, near in everywhere if windows is None else windows.boxes:
            for part, here in _slabs(box, near, windows):
                members = torch.tensor(here, device=features.device)
                affinity = sums_of(projection.of(part), distances.of(part, members), members)
                shape = [axis.stop - axis.start for axis in part]
                # Clicks are sorted by their label.
                between = bisect_left(here, background)
                for label, chosen in enumerate((slice(0, between), slice(between, len(here)))):
                    if chosen.start < chosen.stop:
                        best, place = affinity[chosen].max(dim=0)
                        value[label][part] = best.div_(clustering.heads).view(shape)
                        winner[label][part] = members[chosen][place].view(shape)
    return value, winner


def _slabs(
    box: Box, clicks: list[int], windows: ClickWindows | None
) -> Iterator[tuple[Box, list[int]]]:
    """Slabs of a box as far as clicks have an affinity there, and which clicks these are."""
    i, j, k = box
    plane = (j.stop - j.start) * (k.stop - k.start) * max(1, len(clicks) // _CLICKS_AT_ONCE)
    thickness = max(1, round(_SLAB_CELLS / plane))
    for start in range(i.start, i.stop, thickness):
        slab = (slice(start, min(start + thickness, i.stop)), j, k)
        if windows is None:
            yield slab, clicks
        elif reached := windows.within(slab, clicks):
            yield hull(reached.values()), list(reached)


class _Projection:
    """``F`` fused with ``S_p``, through the linear layer.

    Both are linear, so the convolution of ``S_p`` is brought through the layer beforehand and
    added only where the mask is.

    Args:
        clustering: The block whose weights to use.
        features: ``F``, ``(C, I, J, K)``.
        previous_mask: ``S_p`` on the grid of ``F``, ``(I, J, K)``.
        region: Holds all cells that are asked for.
    """

    def __init__(
        self,
        clustering: FeatureClustering,
        features: Tensor,
        previous_mask: Tensor,
        region: Box,
    ):
        fusion, layer = clustering.mask_fusion, clustering.projection
        assert fusion.bias is not None
        self._heads = clustering.heads
        self._weight = layer.weight
        self._bias = (layer.weight @ fusion.bias + layer.bias)[:, None]
        self._mask_weight = layer.weight @ fusion.weight.flatten(1)
        # Where the channels of a cell lie side by side in memory, this copies nothing.
        self._cells = features.movedim(0, -1)
        self._region = region
        missing = [
            (int(axis.start == 0), int(axis.stop == size))
            for axis, size in zip(region, previous_mask.shape, strict=True)
        ]
        beside = grown(region, (1, 1, 1), previous_mask.shape)
        around = previous_mask[beside].float()
        held = occupied((around > 0).cpu().numpy())
        # The cells to which the mask adds something.
        self._masked = held and grown(moved(held, beside), (1, 1, 1), previous_mask.shape)
        near = nn.functional.pad(around, [width for pair in reversed(missing) for width in pair])
        for axis in range(3):
            near = near.unfold(axis, 3, 1)
        self._windows = near

    def of_cells(self, cells: Tensor) -> Tensor:
        """Rows ``(n_h, d, L)`` of cells ``(L, 3)``."""
        rows = self._without_mask(self._cells[tuple(cells.T)])
        first = torch.tensor([part.start for part in self._region], device=cells.device)
        near = self._windows[tuple((cells - first).T)]
        rows += self._mask_weight @ near.flatten(1).T
        return self._by_head(rows)

    def of(self, part: Box) -> Tensor:
        """Rows ``(n_h, d, L)`` of the cells of a part of the grid."""
        rows = self._without_mask(self._cells[part])
        masked = None if self._masked is None else meeting(self._masked, part)
        if masked is not None:
            near = self._windows[relative(masked, self._region)].flatten(3).flatten(0, 2)
            shape = [axis.stop - axis.start for axis in part]
            i, j, k = relative(masked, part)
            here = rows.unflatten(1, shape)[:, i, j, k]
            here += (self._mask_weight @ near.T).view_as(here)
        return self._by_head(rows)

    def _without_mask(self, features: Tensor) -> Tensor:
        """Rows ``(C, L)`` of features ``(..., C)``."""
        return torch.addmm(self._bias, self._weight, features.float().flatten(0, -2).T)

    def _by_head(self, rows: Tensor) -> Tensor:
        split: Tensor = rows.unflatten(0, (self._heads, -1))
        return split


class _Distances:
    """Distances from cells to every click, in units of eq. 4's normalisation.

    They are infinite where a click does not act, so that its affinity is 0 there.
    """

    def __init__(
        self, clicks: ClickCells, grid: torch.Size, cell: Tensor, windows: ClickWindows | None
    ):
        self._squares = []
        for axis, size in enumerate(grid):
            places = torch.arange(size, device=cell.device)
            squares = ((places - clicks.cells[:, axis : axis + 1]) * cell[axis]).square()
            if windows is not None:
                first = torch.tensor(windows.starts, device=cell.device)[:, axis : axis + 1]
                outside = (places < first) | (places >= first + windows.size[axis])
                squares.masked_fill_(outside, torch.inf)
            self._squares.append(squares)

    def of(self, part: Box, members: Tensor) -> Tensor:
        """``(n, L)`` from the cells of a part of the grid to some clicks, of indices ``(n,)``."""
        i, j, k = (
            squares.index_select(0, members)[:, axis]
            for squares, axis in zip(self._squares, part, strict=True)
        )
        plane = j[:, :, None] + k[:, None, :]
        return (i[:, :, None, None] + plane[:, None]).sqrt_().flatten(1)


class _HeadSums:
    """Eqs. 4-5, summed over heads.

    More than a few clicks are compared by a matrix product, which is many times faster than
    differences: the squared norms are two more terms of it. It is in double precision, because in
    single precision it is not 0 for equal vectors and loses the small distances that decide which
    click wins.

    Args:
        clustering: The block whose weights to use.
        centres: Projected features at the clicks, ``(n_h, n_c, d)``.
    """

    def __init__(self, clustering: FeatureClustering, centres: Tensor):
        self._cosine = clustering.similarity == "cosine"
        self._centres = centres
        alphas = clustering.log_alpha.exp().expand(clustering.heads)
        if clustering.position == "none":
            # No weight, and yet an infinite distance stays one.
            alphas = torch.full_like(alphas, torch.finfo(alphas.dtype).tiny)
        self._alphas = alphas
        self._can_multiply = centres.device.type != "mps"
        if self._can_multiply:
            wide = centres.double()
            squares = wide.square().sum(2, keepdim=True)
            self._left = torch.cat((-2 * wide, torch.ones_like(squares), squares), dim=2)

    def __call__(self, rows: Tensor, distance: Tensor, members: Tensor) -> Tensor:
        """Sums ``(n, L)`` for the cells of rows ``(n_h, d, L)``.

        One head after the other, because all of them at once do not fit the cache.

        Args:
            rows: Projected features.
            distance: From the clicks, ``(n, L)``.
            members: Which clicks, ``(n,)``.
        """
        total = torch.zeros_like(distance)
        if self._cosine:
            centres = self._centres.index_select(1, members)
            for row, centre, alpha in zip(rows, centres, self._alphas, strict=True):
                directions = nn.functional.normalize(row, dim=0)
                cosine = nn.functional.normalize(centre, dim=1) @ directions
                total.addcmul_(cosine.clamp_(min=0), _gaussian_(alpha * distance))
        else:
            for gap, alpha in zip(self._euclidean(rows, members), self._alphas, strict=True):
                total.add_(_gaussian_(gap.addcmul_(alpha, distance)))
        return total

    def _euclidean(self, rows: Tensor, members: Tensor) -> Iterator[Tensor]:
        """``||q - k||_2`` of every head, ``(n, L)``."""
        if len(members) <= _FEW_CLICKS or not self._can_multiply:
            centres = self._centres.index_select(1, members)
            for row, centre in zip(rows, centres, strict=True):
                yield (row - centre[..., None]).square_().sum(1).sqrt_()
            return
        wide = rows.double()
        squares = wide.square().sum(1, keepdim=True)
        right = torch.cat((wide, squares, torch.ones_like(squares)), dim=1)
        left = self._left.index_select(1, members)
        for head, cells in zip(left, right, strict=True):
            yield (head @ cells).float().clamp_(min=0).sqrt_()


def _gaussian_(gap: Tensor) -> Tensor:
    """``exp(-x^2)`` in place, as a power of two, which takes a third of the time."""
    return gap.square_().mul_(-_LOG2_E).exp2_()
