"""A single small sample is convolved as any other, only by other kernels."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from caiseg.convolution import SMALL, Convolution


@pytest.mark.parametrize("kernel", [1, 3, 5])
@pytest.mark.parametrize("shape", [(6, 5, 8), (6, 5, 7), (9, 4, 2), (3, 3, 1)])
def test_it_is_pytorch_s_convolution(kernel: int, shape: tuple[int, int, int]) -> None:
    torch.manual_seed(0)
    convolution = Convolution(3, 4, kernel)
    alone = torch.randn(1, 3, *shape, requires_grad=True)
    reference = alone.detach().clone().requires_grad_()
    expected = nn.functional.conv3d(
        reference, convolution.weight, convolution.bias, padding=kernel // 2
    )
    answer = convolution(alone)
    torch.testing.assert_close(answer, expected)
    weights = torch.randn_like(expected)
    (given,) = torch.autograd.grad((answer * weights).sum(), alone)
    (wanted,) = torch.autograd.grad((expected * weights).sum(), reference)
    torch.testing.assert_close(given, wanted)


def kernels(convolution: Convolution, *shape: int) -> set[str]:
    """Names of the operations that computed a convolution."""
    with (
        torch.inference_mode(),
        torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as seen,
    ):
        convolution(torch.randn(shape))
    return {event.key for event in seen.key_averages()}


@pytest.mark.skipif(
    not torch.backends.mkldnn.is_available(), reason="this PyTorch has no oneDNN to prefer"
)
@pytest.mark.parametrize("samples", [1, 2])
def test_a_small_sample_is_computed_by_the_fast_kernels(samples: int) -> None:
    """PyTorch alone would take ``slow_conv3d_forward`` for one sample."""
    used = kernels(Convolution(4, 4, 3), samples, 4, 16, 16, 8)
    assert SMALL >= 4 * 16 * 16
    assert "aten::mkldnn_convolution" in used
    assert "aten::slow_conv3d_forward" not in used


def test_a_large_sample_is_computed_whole() -> None:
    used = kernels(Convolution(4, 4, 3), 1, 4, 80, 80, 2)
    assert SMALL < 4 * 80 * 80
    assert "aten::cat" not in used
