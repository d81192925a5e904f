"""Whole scans of any size: overlapping patches, encoded once and blended.

A scan that fits into one patch is one tile; a larger one is covered by overlapping tiles. A click
runs again only the tiles that contain it, and those whose part of the previous mask is another one;
of these only the blocks whose answer it can change.
All arrays here lie on the model grid.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from caiseg.answer_bound import AnswerBound, tolerated_change
from caiseg.answer_cache import AnswerCache, TileAnswer
from caiseg.changed_blocks import BLOCK, BlockwiseLastStage, changed_blocks
from caiseg.feature_clustering import ClickCells
from caiseg.interpolation import Box, redrawn
from caiseg.network import CAISeg, ScanFeatures
from caiseg.patches import axis_weights, distance, pad_to_strides, patch_boxes, ramp


@dataclass(frozen=True)
class Tile:
    """One encoded patch.

    Attributes:
        box: Where it lies in the scan.
        features: What a click needs, for the patch padded to the network's total stride.
        padded_logits: Its answer without clicks, on the padded patch.
        tolerated: How far each of these logits may move before it must be computed anew.
    """

    box: Box
    features: ScanFeatures
    padded_logits: Tensor
    tolerated: Tensor

    def to(self, device: torch.device) -> Tile:
        """The same patch on another device."""
        return Tile(
            self.box,
            self.features.to(device),
            self.padded_logits.to(device),
            self.tolerated.to(device),
        )

    @property
    def base_logits(self) -> Tensor:
        """The answer without clicks, ``(I, J, K)`` of the box."""
        return _cut(self.padded_logits, self.box)

    @property
    def nbytes(self) -> int:
        """Bytes of memory that the tile holds."""
        return self.features.nbytes + self.padded_logits.nbytes + self.tolerated.nbytes


class EncodedTiles:
    """A scan encoded patch by patch.

    Args:
        network: In evaluation mode.
        image: Preprocessed scan ``(I, J, K)`` on the network's device.
        spacing: Voxel size ``(3,)`` in mm.
        patch_size: Largest patch ``(i, j, k)``; rounded up to the network's total stride.
        progress: Called with the share of work done, in (0, 1].
        dense: Whether to answer clicks by running the last stage on whole tiles, the reference
            to which the answer block by block is held; when left out, everywhere but on the CPU,
            where a few large kernels are no slower than many small ones.
        storage: Type that the features are kept in. Half precision halves the memory; the answer
            without clicks is computed from what is kept, so that all answers agree.
        first: Voxel in whose neighbourhood to begin; every order gives the same tiles.
        preview: Called after each patch but the last with its box and with the foreground logits
            ``(I, J, K)`` of the patches so far. They are on their way to the blend: where a patch
            is still missing only their sign counts, and 0 stands for nothing known yet.
    """

    def __init__(
        self,
        network: CAISeg,
        image: Tensor,
        spacing: Tensor,
        patch_size: Sequence[int],
        progress: Callable[[float], None] | None = None,
        *,
        dense: bool | None = None,
        storage: torch.dtype = torch.float32,
        first: Sequence[float] | None = None,
        preview: Callable[[Box, Tensor], None] | None = None,
    ):
        self.network = network
        self.shape = (image.shape[0], image.shape[1], image.shape[2])
        self.spacing = spacing
        self.dense = image.device.type != "cpu" if dense is None else dense
        self._storage = storage
        self._strides = network.config.total_stride
        stage = network.backbone.last_stage
        self._blockwise = BlockwiseLastStage(stage, network.feature_stride)
        self._bound = AnswerBound(stage, network.feature_stride)
        boxes = patch_boxes(self.shape, patch_size, self._strides)
        self._weights = [weights.to(image.device) for weights in axis_weights(boxes, self.shape)]
        self._base = torch.zeros(self.shape, device=image.device)
        encoded: dict[int, Tile] = {}
        for index in sorted(range(len(boxes)), key=lambda n: distance(boxes[n], first)):
            encoded[index] = self._encode(image[boxes[index]], boxes[index])
            if preview is not None and len(encoded) < len(boxes):
                self._add_to_base(encoded[index])
                preview(boxes[index], self._base)
            if progress is not None:
                progress(len(encoded) / len(boxes))
        self.tiles = [encoded[index] for index in range(len(boxes))]
        self._answers = AnswerCache(len(boxes))
        # Anew and in one order, because sums depend on it in their last bits.
        self._base.zero_()
        for tile in self.tiles:
            self._add_to_base(tile)

    @property
    def device(self) -> torch.device:
        """Where the features lie and clicks are answered."""
        return self._base.device

    @property
    def nbytes(self) -> int:
        """Bytes of memory that the tiles and their last answers hold."""
        tiles = sum(tile.nbytes for tile in self.tiles)
        return tiles + self._base.nbytes + self._answers.nbytes

    def on_cpu(self) -> EncodedTiles:
        """The same tiles, for a GPU that has no memory left to answer in."""
        cpu = torch.device("cpu")
        moved = copy.copy(self)
        moved.network = self.network.on_cpu()
        stage = moved.network.backbone.last_stage
        moved._blockwise = BlockwiseLastStage(stage, moved.network.feature_stride)
        moved._bound = AnswerBound(stage, moved.network.feature_stride)
        moved.spacing, moved._base = self.spacing.to(cpu), self._base.to(cpu)
        moved._weights = [weights.to(cpu) for weights in self._weights]
        moved.tiles = [tile.to(cpu) for tile in self.tiles]
        moved._answers = AnswerCache(len(self.tiles))
        moved.dense = False
        return moved

    @torch.inference_mode()
    def answer(
        self, voxels: Tensor, labels: Tensor, previous_mask: Tensor
    ) -> dict[int, TileAnswer]:
        """Run the click-dependent part in every tile that contains a click.

        A tile whose clicks and whose part of the mask are those of its last answer is not run
        again.

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
                mask = pad_to_strides(previous_mask[tile.box].float(), self._strides, 0.0)
                run = self._answer_densely if self.dense else self._answer_blockwise
                answers[index] = self._answers.answer(
                    index, clicks, mask, partial(run, tile, clicks, mask)
                )
        return answers

    @torch.inference_mode()
    def blend(self, answers: dict[int, TileAnswer]) -> Tensor:
        """Foreground logits ``(I, J, K)`` of the scan; tiles without answer keep their first."""
        if len(self.tiles) == 1 and answers:
            return answers[0].logits
        logits = self._base.clone()
        for index, answer in sorted(answers.items()):
            tile = self.tiles[index]
            for box in answer.changed:
                here = _relative(box, tile.box)
                moved = answer.logits[here] - tile.base_logits[here]
                logits[box] += self._share(tile.box, box) * moved
        return logits

    def redrawn(self, answers: dict[int, TileAnswer], logits: Tensor) -> list[Box]:
        """Boxes of the model grid outside of which the mask without clicks stands on any grid.

        Args:
            answers: What clicks gave.
            logits: The same, blended.
        """
        changed = (box for answer in answers.values() for box in answer.changed)
        boxes = (redrawn(logits, self._base, box) for box in changed)
        return [box for box in boxes if box is not None]

    @torch.inference_mode()
    def blend_affinity(self, answers: dict[int, TileAnswer]) -> Tensor:
        """Affinity to the best background and foreground click, ``(2, I, J, K)``."""
        affinity = torch.zeros((2, *self.shape), device=self._base.device)
        for index, answer in sorted(answers.items()):
            tile = self.tiles[index]
            full = torch.nn.functional.interpolate(
                answer.affinity.value[None], size=tile.padded_logits.shape, mode="trilinear"
            )[0]
            i, j, k = tile.box
            affinity[:, i, j, k] += self._share(tile.box) * _cut(full, tile.box)
        return affinity

    @torch.inference_mode()
    def _encode(self, part: Tensor, box: Box) -> Tile:
        padded = pad_to_strides(part, self._strides, float(part.min()))[None, None]
        features = self.network.encode(padded).stored(self._storage)
        stage = self.network.backbone.last_stage
        logits = stage(features.features.float(), features.skip.float())[0, 0].float()
        tolerated = torch.full_like(logits, torch.inf)
        i, j, k = part.shape
        tolerated[:i, :j, :k] = tolerated_change(logits[:i, :j, :k])
        return Tile(box, features, logits, tolerated)

    def _add_to_base(self, tile: Tile) -> None:
        self._base[tile.box] += self._share(tile.box) * tile.base_logits

    def _answer_densely(self, tile: Tile, clicks: ClickCells, mask: Tensor) -> TileAnswer:
        features = tile.features.stored(torch.float32)
        output = self.network.answer(features, [clicks], mask[None, None], self.spacing[None])
        logits = _cut(output.logits[0, 0].float(), tile.box)
        return TileAnswer(logits, output.affinity[0], [tile.box])

    def _answer_blockwise(self, tile: Tile, clicks: ClickCells, mask: Tensor) -> TileAnswer:
        adjustment, affinity = self.network.adjustment(tile.features, clicks, mask, self.spacing)
        blocks = changed_blocks(self._bound(adjustment), tile.tolerated)
        logits = tile.padded_logits.clone()
        self._blockwise.update(logits, blocks, tile.features, adjustment)
        return TileAnswer(_cut(logits, tile.box), affinity, _cover(blocks, tile.box))

    def _share(self, box: Box, part: Box | None = None) -> Tensor:
        """A tile's share of the blend in a part of its box, ``(I, J, K)``."""
        weights = (
            ramp(whole, size)[_inner(cut, whole)].to(total.device) / total[cut]
            for whole, cut, size, total in zip(
                box, part or box, self.shape, self._weights, strict=True
            )
        )
        return torch.einsum("i,j,k->ijk", *weights)


def _cover(blocks: Tensor, tile: Box) -> list[Box]:
    """Boxes of the model grid that hold a tile's blocks: one per layer of blocks along ``i``."""
    boxes = []
    for i in torch.unique(blocks[:, 0]).tolist():
        layer = blocks[blocks[:, 0] == i]
        low, high = layer.amin(0).tolist(), (layer.amax(0) + BLOCK).tolist()
        i, j, k = (
            slice(part.start + first, min(part.start + last, part.stop))
            for part, first, last in zip(tile, low, high, strict=True)
        )
        boxes.append((i, j, k))
    return boxes


def _relative(box: Box, tile: Box) -> Box:
    i, j, k = (_inner(part, whole) for part, whole in zip(box, tile, strict=True))
    return i, j, k


def _inner(part: slice, whole: slice) -> slice:
    return slice(part.start - whole.start, part.stop - whole.start)


def _cut(padded: Tensor, box: Box) -> Tensor:
    """Without what was appended to the last three axes."""
    i, j, k = (part.stop - part.start for part in box)
    return padded[..., :i, :j, :k]
