"""CAISeg itself: backbone, head features, interaction-guided module and both outputs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from caiseg.boxes import whole_box
from caiseg.click_windows import ClickWindows
from caiseg.feature_clustering import ClickCells, ClusteredAffinity, FeatureClustering
from caiseg.head_features import HeadFeatures
from caiseg.interaction_guided import Adjustment, InteractionGuidedModule
from caiseg.network_config import NetworkConfig
from caiseg.patches import pad_to
from caiseg.unclaimed_zeros import unclaimed_zeros
from caiseg.vnet import VNet


@dataclass(frozen=True)
class ScanFeatures:
    """What is computed once per scan and then answers every click.

    Attributes:
        features: ``F``, ``(N, C, I/r_i, J/r_j, K/r_k)``.
        skip: First encoder stage, ``(N, base, I, J, K)``.
        head_features: ``q_back`` and ``q_fore``, ``(N, 2, C)``.
    """

    features: Tensor
    skip: Tensor
    head_features: Tensor

    def detach(self) -> ScanFeatures:
        """The same values, cut from the graph."""
        return ScanFeatures(self.features.detach(), self.skip.detach(), self.head_features.detach())

    def of(self, scans: Sequence[int]) -> ScanFeatures:
        """Those of some scans of the batch; all of them in their order are not copied."""
        if list(scans) == list(range(len(self.features))):
            return self
        rows = list(scans)
        return ScanFeatures(self.features[rows], self.skip[rows], self.head_features[rows])

    def stored(self, dtype: torch.dtype) -> ScanFeatures:
        """The same values to keep: in another floating type, the channels of a place together.

        The head features are small and stay as they are.
        """
        layout = torch.channels_last_3d
        return ScanFeatures(
            self.features.to(dtype).contiguous(memory_format=layout),
            self.skip.to(dtype).contiguous(memory_format=layout),
            self.head_features,
        )

    @property
    def nbytes(self) -> int:
        """Bytes of memory that these tensors hold."""
        return self.features.nbytes + self.skip.nbytes + self.head_features.nbytes


@dataclass(frozen=True)
class RoundOutput:
    """One answer of the network.

    Attributes:
        logits: Foreground logits of ``Ŷ``, ``(N, 1, I, J, K)``.
        adjusted: ``F_new``, ``(N, C, I/r_i, J/r_j, K/r_k)``.
        affinity: Clustered affinity map of each scan.
    """

    logits: Tensor
    adjusted: Tensor
    affinity: list[ClusteredAffinity]


class CAISeg(nn.Module):
    """The network of the paper.

    ``encode`` runs once per scan; ``answer`` runs once per click and touches only the clustering,
    the adjustment and VNet's last stage.

    Args:
        config: Sizes and switches.
    """

    def __init__(self, config: NetworkConfig):
        super().__init__()
        self.config = config
        self.backbone = VNet(config.base_channels, config.kernel_size, config.strides, config.norm)
        self.head_features = HeadFeatures(
            config.decoder_channels, config.attention_heads, config.drop_path
        )
        self.interaction = InteractionGuidedModule(
            FeatureClustering(
                config.feature_channels,
                config.affinity_heads,
                similarity=config.similarity,
                position=config.position,
                alpha=config.alpha,
                query_scale=config.query_scale,
            ),
            exclusive=config.exclusive,
        )
        self.apply(initialise_he)
        self.interaction.clustering.reset_parameters()

    @property
    def feature_stride(self) -> tuple[int, int, int]:
        """Down-sampling ratio ``(i, j, k)`` of ``F``."""
        return self.config.strides[0]

    def on_cpu(self) -> CAISeg:
        """The same network on the CPU, for answers only; takes no memory where it is now."""
        with torch.device("meta"):
            moved = CAISeg(self.config)
        moved.load_state_dict(
            {name: tensor.cpu() for name, tensor in self.state_dict().items()}, assign=True
        )
        return moved.eval().requires_grad_(False)

    def encode(self, scan: Tensor) -> ScanFeatures:
        """The click-independent part.

        Args:
            scan: Preprocessed intensities ``(N, 1, I, J, K)``, axes multiples of
                ``config.total_stride``.
        """
        backbone = self.backbone.features(scan)
        return ScanFeatures(
            backbone.feature_map, backbone.skip, self.head_features(backbone.decoder)
        )

    def answer(
        self,
        scan: ScanFeatures,
        clicks: Sequence[ClickCells],
        previous_mask: Tensor,
        spacing: Tensor,
    ) -> RoundOutput:
        """The click-dependent part.

        Args:
            scan: Result of :meth:`encode`.
            clicks: One set of clicks per scan of the batch, on the grid of ``F``.
            previous_mask: ``S_p``, ``(N, 1, I, J, K)`` in [0, 1].
            spacing: Voxel size of each scan in mm, ``(N, 3)``.
        """
        cell_mm = spacing * torch.as_tensor(self.feature_stride, device=spacing.device)
        coarse = nn.functional.interpolate(
            previous_mask.float(), size=scan.features.shape[2:], mode="trilinear"
        )
        adjusted, affinity = [], []
        for sample, centres in enumerate(clicks):
            moved, clustered = self.interaction(
                scan.features[sample], scan.head_features[sample], coarse[sample, 0], centres,
                cell_mm[sample],
            )  # fmt: skip
            adjusted.append(moved)
            affinity.append(clustered)
        stacked = torch.stack(adjusted)
        return RoundOutput(self.backbone.last_stage(stacked, scan.skip), stacked, affinity)

    def adjustment(
        self,
        features: Tensor,
        heads: Tensor,
        clicks: ClickCells,
        previous_mask: Tensor,
        spacing: Tensor,
        windows: ClickWindows | None = None,
    ) -> tuple[Adjustment, ClusteredAffinity]:
        """What clicks add to ``F`` (eq. 3), without running the last stage.

        Args:
            features: ``F`` of one scan, ``(C, I/r_i, J/r_j, K/r_k)``.
            heads: ``q_cls`` of every click's label, ``(n_c, C)``.
            clicks: At least one click, on the grid of ``F``.
            previous_mask: ``S_p``, ``(I, J, K)`` in [0, 1]; it may lack what was padded.
            spacing: Voxel size in mm, ``(3,)``.
            windows: Where each click acts; everywhere when left out.
        """
        cell_mm = spacing * torch.as_tensor(self.feature_stride, device=spacing.device)
        coarse = self._coarse(previous_mask, features.shape[1:], windows)
        affinity = self.interaction.clustering(features, coarse, clicks, cell_mm, windows)
        adjustment = self.interaction.adjustment(features, heads, clicks, affinity, windows)
        return adjustment, affinity

    def _coarse(self, mask: Tensor, grid: Sequence[int], windows: ClickWindows | None) -> Tensor:
        """``S_p`` on the grid of ``F``, as far as the windows and the cells beside them ask.

        A cell lies between its own voxels, so that a part is brought there like the whole.
        """
        i, j, k = whole_box(grid) if windows is None else windows.hull(grid)
        voxels = [
            slice(part.start * step, part.stop * step)
            for part, step in zip((i, j, k), self.feature_stride, strict=True)
        ]
        size = [part.stop - part.start for part in voxels]
        fine = pad_to(mask[tuple(voxels)].float(), size, 0.0)
        coarse = unclaimed_zeros(grid, mask.device)
        coarse[i, j, k] = nn.functional.interpolate(
            fine[None, None], size=coarse[i, j, k].shape, mode="trilinear"
        )[0, 0]
        return coarse

    def classify(self, features: Tensor, head_features: Tensor, size: Sequence[int]) -> Tensor:
        """The coarse prediction ``P̂_cls`` (eqs. 9-10) as foreground logits.

        The softmax over the two head features is a sigmoid of the difference of their scores.

        Args:
            features: ``F_new``, ``(N, C, ...)``.
            head_features: ``q_h``, ``(N, 2, C)``.
            size: Grid ``(I, J, K)`` to up-sample to.

        Returns:
            Logits ``(N, 1, I, J, K)``.
        """
        difference = head_features[:, 1] - head_features[:, 0]
        scores = torch.einsum("ncijk,nc->nijk", features, difference) / math.sqrt(features.shape[1])
        return nn.functional.interpolate(scores[:, None], size=tuple(size), mode="trilinear")


def initialise_he(module: nn.Module) -> None:
    """He initialisation (ref. 44): gain sqrt(2) before a rectifier, 1 where none follows.

    The linear layers of the attention stand without a rectifier (but for the first of each MLP,
    where a gain of 1 only starts the branch smaller), so they keep the variance of the features
    that they carry.
    """
    if isinstance(module, nn.Conv3d):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
    if isinstance(module, nn.ConvTranspose3d):
        # Its kernel equals its stride, so a voxel sums over the input channels alone; PyTorch's
        # rule, written for convolutions, would count output channels times kernel size.
        nn.init.normal_(module.weight, std=math.sqrt(2 / module.in_channels))
    if isinstance(module, nn.Linear):
        nn.init.kaiming_normal_(module.weight, nonlinearity="linear")
    if isinstance(module, nn.Conv3d | nn.ConvTranspose3d | nn.Linear) and module.bias is not None:
        nn.init.zeros_(module.bias)
