"""The Interaction-Guided Module: clustering plus adjustment (eqs. 2-3, Fig. 1 (c))."""

from __future__ import annotations

from torch import Tensor, nn

from caiseg.feature_clustering import ClickCells, ClusteredAffinity, FeatureClustering


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
        strength = affinity.value
        if self.exclusive:
            strength = strength * (1 - strength.flip(0))
        clicked = (slice(None), *clicks.cells.T)
        adjustment = head_features[clicks.labels] - features[clicked].T
        adjusted = features
        for label in (0, 1):
            if bool((clicks.labels == label).any()):
                moved = adjustment.T[:, affinity.winner[label].flatten()].unflatten(
                    1, features.shape[1:]
                )
                adjusted = adjusted + strength[label] * moved
        return adjusted, affinity
