"""Networks that take clicks as input, the family of CAISeg's trainable baselines.

They have CAISeg's own VNet, of the same config and initialisation. Because clicks enter at the
input, nothing of a scan can be computed ahead: every click is a full forward pass.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from caiseg.network import initialise_he
from caiseg.network_config import NetworkConfig
from caiseg.vnet import VNet
from train.methods.click_maps import ClickPoints


class ClickNetwork(nn.Module, ABC):
    """A network from scan, clicks and previous mask to a mask.

    Args:
        config: Sizes of VNet; CAISeg's own parts in it do not apply.
    """

    takes_clicks: ClassVar[bool] = True
    """Whether clicks change its answer."""

    backbone: VNet

    def __init__(self, config: NetworkConfig):
        super().__init__()
        self.config = config

    @abstractmethod
    def forward(
        self, scan: Tensor, clicks: Sequence[ClickPoints], previous_mask: Tensor, spacing: Tensor
    ) -> Tensor:
        """Answer all clicks so far.

        Args:
            scan: Preprocessed intensities ``(N, 1, I, J, K)``, axes multiples of
                ``config.total_stride``.
            clicks: Of every scan of the batch, on the scan's grid.
            previous_mask: ``(N, 1, I, J, K)`` in [0, 1]; zeros before the first answer.
            spacing: Voxel sizes ``(N, 3)`` in mm.

        Returns:
            Foreground logits ``(N, 1, I, J, K)``.
        """


class ClickMapNetwork(ClickNetwork):
    """VNet on four channels: scan, background map, foreground map, previous mask.

    How clicks become maps is all that such methods differ in.
    """

    def __init__(self, config: NetworkConfig):
        super().__init__(config)
        self.backbone = build_vnet(config, input_channels=4)
        self.apply(initialise_he)

    def forward(
        self, scan: Tensor, clicks: Sequence[ClickPoints], previous_mask: Tensor, spacing: Tensor
    ) -> Tensor:
        """Foreground logits ``(N, 1, I, J, K)``."""
        maps = self.click_maps(scan, clicks, spacing)
        return self.backbone(torch.cat((scan, maps, previous_mask), dim=1))  # type: ignore[no-any-return]

    @abstractmethod
    def click_maps(self, scan: Tensor, clicks: Sequence[ClickPoints], spacing: Tensor) -> Tensor:
        """Clicks as images; arguments as in :meth:`forward`.

        Returns:
            ``(N, 2, I, J, K)`` in [0, 1], background first, as in :mod:`train.methods.click_maps`.
        """


def build_vnet(config: NetworkConfig, input_channels: int = 1) -> VNet:
    """CAISeg's backbone, with further input channels where a method needs them."""
    return VNet(
        config.base_channels, config.kernel_size, config.strides, config.norm,
        input_channels=input_channels,
    )  # fmt: skip
