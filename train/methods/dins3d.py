"""``dins3d``: Gaussian click maps injected at every scale of the encoder (Zhang et al. 2022).

After DINs (deep interactive networks for neurofibroma segmentation): clicks that enter at the
input alone fade on the way down, so maps of the clicks and of the previous mask are drawn anew at
every scale and added, through a convolution, to what the encoder computes there.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from caiseg.network import initialise_he
from caiseg.network_config import NetworkConfig
from caiseg.vnet import BackboneFeatures
from train.methods.click_maps import ClickPoints, gaussian_maps
from train.methods.click_network import ClickNetwork, build_vnet

SIGMA_MM = 5.0
"""Width of a click at full resolution."""


class Dins3D(ClickNetwork):
    """VNet whose five encoder stages each see the clicks."""

    def __init__(self, config: NetworkConfig):
        super().__init__(config)
        self.backbone = build_vnet(config)
        self.injections = nn.ModuleList(
            nn.Conv3d(3, config.base_channels * 2**level, 1) for level in range(5)
        )
        self.apply(initialise_he)

    def forward(
        self, scan: Tensor, clicks: Sequence[ClickPoints], previous_mask: Tensor, spacing: Tensor
    ) -> Tensor:
        """Foreground logits ``(N, 1, I, J, K)``."""
        vnet = self.backbone
        shape = (scan.shape[2], scan.shape[3], scan.shape[4])
        guides = torch.cat((gaussian_maps(clicks, shape, spacing, SIGMA_MM), previous_mask), dim=1)
        stages = [vnet.input_stage, *vnet.encoder]
        strides = [(1, 1, 1), *vnet.strides]
        outputs, current = [], scan
        for stage, stride, inject in zip(stages, strides, self.injections, strict=True):
            # The largest value of a cell, so that a click keeps its height on the way down.
            guides = nn.functional.max_pool3d(guides, stride, stride)
            current = stage(current) + inject(guides)
            outputs.append(current)
        decoded = [outputs.pop()]
        for up in vnet.decoder:
            decoded.append(up(decoded[-1], outputs.pop()))
        features = BackboneFeatures((decoded[0], decoded[1], decoded[2], decoded[3]), outputs.pop())
        return vnet.last_stage(features.feature_map, features.skip)  # type: ignore[no-any-return]
