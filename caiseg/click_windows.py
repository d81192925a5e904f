"""Where clicks act: each within one patch's size of itself, so that no click costs a whole scan."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from caiseg.boxes import Box, grown, hull, meeting

_CUT_AT = 8
"""Boxes are cut at multiples of so many cells."""

_WASTE = 1.5
"""Windows far apart are covered by several boxes, of at most so many windows' size each."""


@dataclass(frozen=True)
class ClickWindows:
    """One box per click on the grid of ``F``, all of one size.

    Attributes:
        starts: First cell of each box, one ``(i, j, k)`` per click.
        size: Cells ``(i, j, k)`` of every box.
    """

    starts: list[list[int]]
    size: tuple[int, int, int]

    @classmethod
    def around(cls, cells: Tensor, grid: Sequence[int], size: Sequence[int]) -> ClickWindows:
        """The boxes that have the clicks in their middle, or nearest to it.

        Args:
            cells: The clicks, ``(n_c, 3)`` int64 on the grid.
            grid: Size of the grid.
            size: Cells that a box has along each axis where the grid has as many.
        """
        i, j, k = (min(have, wanted) for have, wanted in zip(grid, size, strict=True))
        last = torch.tensor(grid) - torch.tensor((i, j, k))
        starts = cells.cpu() - torch.tensor((i, j, k)) // 2
        return cls(starts.clamp(min=0).minimum(last).tolist(), (i, j, k))

    def __len__(self) -> int:
        return len(self.starts)

    @cached_property
    def of_clicks(self) -> list[Box]:
        """The box of each click."""
        a, b, c = self.size
        return [(slice(i, i + a), slice(j, j + b), slice(k, k + c)) for i, j, k in self.starts]

    def hull(self, grid: Sequence[int]) -> Box:
        """The smallest box that holds all windows and the cells beside them."""
        return grown(hull(self.of_clicks), (1, 1, 1), grid)

    def within(self, part: Box, clicks: Sequence[int]) -> dict[int, Box]:
        """What of a part of the grid lies in the box of each click, of those that have any."""
        return _within(part, {click: self.of_clicks[click] for click in clicks})

    @cached_property
    def boxes(self) -> list[tuple[Box, list[int]]]:
        """Boxes without a common cell that cover all windows, each with the clicks that meet it."""
        windows = dict(enumerate(self.of_clicks))
        return list(_covering(windows, _WASTE * math.prod(self.size)))


def _covering(windows: dict[int, Box], room: float) -> Iterator[tuple[Box, list[int]]]:
    whole = hull(windows.values())
    lengths = [part.stop - part.start for part in whole]
    axis = max(range(3), key=lambda n: lengths[n])
    first, last = whole[axis].start, whole[axis].stop
    middle = (first + last) // (2 * _CUT_AT) * _CUT_AT
    if math.prod(lengths) <= room or not first < middle < last:
        yield whole, list(windows)
        return
    for half in (slice(first, middle), slice(middle, last)):
        i, j, k = (half if n == axis else part for n, part in enumerate(whole))
        within = _within((i, j, k), windows)
        if within:
            yield from _covering(within, room)


def _within(part: Box, windows: dict[int, Box]) -> dict[int, Box]:
    """What of a part of the grid lies in each box, of those that have any."""
    met = {click: meeting(box, part) for click, box in windows.items()}
    return {click: box for click, box in met.items() if box is not None}
