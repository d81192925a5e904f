"""Whole scans of any size: overlapping patches, encoded once and blended.

A scan that fits into one patch is one tile; a larger one is covered by overlapping tiles. A click
runs again only the tiles that contain it. All arrays here lie on the model grid.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from caiseg.feature_clustering import ClickCells, ClusteredAffinity
from caiseg.network import CAISeg, ScanFeatures

Box = tuple[slice, slice, slice]

OVERLAP = 0.25
"""Least share of a patch that neighbouring patches have in common, along each axis."""


@dataclass(frozen=True)
class Tile:
    """One encoded patch.

    Attributes:
        box: Where it lies in the scan.
        features: What a click needs, for the patch padded to the network's total stride.
        base_logits: Its answer without clicks, ``(I, J, K)`` of the box.
    """

    box: Box
    features: ScanFeatures
    base_logits: Tensor


@dataclass(frozen=True)
class TileAnswer:
    """What the clicks in one tile gave.

    Attributes:
        logits: ``(I, J, K)`` of the tile's box.
        affinity: Clustered affinity map on the grid of ``F``.
    """

    logits: Tensor
    affinity: ClusteredAffinity


class EncodedTiles:
    """A scan encoded patch by patch.

    Args:
        network: In evaluation mode.
        image: Preprocessed scan ``(I, J, K)`` on the network's device.
        spacing: Voxel size ``(3,)`` in mm.
        patch_size: Largest patch ``(i, j, k)``; rounded up to the network's total stride.
        progress: Called with the share of work done, in (0, 1].
    """

    def __init__(
        self,
        network: CAISeg,
        image: Tensor,
        spacing: Tensor,
        patch_size: Sequence[int],
        progress: Callable[[float], None] | None = None,
    ):
        self.network = network
        self.shape = (image.shape[0], image.shape[1], image.shape[2])
        self.spacing = spacing
        self._strides = network.config.total_stride
        boxes = patch_boxes(self.shape, patch_size, self._strides)
        self.tiles: list[Tile] = []
        for count, box in enumerate(boxes, start=1):
            self.tiles.append(self._encode(image[box], box))
            if progress is not None:
                progress(count / len(boxes))
        self._windows = [
            blending_window(tile.box, self.shape).to(image.device) for tile in self.tiles
        ]
        self._weights = torch.zeros(self.shape, device=image.device)
        for tile, window in zip(self.tiles, self._windows, strict=True):
            self._weights[tile.box] += window

    @property
    def nbytes(self) -> int:
        """Bytes of memory that the tiles hold."""
        tiles = sum(tile.features.nbytes + tile.base_logits.nbytes for tile in self.tiles)
        return tiles + self._weights.nbytes + sum(window.nbytes for window in self._windows)

    @torch.inference_mode()
    def answer(
        self, voxels: Tensor, labels: Tensor, previous_mask: Tensor
    ) -> dict[int, TileAnswer]:
        """Run the click-dependent part in every tile that contains a click.

        Args:
            voxels: Click voxels ``(n_c, 3)`` int64.
            labels: ``(n_c,)`` int64, 0 for background and 1 for foreground.
            previous_mask: ``S_p``, ``(I, J, K)`` in [0, 1].

        Returns:
            One answer per tile index.
        """
        answers = {}
        for index, tile in enumerate(self.tiles):
            start = torch.tensor([part.start for part in tile.box], device=voxels.device)
            stop = torch.tensor([part.stop for part in tile.box], device=voxels.device)
            inside = ((voxels >= start) & (voxels < stop)).all(dim=1)
            if bool(inside.any()):
                clicks = ClickCells.from_voxels(
                    voxels[inside] - start, labels[inside], self.network.feature_stride
                )
                answers[index] = self._answer(tile, clicks, previous_mask[tile.box])
        return answers

    @torch.inference_mode()
    def blend(self, answers: dict[int, TileAnswer]) -> Tensor:
        """Foreground logits ``(I, J, K)`` of the scan; tiles without answer keep their first."""
        logits = torch.zeros_like(self._weights)
        for index, (tile, window) in enumerate(zip(self.tiles, self._windows, strict=True)):
            answer = answers.get(index)
            logits[tile.box] += window * (tile.base_logits if answer is None else answer.logits)
        return logits / self._weights

    @torch.inference_mode()
    def blend_affinity(self, answers: dict[int, TileAnswer]) -> Tensor:
        """Affinity to the best background and foreground click, ``(2, I, J, K)``."""
        affinity = torch.zeros((2, *self.shape), device=self._weights.device)
        for index, answer in answers.items():
            box = self.tiles[index].box
            size = self._padded(box)
            full = torch.nn.functional.interpolate(
                answer.affinity.value[None], size=size, mode="trilinear"
            )[0]
            i, j, k = self._windows[index].shape
            affinity[:, box[0], box[1], box[2]] += self._windows[index] * full[:, :i, :j, :k]
        return affinity / self._weights

    def _padded(self, box: Box) -> tuple[int, int, int]:
        return padded_size([part.stop - part.start for part in box], self._strides)

    def _pad(self, part: Tensor, value: float) -> Tensor:
        return pad_to_strides(part, self._strides, value)

    @torch.inference_mode()
    def _encode(self, part: Tensor, box: Box) -> Tile:
        padded = self._pad(part, float(part.min()))[None, None]
        features = self.network.encode(padded)
        logits = self.network.backbone.last_stage(features.features, features.skip)
        return Tile(box, features, self._cut(logits[0, 0], box))

    def _answer(self, tile: Tile, clicks: ClickCells, previous_mask: Tensor) -> TileAnswer:
        mask = self._pad(previous_mask.float(), 0.0)[None, None]
        output = self.network.answer(tile.features, [clicks], mask, self.spacing[None])
        return TileAnswer(self._cut(output.logits[0, 0], tile.box), output.affinity[0])

    @staticmethod
    def _cut(padded: Tensor, box: Box) -> Tensor:
        i, j, k = (part.stop - part.start for part in box)
        return padded[:i, :j, :k].float()


def patch_boxes(
    shape: Sequence[int], patch_size: Sequence[int], strides: Sequence[int]
) -> list[Box]:
    """Boxes that cover ``shape``, of at most ``patch_size`` rounded up to the total stride."""
    patch = [_round_up(size, stride) for size, stride in zip(patch_size, strides, strict=True)]
    return tile_boxes(shape, patch)


def padded_size(shape: Sequence[int], strides: Sequence[int]) -> tuple[int, int, int]:
    """Size that the total stride divides, at least two cells of the coarsest grid a side.

    A single cell would leave instance normalisation without a variance.
    """
    i, j, k = (
        max(_round_up(size, stride), 2 * stride)
        for size, stride in zip(shape, strides, strict=True)
    )
    return i, j, k


def pad_to_strides(part: Tensor, strides: Sequence[int], value: float) -> Tensor:
    """Append voxels at the far ends so that the total stride divides ``(I, J, K)``."""
    missing = [
        size - have for size, have in zip(padded_size(part.shape, strides), part.shape, strict=True)
    ]
    flat = [amount for extra in reversed(missing) for amount in (0, extra)]
    return torch.nn.functional.pad(part, flat, value=value)


def tile_boxes(shape: Sequence[int], patch: Sequence[int]) -> list[Box]:
    """Boxes of at most ``patch`` voxels that cover ``shape``, evenly spaced and overlapping."""
    axes = []
    for size, length in zip(shape, patch, strict=True):
        if size <= length:
            axes.append([slice(0, size)])
            continue
        step = int(length * (1 - OVERLAP))
        count = 1 + -(-(size - length) // step)
        starts = [round(n * (size - length) / (count - 1)) for n in range(count)]
        axes.append([slice(start, start + length) for start in starts])
    return [(i, j, k) for i, j, k in itertools.product(*axes)]


def blending_window(box: Box, shape: Sequence[int]) -> Tensor:
    """Blending weights: 1 at the middle of a tile, falling to its inner borders, never 0."""
    ramps = []
    for part, size in zip(box, shape, strict=True):
        length = part.stop - part.start
        place = torch.arange(length) + 0.5
        low = place if part.start > 0 else torch.full_like(place, torch.inf)
        high = length - place if part.stop < size else torch.full_like(place, torch.inf)
        border = torch.minimum(low, high) / (length * OVERLAP)
        ramps.append(border.clamp(max=1.0))
    return torch.einsum("i,j,k->ijk", *ramps)


def _round_up(size: int, stride: int) -> int:
    return -(-size // stride) * stride
