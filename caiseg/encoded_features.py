"""Whole scans of any size: overlapping patches are encoded once, and their features blended.

A scan that fits into one patch is encoded as it is; a larger one in overlapping patches whose
features are put together, so that what answers a click is one feature map whatever the scan's
size. A click moves features within a window round itself, and the last stage runs again where that
can change the answer.
All arrays here lie on the model grid.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from caiseg.answer_bound import AnswerBound, tolerated_change, tolerated_for_probability
from caiseg.boxes import NOTHING, Box, hull, meeting, relative, whole_box
from caiseg.changed_blocks import BLOCK, BlockwiseLastStage, changed_blocks
from caiseg.click_answer import ClickAnswer
from caiseg.click_windows import ClickWindows
from caiseg.feature_clustering import ClickCells
from caiseg.feature_grid import FeatureGrid, within
from caiseg.interaction_guided import Adjustment
from caiseg.interpolation import redrawn
from caiseg.network import CAISeg
from caiseg.patch_encoding import PatchEncoder
from caiseg.patches import Blending, pad_to, padded_size, patch_boxes, scan_size
from caiseg.unclaimed_zeros import unclaimed_zeros


class EncodedFeatures:
    """A scan encoded patch by patch.

    Args:
        network: In evaluation mode.
        image: Preprocessed scan ``(I, J, K)`` on the network's device.
        spacing: Voxel size ``(3,)`` in mm.
        patch_size: Largest patch ``(i, j, k)``; rounded up to the network's total stride.
        progress: Called with the share of work done, in (0, 1].
        dense: Whether to answer clicks by running the last stage wherever they act, the reference
            to which the answer block by block is held; when left out, everywhere but on the CPU,
            where a few large kernels are no slower than many small ones.
        storage: Type that the features are kept in. Half precision halves the memory; the answer
            without clicks is computed from what is kept, so that all answers agree.
        first: Voxel in whose neighbourhood to begin; every order gives the same features.
        reach_mm: How far from itself a click acts, along every axis; at most half a patch's size,
            and that far when left out.
        preview: Called after each patch but the last with its box and with the foreground logits
            ``(I, J, K)`` of the patches so far. They are on their way to the answer: only their
            sign counts, and 0 stands for nothing known yet.

    Attributes:
        shape: Size ``(I, J, K)`` of the scan.
        boxes: Where its patches lie, on the scan padded at its far ends.
        scan: What is kept of the padded scan.
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
        reach_mm: float | None = None,
        preview: Callable[[Box, Tensor], None] | None = None,
    ):
        self.shape = (image.shape[0], image.shape[1], image.shape[2])
        self.spacing = spacing
        self.dense = image.device.type != "cpu" if dense is None else dense
        self._use(network)
        strides, cell = network.config.total_stride, network.feature_stride
        size = scan_size(self.shape, patch_size, strides, cell)
        self._grid = FeatureGrid(self.shape, size, cell)
        self.boxes = patch_boxes(size, patch_size, strides, cell)
        patch = self._grid.cells_of(whole_box(padded_size(patch_size, strides)))
        self._patch = [part.stop for part in patch]
        self._window = self._patch if reach_mm is None else self._cells_within(reach_mm)
        padded = pad_to(image, size, float(image.min()))
        self._blending = Blending(self.boxes, size, image.device)
        encoder = PatchEncoder(network, self._grid, self.boxes, self._blending, self._patch)
        self.scan = encoder.encode(padded, storage, first, progress, preview)
        self._base = torch.zeros(size, device=image.device)
        self._answer_without_clicks()

    @property
    def device(self) -> torch.device:
        """Where the features lie and clicks are answered."""
        return self._base.device

    @property
    def nbytes(self) -> int:
        """Bytes of memory that the features and the answer without clicks hold."""
        return self.scan.nbytes + self._base.nbytes + self._tolerated.nbytes

    @property
    def base_logits(self) -> Tensor:
        """Foreground logits without clicks, ``(I, J, K)``."""
        return self._grid.cut(self._base)

    def on_cpu(self) -> EncodedFeatures:
        """The same features, for a GPU that has no memory left to answer in."""
        cpu = torch.device("cpu")
        moved = copy.copy(self)
        moved._use(self.network.on_cpu())
        moved.spacing, moved.scan = self.spacing.to(cpu), self.scan.to(cpu)
        moved._base, moved._tolerated = self._base.to(cpu), self._tolerated.to(cpu)
        moved._blending = Blending(self.boxes, self._base.shape, cpu)
        moved.dense = False
        return moved

    def near(self, voxels: Tensor) -> Box:
        """The part of the scan in which a previous mask matters to clicks at some voxels."""
        windows = self._windows(voxels // torch.as_tensor(self._grid.cell, device=self.device))
        return self._grid.inside(self._grid.voxels_of(windows.hull(self._grid.size)))

    @torch.inference_mode()
    def answer(self, voxels: Tensor, labels: Tensor, previous_mask: Tensor) -> ClickAnswer:
        """Run the click-dependent part where the clicks act.

        Args:
            voxels: Voxels of at least one click, ``(n_c, 3)`` int64.
            labels: ``(n_c,)`` int64, 0 for background and 1 for foreground.
            previous_mask: ``S_p``, ``(I, J, K)`` in [0, 1]; what is not :meth:`near` the clicks
                does not matter.
        """
        clicks = ClickCells.from_voxels(voxels, labels, self.network.feature_stride)
        windows = self._windows(clicks.cells)
        adjustment, affinity = self.network.adjustment(
            self.scan.features[0],
            self._heads(clicks),
            clicks,
            previous_mask,
            self.spacing,
            None if windows.size == self._grid.size else windows,
        )
        reach, blocks = [box for box, _ in windows.boxes], None
        if self.dense:
            changed = [self._grid.voxels_of(self._grid.grown(box, self._halo)) for box in reach]
        else:
            blocks = self._blocks(adjustment, reach, self._tolerated)
            changed = _layers(blocks)
        # Interpolation reads the voxels beside those that change.
        part = self._grid.grown_voxels(hull(changed), 1) if changed else NOTHING
        logits = unclaimed_zeros(self._base.shape, self.device)
        logits[part] = self._base[part]
        if blocks is None:
            self._answer_densely(logits, adjustment, reach)
        else:
            self._blockwise.update(logits, blocks, self.scan, adjustment)
        return ClickAnswer(
            logits=self._grid.cut(logits),
            part=self._grid.inside(part),
            affinity=affinity,
            adjustment=adjustment,
            changed=[self._grid.inside(box) for box in changed],
            reach=reach,
            blocks=blocks,
        )

    @torch.inference_mode()
    def logits(self, answer: ClickAnswer | None) -> Tensor:
        """Foreground logits ``(I, J, K)``: their sign is the mask.

        Where clicks cannot change that they are those without clicks, see :meth:`all_logits`.

        Args:
            answer: To clicks; ``None`` for none.
        """
        if answer is None:
            return self.base_logits
        return self.values(answer, whole_box(self.shape))

    @torch.inference_mode()
    def values(self, answer: ClickAnswer | None, box: Box) -> Tensor:
        """The same :meth:`logits` in a box of the model grid, for the caller to keep."""
        values = self.base_logits[box].clone()
        if answer is not None and (inside := meeting(answer.part, box)) is not None:
            values[relative(inside, box)] = answer.logits[inside]
        return values

    @torch.inference_mode()
    def all_logits(self, answer: ClickAnswer | None) -> Tensor:
        """Foreground logits ``(I, J, K)`` from which every probability follows within 0.01.

        That takes more blocks than the mask does, so it is computed for those who ask.

        Args:
            answer: To clicks; ``None`` for none.
        """
        if answer is None or answer.blocks is None:
            return self.logits(answer)
        tolerated = torch.full_like(self._base, torch.inf)
        self._grid.cut(tolerated).copy_(tolerated_for_probability(self.base_logits))
        wanted = self._blocks(answer.adjustment, answer.reach, tolerated)
        blocks, times = torch.unique(
            torch.cat((wanted, answer.blocks, answer.blocks)), dim=0, return_counts=True
        )
        logits = self._base.clone()
        logits[answer.part] = answer.logits[answer.part]
        self._blockwise.update(logits, blocks[times == 1], self.scan, answer.adjustment)
        return self._grid.cut(logits)

    def redrawn(self, answer: ClickAnswer) -> list[Box]:
        """Boxes of the model grid outside of which the mask without clicks stands on any grid."""
        boxes = (redrawn(answer.logits, self.base_logits, box) for box in answer.changed)
        return [box for box in boxes if box is not None]

    @torch.inference_mode()
    def affinity(self, answer: ClickAnswer | None) -> Tensor:
        """Affinity to the best background and foreground click, ``(2, I, J, K)``."""
        if answer is None:
            return torch.zeros((2, *self.shape), device=self.device)
        full = torch.nn.functional.interpolate(
            answer.affinity.value[None], size=self._base.shape, mode="trilinear"
        )
        return self._grid.cut(full[0])

    @torch.inference_mode()
    def coarse_logits(self, answer: ClickAnswer | None) -> Tensor:
        """Foreground logits of the coarse prediction ``P̂_cls`` (eqs. 9-10).

        It is what deep supervision teaches the head features, and shows what clicks made of ``F``
        before VNet's last stage sees it (Fig. 4, middle).

        Args:
            answer: To clicks; ``None`` for none, where ``F_new`` is ``F``.

        Returns:
            ``(2, I, J, K)``: before the adjustment, from ``F``, and after it, from ``F_new``.
        """
        total = torch.zeros((2, *self._base.shape), device=self.device)
        for heads, box in zip(self.scan.head_features, self.boxes, strict=True):
            cells, (i, j, k) = self._grid.cells_of(box), box
            before = within(self.scan.features[0], cells).float()
            after = before if answer is None else answer.adjustment.of(cells).added(before)
            logits = self.network.classify(
                torch.stack((before, after)),
                heads.expand(2, -1, -1),
                [part.stop - part.start for part in box],
            )
            total[:, i, j, k] += self._blending.share(box) * logits[:, 0]
        return self._grid.cut(total)

    def _use(self, network: CAISeg) -> None:
        """Answer with a network, on the device that it is on."""
        stage = network.backbone.last_stage
        self.network = network
        self._halo = stage.halo(network.feature_stride)
        self._blockwise = BlockwiseLastStage(stage, network.feature_stride)
        self._bound = AnswerBound(stage, network.feature_stride)

    def _windows(self, cells: Tensor) -> ClickWindows:
        """Where clicks in some cells ``(n_c, 3)`` act."""
        return ClickWindows.around(cells, self._grid.size, self._window)

    def _cells_within(self, reach_mm: float) -> list[int]:
        """Size of a click's window on the grid of ``F``, at most a patch."""
        cells_mm = [
            float(mm) * cell for mm, cell in zip(self.spacing, self._grid.cell, strict=True)
        ]
        return [
            min(patch, 2 * int(reach_mm / size) + 1)
            for patch, size in zip(self._patch, cells_mm, strict=True)
        ]

    @torch.inference_mode()
    def _answer_without_clicks(self) -> None:
        """Fill in the logits, and how far each of them may move before it is computed anew."""
        for cells in self._grid.parts(self._patch):
            self._base[self._grid.voxels_of(cells)] = self._logits_in(cells)
        self._tolerated = torch.full_like(self._base, torch.inf)
        self._grid.cut(self._tolerated).copy_(tolerated_change(self.base_logits))

    def _heads(self, clicks: ClickCells) -> Tensor:
        """``q_cls`` of every click's label, ``(n_c, C)``: of the patches that it lies in."""
        heads = self.scan.head_features[:, clicks.labels]
        if len(heads) == 1:
            return heads[0]
        voxels = clicks.cells * torch.as_tensor(self._grid.cell, device=self.device)
        shares = torch.stack([self._blending.at(box, voxels) for box in self.boxes])
        return (shares[..., None] * heads).sum(0)

    def _answer_densely(self, logits: Tensor, adjustment: Adjustment, boxes: Sequence[Box]) -> None:
        """Write the logits wherever clicks act, in place."""
        for box in boxes:
            cells = self._grid.grown(box, self._halo)
            logits[self._grid.voxels_of(cells)] = self._logits_in(cells, adjustment)

    def _blocks(self, adjustment: Adjustment, boxes: Sequence[Box], tolerated: Tensor) -> Tensor:
        """First voxels ``(n, 3)`` of the blocks that may change more than is tolerated."""
        wanted = torch.zeros([-(-size // BLOCK) for size in tolerated.shape], dtype=torch.bool)
        wanted = wanted.to(self.device)
        for box in boxes:
            # A bound is complete within a halo of the box, where cells around are known as well.
            cells = self._grid.grown(box, [2 * size for size in self._halo])
            voxels = self._grid.voxels_of(cells)
            bound = self._bound(adjustment.of(cells))
            first = [part.start for part in voxels]
            found = changed_blocks(bound, tolerated[voxels], first) // BLOCK
            wanted[tuple(found.T)] = True
        return torch.nonzero(wanted) * BLOCK

    def _logits_in(self, cells: Box, adjustment: Adjustment | None = None) -> Tensor:
        """The last stage's logits in a box of cells, as if it had run on the whole scan."""
        grown = self._grid.grown(cells, self._halo)
        voxels = self._grid.voxels_of(grown)
        features = within(self.scan.features, grown).float()
        if adjustment is not None:
            features = adjustment.of(grown).added(features[0])[None]
        stage = self.network.backbone.last_stage
        logits = stage.answer(features, within(self.scan.share, voxels).float())
        return logits[0, 0][relative(self._grid.voxels_of(cells), voxels)]


def _layers(blocks: Tensor) -> list[Box]:
    """Boxes that hold blocks: one per layer of blocks along ``i``."""
    boxes = []
    for i in torch.unique(blocks[:, 0]).tolist():
        layer = blocks[blocks[:, 0] == i]
        low, high = layer.amin(0).tolist(), (layer.amax(0) + BLOCK).tolist()
        first, second, third = (slice(start, stop) for start, stop in zip(low, high, strict=True))
        boxes.append((first, second, third))
    return boxes
