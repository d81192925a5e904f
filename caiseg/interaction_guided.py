"""The Interaction-Guided Module: clustering plus adjustment (eqs. 2-3, Fig. 1 (c))."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from caiseg.boxes import Box
from caiseg.click_windows import ClickWindows
from caiseg.feature_clustering import (
    ClickCells,
    ClusteredAffinity,
    FeatureClustering,
    columns_of_winners,
)
from caiseg.unclaimed_zeros import unclaimed_zeros


@dataclass(frozen=True)
class Adjustment:
    """``CA M_adj`` of eq. 3, what clicks add to ``F``, before it is multiplied out.

    Attributes:
        strength: How far a cell moves for its best background and its best foreground click,
            ``(2, I, J, K)``.
        winner: Which click that is, ``(2, I, J, K)`` int64.
        targets: ``v_adj = q_cls - v_c`` of every click (eq. 2), ``(n_c, C)``.
    """

    strength: Tensor
    winner: Tensor
    targets: Tensor

    def add_to(self, rows: Tensor, cells: Tensor) -> Tensor:
        """Add in place what belongs to the cells of flat indices ``(L,)`` to rows ``(L, C)``."""
        for strength, winner in zip(self.strength, self.winner, strict=True):
            here, click = (part.flatten().index_select(0, cells) for part in (strength, winner))
            rows.addcmul_(here[:, None], self.targets.index_select(0, click))
        return rows

    def of(self, box: Box) -> Adjustment:
        """The same for a part of the grid."""
        i, j, k = box
        return Adjustment(self.strength[:, i, j, k], self.winner[:, i, j, k], self.targets)

    def added(self, features: Tensor) -> Tensor:
        """``F_new`` (eq. 3) of features ``(C, I, J, K)``, in single precision."""
        rows = features.permute(1, 2, 3, 0).float().flatten(0, 2).clone()
        moved = self.add_to(rows, torch.arange(len(rows), device=rows.device))
        whole: Tensor = moved.unflatten(0, features.shape[1:]).permute(3, 0, 1, 2)
        return whole


class InteractionGuidedModule(nn.Module):
    """Moves the features that resemble a clicked one towards the head features of its label.

    Args:
        clustering: The Feature Clustering Block.
        exclusive: See :class:`caiseg.network_config.NetworkConfig`.
    """

    def __init__(self, clustering: FeatureClustering, *, exclusive: bool = False):
        super().__init__()
        self.clustering = clustering
        self.exclusive = exclusive

    def forward(
        self,
        features: Tensor,
        head_features: Tensor,
        previous_mask: Tensor,
        clicks: ClickCells,
        cell_mm: Tensor,
    ) -> tuple[Tensor, ClusteredAffinity]:
        """``F_new = F + CA M_adj`` (eq. 3) with ``v_adj = q_cls - v_c`` (eq. 2), for one scan.

        Args:
            features: ``F``, ``(C, I, J, K)``.
            head_features: ``q_back`` and ``q_fore``, ``(2, C)``.
            previous_mask: ``S_p`` on the grid of ``F``, ``(I, J, K)``.
            clicks: The clicks on the grid of ``F``.
            cell_mm: ``s`` of eq. 13, ``(3,)``, in mm.

        Returns:
            ``F_new``, ``(C, I, J, K)``, and the clustered affinity map. Without clicks ``F_new``
            is ``F`` itself.
        """
        affinity = self.clustering(features, previous_mask, clicks, cell_mm)
        if len(clicks) == 0:
            return features, affinity
        adjustment = self.adjustment(features, head_features[clicks.labels], clicks, affinity)
        adjusted = features
        for label in (0, 1):
            if bool((clicks.labels == label).any()):
                moved = columns_of_winners(
                    adjustment.targets.T,
                    adjustment.winner[label].flatten(),
                    adjustment.strength[label].flatten(),
                )
                adjusted = adjusted + moved.view_as(features)
        return adjusted, affinity

    def adjustment(
        self,
        features: Tensor,
        head_features: Tensor,
        clicks: ClickCells,
        affinity: ClusteredAffinity,
        windows: ClickWindows | None = None,
    ) -> Adjustment:
        """What at least one click adds to ``F``.

        Args:
            features: ``F``, ``(C, I, J, K)``.
            head_features: ``q_cls`` of every click's label, ``(n_c, C)``.
            clicks: The clicks on the grid of ``F``.
            affinity: Their clustered affinity map.
            windows: Outside of them it is 0; everywhere it may be something when left out.
        """
        strength = affinity.value
        if self.exclusive:
            strength = _exclusive(strength, windows)
        clicked = (slice(None), *clicks.cells.T)
        targets = head_features - features[clicked].T.to(head_features)
        return Adjustment(strength, affinity.winner, targets)


def _exclusive(affinity: Tensor, windows: ClickWindows | None) -> Tensor:
    """Affinities ``(2, I, J, K)``, each less as the other label's is more."""
    if windows is None:
        return affinity * (1 - affinity.flip(0))
    strength = unclaimed_zeros(affinity.shape, affinity.device)
    for (i, j, k), _ in windows.boxes:
        here = affinity[:, i, j, k]
        strength[:, i, j, k] = here * (1 - here.flip(0))
    return strength
