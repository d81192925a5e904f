"""Eqs. 4-7 without a gradient: one pass over ``F``, a running best per label.

Training keeps affinities of every voxel to every click for the backward pass. An answer needs
the best of each label alone, so the feature map is read slab by slab while its projection, its
distances to the clicks and the running maximum stay in the cache of the processor.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from caiseg.boxes import Box, sparse_zeros, whole_box
from caiseg.click_windows import ClickWindows

if TYPE_CHECKING:
    from caiseg.feature_clustering import ClickCells, FeatureClustering

_SLAB_CELLS = 1 << 13
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
    value = sparse_zeros((2, *grid), features.device)
    winner = sparse_zeros((2, *grid), features.device, np.int64)
    everywhere = [(whole_box(grid), list(range(len(clicks))))]
    with torch.autocast(features.device.type, enabled=False):
        projection = _Projection(clustering, features, previous_mask)
        centres = projection.of(tuple(clicks.cells.T)).mT
        distances = _Distances(clicks, grid, cell_mm / unit)
        for box, near in everywhere if windows is None else windows.boxes():
            members = torch.tensor(near, device=features.device)
            sums_of = _HeadSums(clustering, centres.index_select(1, members))
            # Clicks are sorted by their label.
            background = int((clicks.labels[members] == 0).sum())
            rivals = (slice(0, background), slice(background, len(near)))
            for part in _slabs(box, len(near)):
                affinity = sums_of(projection.of(part), distances.of(part, members))
                if windows is not None:
                    _cut_off(affinity, windows, near, part)
                shape = [axis.stop - axis.start for axis in part]
                for label, chosen in enumerate(rivals):
                    if chosen.start < chosen.stop:
                        best, place = affinity[chosen].max(dim=0)
                        value[label][part] = best.div_(clustering.heads).view(shape)
                        winner[label][part] = members[chosen][place].view(shape)
    return value, winner


def _slabs(box: Box, clicks: int) -> Iterator[Box]:
    i, j, k = box
    plane = (j.stop - j.start) * (k.stop - k.start) * max(1, clicks // _CLICKS_AT_ONCE)
    thickness = max(1, round(_SLAB_CELLS / plane))
    for start in range(i.start, i.stop, thickness):
        yield slice(start, min(start + thickness, i.stop)), j, k


def _cut_off(affinity: Tensor, windows: ClickWindows, clicks: list[int], part: Box) -> None:
    """Write 0 where a part lies outside of a click's window, in place.

    Args:
        affinity: ``(n_c, L)`` of the clicks in the part.
        windows: Of all clicks.
        clicks: Which of them.
        part: Of the grid.
    """
    shape = [axis.stop - axis.start for axis in part]
    for row, click in enumerate(clicks):
        for axis, (whole, kept) in enumerate(zip(part, windows.box(click), strict=True)):
            before = min(kept.start - whole.start, shape[axis])
            after = min(whole.stop - kept.stop, shape[axis])
            if before > 0:
                affinity[row].view(shape).narrow(axis, 0, before).zero_()
            if after > 0:
                affinity[row].view(shape).narrow(axis, shape[axis] - after, after).zero_()


class _Projection:
    """``F`` fused with ``S_p``, through the linear layer.

    Both are linear, so the convolution of ``S_p`` is brought through the layer beforehand and
    added only where the mask is.
    """

    def __init__(self, clustering: FeatureClustering, features: Tensor, previous_mask: Tensor):
        fusion, layer = clustering.mask_fusion, clustering.projection
        assert fusion.bias is not None
        self._heads = clustering.heads
        self._weight = layer.weight
        self._bias = (layer.weight @ fusion.bias + layer.bias)[:, None]
        self._mask_weight = layer.weight @ fusion.weight.flatten(1)
        # Where the channels of a cell lie side by side in memory, this copies nothing.
        self._cells = features.movedim(0, -1)
        windows = nn.functional.pad(previous_mask.float(), [1] * 6)
        self._masked = windows.flatten(1).any(dim=1).unfold(0, 3, 1).any(dim=1)
        for axis in range(3):
            windows = windows.unfold(axis, 3, 1)
        self._windows = windows

    def of(self, cells: tuple[slice, ...] | tuple[Tensor, ...]) -> Tensor:
        """Rows ``(n_h, d, L)`` of the cells at an index of the grid."""
        features = self._cells[cells].float().flatten(0, -2)
        rows = torch.addmm(self._bias, self._weight, features.T)
        if bool(self._masked[cells[0]].any()):
            near = self._windows[cells].reshape(-1, self._mask_weight.shape[1])
            rows.addmm_(self._mask_weight, near.T)
        split: Tensor = rows.unflatten(0, (self._heads, -1))
        return split


class _Distances:
    """Distances from cells to every click, in units of eq. 4's normalisation."""

    def __init__(self, clicks: ClickCells, grid: torch.Size, cell: Tensor):
        self._squares = []
        for axis, size in enumerate(grid):
            steps = torch.arange(size, device=cell.device) - clicks.cells[:, axis : axis + 1]
            self._squares.append((steps * cell[axis]).square())

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
        self._alphas = torch.zeros_like(alphas) if clustering.position == "none" else alphas
        self._by_product = centres.shape[1] > _FEW_CLICKS and centres.device.type != "mps"
        if self._by_product:
            wide = centres.double()
            squares = wide.square().sum(2, keepdim=True)
            self._left = torch.cat((-2 * wide, torch.ones_like(squares), squares), dim=2)

    def __call__(self, rows: Tensor, distance: Tensor) -> Tensor:
        """Sums ``(n_c, L)`` for the cells of rows ``(n_h, d, L)``.

        One head after the other, because all of them at once do not fit the cache.

        Args:
            rows: Projected features.
            distance: From every click, ``(n_c, L)``.
        """
        total = torch.zeros_like(distance)
        if self._cosine:
            for row, centre, alpha in zip(rows, self._centres, self._alphas, strict=True):
                directions = nn.functional.normalize(row, dim=0)
                cosine = nn.functional.normalize(centre, dim=1) @ directions
                total.addcmul_(cosine.clamp_(min=0), _gaussian_(alpha * distance))
        else:
            for gap, alpha in zip(self._euclidean(rows), self._alphas, strict=True):
                total.add_(_gaussian_(gap.addcmul_(alpha, distance)))
        return total

    def _euclidean(self, rows: Tensor) -> Iterator[Tensor]:
        """``||q - k||_2`` of every head, ``(n_c, L)``."""
        if not self._by_product:
            for row, centre in zip(rows, self._centres, strict=True):
                yield (row - centre[..., None]).square_().sum(1).sqrt_()
            return
        wide = rows.double()
        squares = wide.square().sum(1, keepdim=True)
        right = torch.cat((wide, squares, torch.ones_like(squares)), dim=1)
        for head, cells in zip(self._left, right, strict=True):
            yield (head @ cells).float().clamp_(min=0).sqrt_()


def _gaussian_(gap: Tensor) -> Tensor:
    """``exp(-x^2)`` in place, as a power of two, which takes a third of the time."""
    return gap.square_().mul_(-_LOG2_E).exp2_()
