"""Where clicks act: each within one patch's size of itself, so that no click costs a whole scan."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from caiseg.interpolation import Box, meeting

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

    def box(self, click: int) -> Box:
        """The box of one click."""
        i, j, k = (
            slice(start, start + size)
            for start, size in zip(self.starts[click], self.size, strict=True)
        )
        return i, j, k

    def boxes(self) -> list[tuple[Box, list[int]]]:
        """Boxes without a common cell that cover all windows, each with the clicks that meet it."""
        windows = {click: self.box(click) for click in range(len(self))}
        return list(_covering(windows, _WASTE * math.prod(self.size)))


def _covering(windows: dict[int, Box], room: float) -> Iterator[tuple[Box, list[int]]]:
    hull = [
        slice(
            min(box[axis].start for box in windows.values()),
            max(box[axis].stop for box in windows.values()),
        )
        for axis in range(3)
    ]
    lengths = [part.stop - part.start for part in hull]
    axis = max(range(3), key=lambda n: lengths[n])
    middle = (hull[axis].start + hull[axis].stop) // (2 * _CUT_AT) * _CUT_AT
    if math.prod(lengths) <= room or not hull[axis].start < middle < hull[axis].stop:
        yield (hull[0], hull[1], hull[2]), list(windows)
        return
    for half in (slice(hull[axis].start, middle), slice(middle, hull[axis].stop)):
        parts = list(hull)
        parts[axis] = half
        within = {
            click: common
            for click, box in windows.items()
            if (common := meeting(box, (parts[0], parts[1], parts[2]))) is not None
        }
        if within:
            yield from _covering(within, room)
