"""``vnet``: CAISeg's backbone alone, which answers once and takes no clicks (ref. 36)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor

from caiseg.network import initialise_he
from caiseg.network_config import NetworkConfig
from train.methods.click_maps import ClickPoints
from train.methods.click_network import ClickNetwork, build_vnet


class VNetAlone(ClickNetwork):
    """VNet without anything around it; clicks and previous mask are not looked at."""

    takes_clicks: ClassVar[bool] = False

    def __init__(self, config: NetworkConfig):
        super().__init__(config)
        self.backbone = build_vnet(config)
        self.apply(initialise_he)

    def forward(
        self, scan: Tensor, clicks: Sequence[ClickPoints], previous_mask: Tensor, spacing: Tensor
    ) -> Tensor:
        """Foreground logits ``(N, 1, I, J, K)``, whatever was clicked."""
        return self.backbone(scan)  # type: ignore[no-any-return]
