"""Same-size convolutions that a single small scan gets by PyTorch's fast kernels, too."""

from __future__ import annotations

import torch
from torch import Tensor, nn

SMALL = 20_480
"""PyTorch leaves a single sample on a CPU to other kernels, up to five times slower, where its
channels times the first two axes come to no more (``use_mkldnn`` in ATen's ``Convolution.cpp``)."""


class Convolution(nn.Conv3d):
    """A convolution of stride 1 that keeps the size of its input.

    Args:
        channels_in: Channels of the input.
        channels: Channels of the output.
        kernel: Odd size of the kernel.
        bias: Whether a bias is added.
    """

    def __init__(self, channels_in: int, channels: int, kernel: int, *, bias: bool = True):
        super().__init__(channels_in, channels, kernel, padding=kernel // 2, bias=bias)

    def forward(self, input: Tensor) -> Tensor:
        """Map ``(N, channels_in, I, J, K)`` to ``(N, channels, I, J, K)``."""
        return same_size(input, self.weight, self.bias)


def same_size(values: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """The convolution of stride 1 that keeps the size of its input.

    Args:
        values: ``(N, channels_in, I, J, K)``.
        weight: ``(channels, channels_in, m_i, m_j, m_k)``, odd ``m``.
        bias: ``(channels,)``; none is added when left out.

    Returns:
        ``(N, channels, I, J, K)``.
    """
    if max(weight.shape[2:]) > 1 and _meets_slow_kernels(values):
        return _in_halves(values, weight, bias)
    padding = [size // 2 for size in weight.shape[2:]]
    return nn.functional.conv3d(values, weight, bias, padding=padding)


def _in_halves(sample: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """The same of two halves along ``k`` that overlap by a kernel: two samples are fast."""
    i, j, around = (size // 2 for size in weight.shape[2:])
    size = sample.shape[-1]
    half = (size + 1) // 2
    padded = nn.functional.pad(sample, (around, around + 2 * half - size))
    halves = torch.cat((padded[..., : half + 2 * around], padded[..., half:]))
    first, second = nn.functional.conv3d(halves, weight, bias, padding=(i, j, 0))
    return torch.cat((first, second[..., : size - half]), dim=-1)[None]


def _meets_slow_kernels(values: Tensor) -> bool:
    samples, channels, i, j, k = values.shape
    return (
        values.device.type == "cpu"
        and values.dtype == torch.float32
        and not torch.is_autocast_enabled("cpu")
        and samples == 1
        and channels * i * j <= SMALL
        and k > 1
    )
