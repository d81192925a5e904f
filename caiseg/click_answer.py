"""What clicks gave, on the model grid, before it is brought to the scan's own voxels."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from caiseg.boxes import Box
from caiseg.feature_clustering import ClusteredAffinity
from caiseg.interaction_guided import Adjustment


@dataclass(frozen=True)
class ClickAnswer:
    """What clicks gave; whoever reads it leaves it as it is.

    Attributes:
        logits: Foreground logits ``(I, J, K)``, as far as they are filled in; see
            :meth:`caiseg.encoded_features.EncodedFeatures.logits`.
        part: Box of the model grid that is filled in: all that changed, and the voxels beside it.
        affinity: Clustered affinity map on the grid of ``F``.
        adjustment: What the clicks add to ``F``.
        changed: Boxes of the model grid outside of which the answer without clicks stands.
        reach: Boxes of the grid of ``F`` in which the clicks act.
        blocks: First voxels ``(n, 3)`` of the blocks that were computed; ``None`` for everything.
    """

    logits: Tensor
    part: Box
    affinity: ClusteredAffinity
    adjustment: Adjustment
    changed: list[Box]
    reach: list[Box]
    blocks: Tensor | None
