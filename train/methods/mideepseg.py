"""``mideepseg``: clicks as exponentialised geodesic distances (Luo et al. 2021).

The clicks enter as maps of ``exp(-D)``, ``D`` being the geodesic distance through the image, so
that a click lights up the even region around it and stops at edges. MIDeepSeg's first clicks lie
at the lesion's margin and its later ones enter by a graph cut; here all clicks are those that
every method gets, and enter the network alike.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from caiseg.clicks import Label
from caiseg.network import initialise_he
from caiseg.network_config import NetworkConfig
from train.methods.click_maps import ClickPoints
from train.methods.click_network import ClickNetwork, build_vnet
from train.methods.geodesic import exponentialised_geodesic


class MIDeepSeg(ClickNetwork):
    """VNet on four channels: scan, background and foreground closeness, previous mask."""

    def __init__(self, config: NetworkConfig):
        super().__init__(config)
        self.backbone = build_vnet(config, input_channels=4)
        self.apply(initialise_he)

    def forward(
        self, scan: Tensor, clicks: Sequence[ClickPoints], previous_mask: Tensor, spacing: Tensor
    ) -> Tensor:
        """Foreground logits ``(N, 1, I, J, K)``."""
        closeness = self._closeness(scan, clicks, spacing)
        return self.backbone(torch.cat((scan, closeness, previous_mask), dim=1))  # type: ignore[no-any-return]

    @staticmethod
    @torch.no_grad()
    def _closeness(scan: Tensor, clicks: Sequence[ClickPoints], spacing: Tensor) -> Tensor:
        """Maps ``(N, 2, I, J, K)`` of background and foreground clicks."""
        seeds = torch.zeros((len(scan), 2, *scan.shape[2:]), device=scan.device)
        for sample, points in enumerate(clicks):
            for label in Label:
                i, j, k = points.labelled(label).T
                seeds[sample, int(label), i, j, k] = 1
        if not bool(seeds.any()):
            return seeds
        with torch.autocast(scan.device.type, enabled=False):
            return exponentialised_geodesic(scan, seeds, spacing)
