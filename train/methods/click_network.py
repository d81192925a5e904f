"""Networks that take clicks as input, the family of CAISeg's trainable baselines.

They have CAISeg's own VNet, of the same config and initialisation. Because clicks enter at the
input, nothing of a scan can be computed ahead: every click is a full forward pass.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor, nn

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


def build_vnet(config: NetworkConfig, input_channels: int = 1) -> VNet:
    """CAISeg's backbone, with further input channels where a method needs them."""
    return VNet(
        config.base_channels, config.kernel_size, config.strides, config.norm,
        input_channels=input_channels,
    )  # fmt: skip
