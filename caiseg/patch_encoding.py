"""The overlapping patches of a scan: encoded one by one, their features put together."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from caiseg.boxes import Box, relative
from caiseg.feature_grid import FeatureGrid, within
from caiseg.merged_features import MergedFeatures
from caiseg.network import CAISeg, ScanFeatures
from caiseg.patches import Blending, blend, distance


class PatchEncoder:
    """Encodes one scan.

    Args:
        network: In evaluation mode.
        grid: Of the scan.
        boxes: Where its patches lie, on the padded scan.
        blending: What share each of them has.
        patch: Cells of a patch along each axis; no larger part is worked on at once.
    """

    def __init__(
        self,
        network: CAISeg,
        grid: FeatureGrid,
        boxes: Sequence[Box],
        blending: Blending,
        patch: Sequence[int],
    ):
        self._network = network
        self._grid = grid
        self._boxes = boxes
        self._blending = blending
        self._patch = patch
        self._stage = network.backbone.last_stage

    @torch.inference_mode()
    def encode(
        self,
        padded: Tensor,
        storage: torch.dtype,
        first: Sequence[float] | None = None,
        progress: Callable[[float], None] | None = None,
        preview: Callable[[Box, Tensor], None] | None = None,
    ) -> MergedFeatures:
        """The features of the whole scan.

        Args:
            padded: The padded scan, on the network's device.
            storage: Type that the features are kept in.
            first: Voxel in whose neighbourhood to begin; every order gives the same features.
            progress: Called with the share of work done, in (0, 1].
            preview: See :class:`caiseg.encoded_features.EncodedFeatures`.
        """
        known = torch.zeros(self._grid.padded if preview else (0, 0, 0), device=padded.device)
        patches: dict[int, ScanFeatures] = {}
        order = sorted(range(len(self._boxes)), key=lambda n: distance(self._boxes[n], first))
        for index in order:
            box = self._boxes[index]
            patches[index] = self._encode(padded[box], storage)
            if preview is not None and len(patches) < len(self._boxes):
                known[box] += self._blending.share(box) * self._first_logits(patches[index])
                preview(self._grid.inside(box), self._grid.cut(known))
            if progress is not None:
                progress(len(patches) / len(self._boxes))
        # In one order, because sums depend on it in their last bits.
        return self._blended([patches.pop(index) for index in range(len(self._boxes))])

    def _encode(self, patch: Tensor, storage: torch.dtype) -> ScanFeatures:
        return self._network.encode(patch[None, None]).stored(storage)

    def _blended(self, patches: list[ScanFeatures]) -> MergedFeatures:
        """The features of the whole scan; the patches are used up."""
        cells = [self._grid.cells_of(box) for box in self._boxes]
        features = blend([patch.features for patch in patches], cells, self._grid.size)
        skip = blend([patch.skip for patch in patches], self._boxes, self._grid.padded)
        heads = torch.cat([patch.head_features for patch in patches])
        patches.clear()
        return MergedFeatures(features, self._shares(skip), heads)

    def _shares(self, skip: Tensor) -> Tensor:
        """What skip features ``(1, base, I, J, K)`` add in the last stage, part by part."""
        stage, halo = self._stage, self._stage.halo(self._grid.cell)
        parts = list(self._grid.parts(self._patch))
        if len(parts) == 1:
            return stage.share_of_skip(skip.float()).to(skip)
        shares = skip.new_empty((*self._grid.padded, 2 * skip.shape[1])).movedim(-1, 0)[None]
        for cells in parts:
            grown = self._grid.voxels_of(self._grid.grown(cells, halo))
            part = self._grid.voxels_of(cells)
            inner = relative(part, grown)
            around = stage.share_of_skip(within(skip, grown).float())
            within(shares, part).copy_(within(around, inner))
        return shares

    def _first_logits(self, patch: ScanFeatures) -> Tensor:
        """The logits of a patch by itself, without clicks."""
        share = self._stage.share_of_skip(patch.skip.float()).to(patch.skip)
        return self._stage.answer(patch.features.float(), share.float())[0, 0]
