"""What is kept of a scan to answer clicks."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class MergedFeatures:
    """The features of a whole scan, and as much of the last stage as no click changes.

    In memory the channels of a place lie together.

    Attributes:
        features: ``F``, ``(1, C, I/r_i, J/r_j, K/r_k)``.
        share: What the skip features add in VNet's last stage, ``(1, 2 base, I, J, K)``; see
            :meth:`caiseg.vnet.LastStage.share_of_skip`.
        head_features: ``q_back`` and ``q_fore`` of every patch, ``(n_patches, 2, C)``.
    """

    features: Tensor
    share: Tensor
    head_features: Tensor

    def to(self, device: torch.device) -> MergedFeatures:
        """The same values on another device."""
        return MergedFeatures(
            self.features.to(device), self.share.to(device), self.head_features.to(device)
        )

    @property
    def nbytes(self) -> int:
        """Bytes of memory that these tensors hold."""
        return self.features.nbytes + self.share.nbytes + self.head_features.nbytes
