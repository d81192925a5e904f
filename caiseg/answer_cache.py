"""The last answer of each patch, given again while all that it depends on is the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from caiseg.feature_clustering import ClickCells, ClusteredAffinity
from caiseg.interpolation import Box


@dataclass(frozen=True)
class TileAnswer:
    """What the clicks in one tile gave; whoever reads it leaves it as it is.

    Attributes:
        logits: ``(I, J, K)`` of the tile's box.
        affinity: Clustered affinity map on the grid of ``F``.
        changed: Boxes of the model grid outside of which the answer without clicks stands.
    """

    logits: Tensor
    affinity: ClusteredAffinity
    changed: list[Box]

    @property
    def nbytes(self) -> int:
        """Bytes of memory that the answer holds."""
        affinity = self.affinity.value.nbytes + self.affinity.winner.nbytes
        return self.logits.untyped_storage().nbytes() + affinity


@dataclass(frozen=True)
class _Answered:
    clicks: ClickCells
    mask: Tensor
    answer: TileAnswer

    def is_of(self, clicks: ClickCells, mask: Tensor) -> bool:
        return (
            torch.equal(self.clicks.cells, clicks.cells)
            and torch.equal(self.clicks.labels, clicks.labels)
            and torch.equal(self.mask, mask)
        )


class AnswerCache:
    """One answer per tile, the last one.

    An answer is a function of the tile's clicks and of its part of ``S_p``; both are compared
    voxel by voxel, so what is given again is what would be computed. Threads may ask at the same
    time: an entry is replaced whole.

    Args:
        tiles: How many tiles the scan has.
    """

    def __init__(self, tiles: int):
        self._last: list[_Answered | None] = [None] * tiles

    def answer(
        self, tile: int, clicks: ClickCells, mask: Tensor, compute: Callable[[], TileAnswer]
    ) -> TileAnswer:
        """The answer of a tile.

        Args:
            tile: Its index.
            clicks: Its clicks on the grid of its ``F``.
            mask: Its part of ``S_p``, which nobody writes to any more.
            compute: Gives the answer when it is not the last one.
        """
        last = self._last[tile]
        if last is not None and last.is_of(clicks, mask):
            return last.answer
        answer = compute()
        self._last[tile] = _Answered(clicks, mask, answer)
        return answer

    @property
    def nbytes(self) -> int:
        """Bytes of memory that the answers and their questions hold."""
        return sum(last.mask.nbytes + last.answer.nbytes for last in self._last if last)
