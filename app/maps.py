"""What the network thinks of each voxel, as maps to lay over the scan.

A map is sent only when it is asked for: the question is put to the network again, which answers
the same way, so nothing but the mask is kept between clicks.
"""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from caiseg import CAISegPredictor, EncodedScan, InvalidInput
from caiseg.annotation.actions import Add
from caiseg.annotation.packed_mask import PackedMask, triple
from caiseg.annotation.rounds import Round
from caiseg.grids import Shape

MapKind = Literal["affinity", "probability"]

UNCERTAIN = (0.3, 0.7)
"""Foreground probabilities between these are undecided."""


@dataclass(frozen=True, slots=True)
class HeatMap:
    """A number from 0 to 1 for each voxel, in 8 bits, cropped to where it is not 0.

    Attributes:
        start: First voxel ``(i, j, k)`` of the crop on the display grid.
        values: uint8 ``(I, J, K)`` of the crop; 255 stands for 1.
    """

    start: Shape
    values: NDArray[np.uint8]

    @classmethod
    def of(cls, values: NDArray[np.float32]) -> HeatMap:
        """Quantise and crop values in [0, 1] on the display grid, ``(I, J, K)``."""
        steps = np.rint(values * np.float32(255)).astype(np.uint8)
        around = PackedMask.pack(steps > 0)
        return cls(around.start, steps[around.box])

    def payload(self) -> bytes:
        """The crop, ``i`` fastest, as a gzip stream."""
        return gzip.compress(self.values.ravel(order="F").data, compresslevel=1, mtime=0)

    def to_json(self) -> dict[str, Any]:
        """Where the crop lies: ``start`` and ``size``."""
        return {"start": list(self.start), "size": list(self.values.shape)}


@dataclass(frozen=True, slots=True)
class Uncertainty:
    """Where the network is undecided.

    Attributes:
        mask: Voxels with a probability between the two of :data:`UNCERTAIN`.
        most: The middle of the axial slice with most of them, none where there are none.
    """

    mask: PackedMask
    most: Shape | None

    @classmethod
    def of(cls, probability: NDArray[np.float32]) -> Uncertainty:
        """Find it in foreground probabilities ``(I, J, K)``."""
        low, high = UNCERTAIN
        undecided = (probability > low) & (probability < high)
        counts = undecided.sum(axis=(0, 1))
        k = int(counts.argmax())
        if counts[k] == 0:
            return cls(PackedMask.pack(undecided), None)
        voxels = np.argwhere(undecided[:, :, k])
        # A voxel of the region: its mean may lie in a hole.
        middle = voxels[np.linalg.norm(voxels - voxels.mean(axis=0), axis=1).argmin()]
        return cls(PackedMask.pack(undecided), triple((*middle, k)))


def affinity_of_last_click(
    predictor: CAISegPredictor, encoded: EncodedScan, present: Round
) -> NDArray[np.float32]:
    """How much each voxel resembles the last click (``CA`` of eq. 7 for this click alone).

    Raises:
        InvalidInput: There is no click.
    """
    if not present.clicks:
        raise InvalidInput("The affinity map shows the last click's; click on the scan first.")
    last = present.clicks[-1]
    answer = predictor.segment(encoded, [last], _mask_before(present))
    affinity: NDArray[np.float32] = answer.affinity[int(last.label)]
    return affinity


def foreground_probability(
    predictor: CAISegPredictor, encoded: EncodedScan, present: Round
) -> NDArray[np.float32]:
    """The probabilities that the network's last answer was made from, without hand edits.

    Raises:
        InvalidInput: The network has not been asked about this object yet.
    """
    if not present.clicks and present.start.mask.voxels == 0:
        raise InvalidInput("The network has said nothing about this object yet; click on it first.")
    answer = predictor.segment(encoded, present.clicks, _mask_before(present))
    return answer.probability


def _mask_before(present: Round) -> NDArray[np.bool_] | None:
    """``S_p`` of the last round that the network answered."""
    for done in reversed(present.history):
        if isinstance(done.step, Add) and done.previous is not None:
            return done.previous.mask.unpack()
    return None
