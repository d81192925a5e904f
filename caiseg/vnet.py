"""VNet, the backbone (Milletari et al. 2016; box (a) of the paper's Fig. 1).

Residual stages of 1, 2, 3, 3, 3 convolutions on the way down, 3, 3, 2, 1 on the way up; every
change of resolution is a (transposed) convolution whose kernel equals its stride.  The last
decoder stage is a module of its own, :class:`LastStage`, because it is what a click runs again;
all the rest runs once per scan.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, cast

import torch
from torch import Tensor, nn

from caiseg.convolution import Convolution

Norm = Literal["instance", "none"]
Stride = tuple[int, int, int]

ENCODER_CONVOLUTIONS = (1, 2, 3, 3, 3)
DECODER_CONVOLUTIONS = (3, 3, 2, 1)


@dataclass(frozen=True)
class BackboneFeatures:
    """What the click-independent part of VNet computes from one batch of scans.

    Attributes:
        decoder: Decoder outputs at strides 16, 8, 4 and 2, coarse to fine, each
            ``(N, C_s, I_s, J_s, K_s)``. The last one is the paper's ``F``.
        skip: First encoder stage, ``(N, base, I, J, K)``, which the last stage joins.
    """

    decoder: tuple[Tensor, Tensor, Tensor, Tensor]
    skip: Tensor

    @property
    def feature_map(self) -> Tensor:
        """``F``: ``(N, C, I/r_i, J/r_j, K/r_k)`` with ``C`` four times the base channels."""
        return self.decoder[-1]


def _norm(kind: Norm, channels: int) -> nn.Module:
    return nn.InstanceNorm3d(channels, affine=True) if kind == "instance" else nn.Identity()


class ConvolutionUnit(nn.Sequential):
    """Convolution (same size), normalisation and, unless it ends a stage, PReLU."""

    def __init__(self, channels_in: int, channels: int, kernel: int, norm: Norm, last: bool):
        layers: list[nn.Module] = [
            Convolution(channels_in, channels, kernel, bias=norm == "none"),
            _norm(norm, channels),
        ]
        if not last:
            layers.append(nn.PReLU(channels))
        super().__init__(*layers)


class ResidualStage(nn.Module):
    """``PReLU(x + f(x))`` with ``f`` a chain of convolutions at constant width."""

    def __init__(self, channels: int, convolutions: int, kernel: int, norm: Norm):
        super().__init__()
        self.body = nn.Sequential(
            *(
                ConvolutionUnit(channels, channels, kernel, norm, last=n == convolutions - 1)
                for n in range(convolutions)
            )
        )
        self.activation = nn.PReLU(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(N, C, I, J, K)`` to the same shape."""
        return self.activation(x + self.body(x))  # type: ignore[no-any-return]


class InputStage(nn.Module):
    """The first stage: one convolution, with the scan, the first channel, as the residual."""

    def __init__(self, channels_in: int, channels: int, kernel: int, norm: Norm):
        super().__init__()
        self.unit = ConvolutionUnit(channels_in, channels, kernel, norm, last=True)
        self.activation = nn.PReLU(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(N, channels_in, I, J, K)`` to ``(N, base, I, J, K)``."""
        return self.activation(self.unit(x) + x[:, :1])  # type: ignore[no-any-return]


class DownStage(nn.Module):
    """Strided convolution, then a residual stage."""

    def __init__(
        self, channels_in: int, channels: int, convolutions: int, stride: Stride, kernel: int,
        norm: Norm,
    ):  # fmt: skip
        super().__init__()
        self.down = nn.Sequential(
            nn.Conv3d(channels_in, channels, stride, stride=stride, bias=norm == "none"),
            _norm(norm, channels),
            nn.PReLU(channels),
        )
        self.stage = ResidualStage(channels, convolutions, kernel, norm)

    def forward(self, x: Tensor) -> Tensor:
        """Halve the grid (per axis as the stride says) and change the width."""
        return self.stage(self.down(x))  # type: ignore[no-any-return]


class UpStage(nn.Module):
    """Transposed convolution, concatenation with the encoder's output, residual stage.

    The up-sampled half and the skip half have ``channels / 2`` channels each.
    """

    def __init__(
        self, channels_in: int, channels: int, convolutions: int, stride: Stride, kernel: int,
        norm: Norm,
    ):  # fmt: skip
        super().__init__()
        self.up = nn.Sequential(
            nn.ConvTranspose3d(
                channels_in, channels // 2, stride, stride=stride, bias=norm == "none"
            ),
            _norm(norm, channels // 2),
            nn.PReLU(channels // 2),
        )
        self.stage = ResidualStage(channels, convolutions, kernel, norm)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """Bring ``x`` to the grid of ``skip`` and merge the two."""
        return self.stage(torch.cat((self.up(x), skip), dim=1))  # type: ignore[no-any-return]


class LastStage(nn.Module):
    """From the (adjusted) feature map to foreground logits at full resolution.

    It holds no normalisation over the volume: a voxel's logit depends on ``F`` and on the skip
    features within :attr:`margin` voxels only, so the stage can be evaluated block by block with
    the same result.
    """

    def __init__(self, channels_in: int, base: int, stride: Stride, kernel: int):
        super().__init__()
        self.merge = UpStage(
            channels_in, 2 * base, DECODER_CONVOLUTIONS[-1], stride, kernel, "none"
        )
        self.logit = nn.Conv3d(2 * base, 1, 1)
        self.margin = kernel // 2 * DECODER_CONVOLUTIONS[-1]

    def halo(self, stride: Stride) -> tuple[int, int, int]:
        """The margin in whole cells of ``F``, of so many voxels each."""
        i, j, k = (-(-self.margin // step) for step in stride)
        return i, j, k

    @property
    def convolution(self) -> nn.Conv3d:
        """The convolution ``f`` of the residual ``x + f(x)``."""
        return cast("nn.Conv3d", self.merge.stage.body[0][0])  # type: ignore[index]

    @property
    def weights(self) -> tuple[Tensor, Tensor]:
        """Those of ``x + f(x)``, for the up-sampled half of ``x`` and for the skip half.

        Both are linear, so each half adds its share to what the last PReLU is given.
        """
        weight = self.convolution.weight.detach().clone()
        middle = weight.shape[-1] // 2
        weight[:, :, middle, middle, middle] += torch.eye(len(weight), device=weight.device)
        up, skip = weight.chunk(2, dim=1)
        return up, skip

    def forward(self, features: Tensor, skip: Tensor) -> Tensor:
        """Logits of ``Ŷ``.

        Args:
            features: ``F`` or ``F_new``, ``(N, C, I/r_i, J/r_j, K/r_k)``.
            skip: First encoder stage, ``(N, base, I, J, K)``.

        Returns:
            Foreground logits ``(N, 1, I, J, K)``.
        """
        return self.logit(self.merge(features, skip))  # type: ignore[no-any-return]

    def share_of_skip(self, skip: Tensor) -> Tensor:
        """What the skip features add to ``x + f(x)``, with its bias: no click changes it.

        Args:
            skip: First encoder stage, ``(N, base, I, J, K)``.

        Returns:
            ``(N, 2 base, I, J, K)``.
        """
        _, weight = self.weights
        return nn.functional.conv3d(skip, weight, self.convolution.bias, padding="same")

    def answer(self, features: Tensor, share: Tensor) -> Tensor:
        """The same logits as :meth:`forward`, from :meth:`share_of_skip`, without gradients.

        Args:
            features: ``F`` or ``F_new``, ``(N, C, I/r_i, J/r_j, K/r_k)``.
            share: ``(N, 2 base, I, J, K)``.
        """
        weight, _ = self.weights
        moved = nn.functional.conv3d(self.merge.up(features), weight, padding="same").add_(share)
        active = self.merge.stage.activation(moved).movedim(1, -1)
        # Where the channels of a place lie together, a product is faster than a convolution.
        logits = nn.functional.linear(active, self.logit.weight.flatten(1), self.logit.bias)
        return logits.movedim(-1, 1)


class VNet(nn.Module):
    """The backbone: click-independent features and the last stage that turns them into a mask.

    At base 16, kernel 5 and isotropic strides it has 65.2 million parameters, where 45.6 million
    is what is usually published for VNet. That figure is of the common PyTorch port (and of
    MONAI's), whose stages have 1, 1, 2, 3, 2 convolutions down and 2, 2, 1, 1 up; the original's
    1, 2, 3, 3, 3 down and 3, 3, 2, 1 up, kept here, are six more: one of width 32, two of 64, one
    of 128 and two of 256 channels, together ``125 (32² + 2·64² + 128² + 2·256²)`` = 19.58 million
    weights. A 1x1x1 output convolution, affine normalisation in place of biases and one PReLU
    slope per channel make up the rest, less than 0.02 million.

    Args:
        base_channels: Width of the first stage (16 in the paper).
        kernel_size: Odd size of the same-resolution convolutions (5 in the paper).
        strides: The four down-sampling steps, each per axis ``(i, j, k)``; thick slices begin with
            ``(2, 2, 1)`` so that ``F`` keeps full resolution through the slices.
        norm: Normalisation of every stage but the last one.
        input_channels: The scan, and whatever a method feeds in beside it.
    """

    def __init__(
        self,
        base_channels: int,
        kernel_size: int,
        strides: tuple[Stride, Stride, Stride, Stride],
        norm: Norm = "instance",
        *,
        input_channels: int = 1,
    ):
        super().__init__()
        self.strides = strides
        widths = [base_channels * 2**level for level in range(5)]
        self.input_stage = InputStage(input_channels, widths[0], kernel_size, norm)
        self.encoder = nn.ModuleList(
            DownStage(
                widths[level], widths[level + 1], ENCODER_CONVOLUTIONS[level + 1], strides[level],
                kernel_size, norm,
            )
            for level in range(4)
        )  # fmt: skip
        self.decoder = nn.ModuleList()
        width = widths[4]
        for count, level in zip(DECODER_CONVOLUTIONS[:-1], (3, 2, 1), strict=True):
            self.decoder.append(
                UpStage(width, 2 * widths[level], count, strides[level], kernel_size, norm)
            )
            width = 2 * widths[level]
        self.last_stage = LastStage(width, base_channels, strides[0], kernel_size)
        self.decoder_channels = (widths[4], 2 * widths[3], 2 * widths[2], 2 * widths[1])

    @property
    def total_stride(self) -> Stride:
        """Factor ``(i, j, k)`` between the scan and the coarsest features."""
        i, j, k = 1, 1, 1
        for stride in self.strides:
            i, j, k = i * stride[0], j * stride[1], k * stride[2]
        return i, j, k

    def features(self, scan: Tensor) -> BackboneFeatures:
        """Everything that depends on the scan alone.

        Args:
            scan: ``(N, input_channels, I, J, K)``; each axis a multiple of :attr:`total_stride`.
        """
        skips = [self.input_stage(scan)]
        for stage in self.encoder:
            skips.append(stage(skips[-1]))
        outputs = [skips.pop()]
        for stage in self.decoder:
            outputs.append(stage(outputs[-1], skips.pop()))
        return BackboneFeatures((outputs[0], outputs[1], outputs[2], outputs[3]), skips.pop())

    def forward(self, scan: Tensor) -> Tensor:
        """Foreground logits without any click, ``(N, 1, I, J, K)``."""
        features = self.features(scan)
        return self.last_stage(features.feature_map, features.skip)  # type: ignore[no-any-return]
