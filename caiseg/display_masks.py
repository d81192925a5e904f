"""Masks of a scan on its display grid: the first one, and what answers to clicks make of it.

An answer is mostly like the one before it, so that one's masks are kept, and only what differs is
drawn. A voxel's value follows from the logits around its place and from nothing else, so that the
mask of an answer is the same whatever was answered before.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from caiseg.boxes import NOTHING, Box, grown, hull, meeting, moved, occupied, relative, whole_box
from caiseg.click_answer import ClickAnswer
from caiseg.clicks import Click
from caiseg.encoded_features import EncodedFeatures
from caiseg.grids import Shape
from caiseg.guided_filter import GuidedFilter
from caiseg.interpolation import reached, redrawn, write_mask
from caiseg.unclaimed_zeros import unclaimed_array

Mask = npt.NDArray[np.bool_]

_PLANES = 8
"""Planes that lie together in memory whose foreground one box holds."""


@dataclass(frozen=True)
class DrawnAnswer:
    """An answer on the display grid; whoever reads it leaves it as it is.

    Attributes:
        logits: Those of the answer, as far as they are filled in.
        filled: Which box of the model grid that is.
        boxes: Outside of them the network's mask is the first one.
        part: Outside of it all masks are the first ones.
        network_mask: The part of the network's mask.
        mask: The same, drawn to the scan's edges, as if no click held it.
    """

    logits: Tensor
    filled: Box
    boxes: list[Box]
    part: Box
    network_mask: Mask
    mask: Mask

    @property
    def nbytes(self) -> int:
        """Bytes of memory that it holds."""
        return self.logits.nbytes + self.network_mask.nbytes + self.mask.nbytes


class DisplayMasks:
    """Brings answers to one scan's clicks to the display grid.

    Args:
        features: Of the scan.
        edges: Draws masks to the scan's edges; ``None`` leaves them as the network gives them.
        shape: Size ``(I, J, K)`` of the display grid.

    Attributes:
        edges: As given.
        first: The mask without clicks, ``(I, J, K)``; where clicks change nothing it stands.
        network_first: The same as the network gave it, before it was drawn to the scan's edges.
    """

    def __init__(self, features: EncodedFeatures, edges: GuidedFilter | None, shape: Shape):
        self._features = features
        self.edges = edges
        self._latest: DrawnAnswer | None = None
        self.network_first = self._empty(shape)
        logits = features.base_logits
        box = redrawn(logits, logits, whole_box(logits.shape))
        if box is not None:
            shown = reached(box, logits.shape, shape)
            write_mask(self.network_first, logits, shown, whole_box(shape), shape)
        self.first = self.network_first if edges is None else edges.whole(self.network_first)
        self._first_boxes = list(_occupied_layers(self.first))

    @property
    def nbytes(self) -> int:
        """Bytes of memory that the masks hold, and what is kept of the latest answer."""
        first = self.first.nbytes + (0 if self.edges is None else self.network_first.nbytes)
        return first + (0 if self._latest is None else self._latest.nbytes)

    def on_cpu(self, features: EncodedFeatures) -> DisplayMasks:
        """The same for the features on the CPU, where a GPU has no memory left."""
        copied = object.__new__(DisplayMasks)
        edges = None if self.edges is None else self.edges.on(torch.device("cpu"))
        copied.__dict__.update(self.__dict__, _features=features, edges=edges, _latest=None)
        return copied

    def of(self, answer: ClickAnswer | None, clicks: Sequence[Click]) -> Mask:
        """The mask of an answer, ``(I, J, K)``, for the caller to keep.

        Args:
            answer: To clicks; ``None`` for none.
            clicks: What it answers, on the display grid.
        """
        mask = self._empty(self.first.shape)
        if answer is None:
            for box in self._first_boxes:
                mask[box] = self.first[box]
            return mask
        # Another thread may put its own answer in this one's place meanwhile.
        self._latest = drawn = self._drawn(answer, clicks, self._latest)
        for box in self._first_boxes:
            covered = meeting(box, drawn.part)
            if covered != box:
                mask[box] = self.first[box]
                if covered is not None:
                    mask[covered] = False
        part = mask[drawn.part]
        if (held := occupied(drawn.mask)) is not None:
            part[held] = drawn.mask[held]
        if self.edges is not None:
            self.edges.follow(part, drawn.part, drawn.network_mask, clicks)
        return mask

    def _empty(self, shape: Shape) -> Mask:
        """A mask without a voxel; most of a scan holds no lesion, and is not written to."""
        return unclaimed_array(shape, np.bool_) if self.edges is None else self.edges.empty()

    def _drawn(
        self, answer: ClickAnswer, clicks: Sequence[Click], before: DrawnAnswer | None
    ) -> DrawnAnswer:
        """Draw an answer where it differs from the one before."""
        changed = self._features.redrawn(answer)
        boxes = [reached(box, answer.logits.shape, self.first.shape) for box in changed]
        part = self._part(boxes, clicks)
        wide = part if before is None else hull((part, before.part))
        was = _in_box(
            wide, self.network_first, None if before is None else (before.part, before.network_mask)
        )
        network_mask = self.network_first[wide].copy(order="K")
        for box in boxes:
            network_mask[relative(box, wide)] = was[relative(box, wide)]
        for box, shown in zip(changed, boxes, strict=True):
            differing = self._differing(answer, before, box)
            again = differing and meeting(
                reached(differing, answer.logits.shape, self.first.shape), shown
            )
            if again is not None:
                write_mask(network_mask, answer.logits, again, wide, self.first.shape)
        mask = network_mask
        if self.edges is not None:
            mask = _in_box(wide, self.first, None if before is None else (before.part, before.mask))
            both = boxes if before is None else [*boxes, *before.boxes]
            self.edges.renew(mask, wide, was, network_mask, both)
        if part != wide:
            own = relative(part, wide)
            network_mask, mask = network_mask[own].copy(order="K"), mask[own].copy(order="K")
        logits = answer.logits[answer.part].clone()  # without the grid that it is a part of
        return DrawnAnswer(logits, answer.part, boxes, part, network_mask, mask)

    def _part(self, boxes: list[Box], clicks: Sequence[Click]) -> Box:
        """The part of the display grid in which masks may change where the network's did."""
        if self.edges is not None:
            return self.edges.needed(boxes, clicks)
        return hull(boxes) if boxes else NOTHING

    @torch.inference_mode()
    def _differing(self, answer: ClickAnswer, before: DrawnAnswer | None, box: Box) -> Box | None:
        """Where two answers have other logits, in a box of the model grid or beside it."""
        around = grown(box, (1, 1, 1), answer.logits.shape)
        now, then = self._features.values(answer, around), self._features.values(None, around)
        inside = None if before is None else meeting(before.filled, around)
        if before is not None and inside is not None:
            then[relative(inside, around)] = before.logits[relative(inside, before.filled)]
        found = occupied((now != then).cpu().numpy())
        return None if found is None else moved(found, around)


def _occupied_layers(mask: Mask) -> Iterator[Box]:
    """Boxes that hold a mask, a few planes each, so that little else is in them."""
    outer = int(np.argmax(mask.strides))
    for start in range(0, mask.shape[outer], _PLANES):
        parts = list(whole_box(mask.shape))
        parts[outer] = slice(start, min(start + _PLANES, mask.shape[outer]))
        layer = (parts[0], parts[1], parts[2])
        held = occupied(mask[layer])
        if held is not None:
            yield moved(held, layer)


def _in_box(wide: Box, first: Mask, later: tuple[Box, Mask] | None) -> Mask:
    """A box of a mask, of which a part of that box is known to have become another."""
    mask: Mask = first[wide].copy(order="K")
    if later is not None:
        part, known = later
        mask[relative(part, wide)] = known
    return mask
