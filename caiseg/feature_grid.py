"""The voxels of a scan and the cells of its feature map: boxes of one grid on the other."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch import Tensor

from caiseg.boxes import Box, grown


@dataclass(frozen=True)
class FeatureGrid:
    """The model grid of a scan, padded at its far ends, and the grid of ``F``.

    Attributes:
        shape: Size ``(I, J, K)`` of the scan.
        padded: The same with what was appended; whole cells.
        cell: Voxels of a cell of ``F`` along each axis.
    """

    shape: tuple[int, int, int]
    padded: tuple[int, int, int]
    cell: tuple[int, int, int]

    @property
    def size(self) -> tuple[int, int, int]:
        """Cells of ``F`` along each axis."""
        i, j, k = (have // step for have, step in zip(self.padded, self.cell, strict=True))
        return i, j, k

    def cells_of(self, voxels: Box) -> Box:
        """A box of whole cells, on the grid of ``F``."""
        i, j, k = (
            slice(part.start // step, part.stop // step)
            for part, step in zip(voxels, self.cell, strict=True)
        )
        return i, j, k

    def voxels_of(self, cells: Box) -> Box:
        """A box of the grid of ``F``, in voxels."""
        i, j, k = (
            slice(part.start * step, part.stop * step)
            for part, step in zip(cells, self.cell, strict=True)
        )
        return i, j, k

    def grown(self, cells: Box, by: Sequence[int]) -> Box:
        """A box with so many cells more on every side, within the grid of ``F``."""
        return grown(cells, by, self.size)

    def grown_voxels(self, voxels: Box, by: int) -> Box:
        """A box with so many voxels more on every side, within the padded scan."""
        return grown(voxels, [by] * 3, self.padded)

    def inside(self, voxels: Box) -> Box:
        """A box without what lies in the padding."""
        i, j, k = (
            slice(part.start, min(part.stop, size))
            for part, size in zip(voxels, self.shape, strict=True)
        )
        return i, j, k

    def cut(self, padded: Tensor) -> Tensor:
        """Without what was appended to the last three axes."""
        i, j, k = self.shape
        return padded[..., :i, :j, :k]

    def parts(self, size: Sequence[int]) -> Iterator[Box]:
        """Boxes of at most so many cells, side by side."""
        axes = (
            [slice(start, min(start + step, length)) for start in range(0, length, step)]
            for length, step in zip(self.size, size, strict=True)
        )
        yield from ((i, j, k) for i, j, k in itertools.product(*axes))


def within(values: Tensor, box: Box) -> Tensor:
    """A box of the last three axes."""
    i, j, k = box
    return values[..., i, j, k]
