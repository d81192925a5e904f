"""``ritm3d``: clicks as disks and the previous mask as input channels (Sofiiuk et al. 2022).

RITM (reviving iterative training with mask guidance) in three dimensions: VNet is fed with the
scan, a map of disks around the background clicks, one of disks around the foreground clicks, and
its own previous mask, and is trained on rounds of simulated clicks.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from train.methods.click_maps import ClickPoints, disk_maps
from train.methods.click_network import ClickMapNetwork

DISK_RADIUS_MM = 5.0
"""RITM's disks have a radius of 5 pixels."""


class Ritm3D(ClickMapNetwork):
    """VNet that sees clicks as disks."""

    def click_maps(self, scan: Tensor, clicks: Sequence[ClickPoints], spacing: Tensor) -> Tensor:
        """Disks ``(N, 2, I, J, K)`` around background and foreground clicks."""
        shape = (scan.shape[2], scan.shape[3], scan.shape[4])
        return disk_maps(clicks, shape, spacing, DISK_RADIUS_MM)
