"""``ritm3d``: clicks as disks and the previous mask as input channels (Sofiiuk et al. 2022).

RITM (reviving iterative training with mask guidance) in three dimensions: VNet is fed with the
scan, a map of disks around the background clicks, one of disks around the foreground clicks, and
its own previous mask, and is trained on rounds of simulated clicks.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from caiseg.network import initialise_he
from caiseg.network_config import NetworkConfig
from train.methods.click_maps import ClickPoints, disk_maps
from train.methods.click_network import ClickNetwork, build_vnet

DISK_RADIUS_MM = 5.0
"""RITM's disks have a radius of 5 pixels."""


class Ritm3D(ClickNetwork):
    """VNet on four channels: scan, background disks, foreground disks, previous mask."""

    def __init__(self, config: NetworkConfig):
        super().__init__(config)
        self.backbone = build_vnet(config, input_channels=4)
        self.apply(initialise_he)

    def forward(
        self, scan: Tensor, clicks: Sequence[ClickPoints], previous_mask: Tensor, spacing: Tensor
    ) -> Tensor:
        """Foreground logits ``(N, 1, I, J, K)``."""
        shape = (scan.shape[2], scan.shape[3], scan.shape[4])
        disks = disk_maps(clicks, shape, spacing, DISK_RADIUS_MM)
        return self.backbone(torch.cat((scan, disks, previous_mask), dim=1))  # type: ignore[no-any-return]
