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
from train.methods.click_maps import ClickPoints
from train.methods.click_network import ClickMapNetwork
from train.methods.geodesic import exponentialised_geodesic


class MIDeepSeg(ClickMapNetwork):
    """VNet that sees how close a voxel is to the clicks through the image."""

    @torch.no_grad()
    def click_maps(self, scan: Tensor, clicks: Sequence[ClickPoints], spacing: Tensor) -> Tensor:
        """Closeness ``(N, 2, I, J, K)`` to background and foreground clicks."""
        seeds = torch.zeros((len(scan), 2, *scan.shape[2:]), device=scan.device)
        for sample, points in enumerate(clicks):
            for label in Label:
                i, j, k = points.labelled(label).T
                seeds[sample, int(label), i, j, k] = 1
        if not bool(seeds.any()):
            return seeds
        with torch.autocast(scan.device.type, enabled=False):
            return exponentialised_geodesic(scan, seeds, spacing)
