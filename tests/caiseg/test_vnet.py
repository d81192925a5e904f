"""VNet has the stages of Milletari et al., and its last one can be run block by block."""

from __future__ import annotations

import pytest
import torch
from monai.networks.nets.vnet import VNet as MonaiVNet
from torch import Tensor, nn

from caiseg.network_config import ISOTROPIC, THICK_SLICES
from caiseg.vnet import (
    BackboneFeatures,
    InputStage,
    LastStage,
    Norm,
    ResidualStage,
    Stride,
    UpStage,
    VNet,
)

BASE = 2


def small_vnet(
    strides: tuple[Stride, Stride, Stride, Stride] = ISOTROPIC,
    kernel: int = 3,
    norm: Norm = "instance",
) -> VNet:
    torch.manual_seed(0)
    return VNet(BASE, kernel, strides, norm).eval()


def parameters(module: nn.Module) -> int:
    return sum(weights.numel() for weights in module.parameters())


def kernel_weights(module: nn.Module) -> int:
    """Weights of all convolutions, transposed ones included."""
    return sum(weights.numel() for weights in module.parameters() if weights.ndim == 5)


def same_size_convolutions(module: nn.Module) -> int:
    return sum(
        isinstance(layer, nn.Conv3d) and layer.stride == (1, 1, 1) for layer in module.modules()
    )


@pytest.mark.parametrize(
    ("strides", "feature_grid", "grids"),
    [
        (ISOTROPIC, (16, 8, 16), [(2, 1, 2), (4, 2, 4), (8, 4, 8), (16, 8, 16)]),
        (THICK_SLICES, (16, 8, 32), [(2, 1, 4), (4, 2, 8), (8, 4, 16), (16, 8, 32)]),
    ],
)
def test_decoder_outputs_lie_at_strides_16_8_4_2(
    strides: tuple[Stride, Stride, Stride, Stride],
    feature_grid: tuple[int, int, int],
    grids: list[tuple[int, int, int]],
) -> None:
    network = small_vnet(strides)
    features = network.features(torch.randn(1, 1, 32, 16, 32))
    assert [tuple(output.shape[2:]) for output in features.decoder] == grids
    assert [output.shape[1] for output in features.decoder] == [16 * BASE, 16 * BASE, 16, 8]
    assert features.feature_map is features.decoder[-1]
    assert features.feature_map.shape == (1, 4 * BASE, *feature_grid)
    assert features.skip.shape == (1, BASE, 32, 16, 32)
    assert network(torch.randn(1, 1, 32, 16, 32)).shape == (1, 1, 32, 16, 32)


def test_decoder_channels_are_those_of_the_outputs() -> None:
    network = small_vnet()
    outputs = network.features(torch.randn(1, 1, 32, 16, 16)).decoder
    assert network.decoder_channels == tuple(output.shape[1] for output in outputs)


@pytest.mark.parametrize(
    ("strides", "total"), [(ISOTROPIC, (16, 16, 16)), (THICK_SLICES, (16, 16, 8))]
)
def test_total_stride_is_the_product_per_axis(
    strides: tuple[Stride, Stride, Stride, Stride], total: Stride
) -> None:
    assert small_vnet(strides).total_stride == total


def test_stages_have_the_original_numbers_of_convolutions() -> None:
    network = small_vnet()
    down = [network.input_stage, *network.encoder]
    up = [*network.decoder, network.last_stage.merge]
    assert [same_size_convolutions(stage) for stage in down] == [1, 2, 3, 3, 3]
    assert [same_size_convolutions(stage) for stage in up] == [3, 3, 2, 1]


def test_paper_backbone_differs_from_the_published_45_6_million_by_six_convolutions() -> None:
    with torch.device("meta"):
        ours, published = VNet(16, 5, ISOTROPIC), MonaiVNet(in_channels=1, out_channels=1)
    assert round(parameters(published) / 1e6, 1) == 45.6
    assert round(parameters(ours) / 1e6, 1) == 65.2
    six_convolutions = 5**3 * (32**2 + 2 * 64**2 + 128**2 + 2 * 256**2)
    output_layers = 32 - (5**3 * 32 + 1)
    assert kernel_weights(ours) - kernel_weights(published) == six_convolutions + output_layers
    rest = parameters(ours) - parameters(published) - six_convolutions
    assert abs(rest) < 20_000


def silence(module: nn.Module) -> None:
    """Make every convolution of a stage give zeros."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv3d):
            nn.init.zeros_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def prelu(x: Tensor) -> Tensor:
    return torch.where(x > 0, x, 0.25 * x)


def test_residual_stage_adds_its_input() -> None:
    stage = ResidualStage(4, 2, 3, "instance")
    silence(stage)
    x = torch.randn(1, 4, 3, 3, 3)
    torch.testing.assert_close(stage(x), prelu(x))


def test_input_stage_adds_the_scan_to_every_channel() -> None:
    stage = InputStage(1, 3, 3, "instance")
    silence(stage)
    scan = torch.randn(1, 1, 3, 3, 3)
    torch.testing.assert_close(stage(scan), prelu(scan).expand(1, 3, 3, 3, 3))


def test_up_stage_joins_the_upsampled_features_with_the_skip() -> None:
    stage = UpStage(6, 4, 2, (2, 2, 1), 3, "none")
    silence(stage.stage)
    skip = torch.randn(1, 2, 4, 4, 3)
    joined = stage(torch.randn(1, 6, 2, 2, 3), skip)
    assert joined.shape == (1, 4, 4, 4, 3)
    torch.testing.assert_close(joined[:, 2:], prelu(skip))


def test_norm_none_has_biases_in_place_of_normalisation() -> None:
    plain, normalised = small_vnet(norm="none"), small_vnet(norm="instance")
    assert not any(isinstance(layer, nn.InstanceNorm3d) for layer in plain.modules())
    assert any(isinstance(layer, nn.InstanceNorm3d) for layer in normalised.modules())
    assert all(
        layer.bias is not None
        for layer in plain.modules()
        if isinstance(layer, nn.Conv3d | nn.ConvTranspose3d)
    )


def test_forward_is_the_last_stage_on_the_features() -> None:
    network, scan = small_vnet(), torch.randn(2, 1, 32, 16, 16)
    features = network.features(scan)
    assert isinstance(features, BackboneFeatures)
    expected = network.last_stage(features.feature_map, features.skip)
    torch.testing.assert_close(network(scan), expected, rtol=0, atol=0)


@pytest.mark.parametrize("kernel", [1, 3, 5])
def test_the_last_stage_answers_the_same_from_the_share_of_the_skip_features(kernel: int) -> None:
    torch.manual_seed(0)
    stage = LastStage(4 * BASE, BASE, (2, 2, 1), kernel).eval()
    for layer in stage.modules():
        if isinstance(layer, nn.Conv3d | nn.ConvTranspose3d):
            assert layer.bias is not None
            nn.init.normal_(layer.bias)
    features, skip = torch.randn(2, 4 * BASE, 6, 7, 12), torch.randn(2, BASE, 12, 14, 12)
    share = stage.share_of_skip(skip)
    assert share.shape == (2, 2 * BASE, 12, 14, 12)
    expected = stage(features, skip)
    torch.testing.assert_close(stage.answer(features, share), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kernel", [1, 3, 5])
@pytest.mark.parametrize("stride", [(2, 2, 2), (2, 2, 1)])
def test_a_logit_depends_on_nothing_beyond_the_margin(kernel: int, stride: Stride) -> None:
    torch.manual_seed(0)
    stage = LastStage(4 * BASE, BASE, stride, kernel).eval()
    features = torch.randn(1, 4 * BASE, 6, 6, 12 // stride[2])
    skip = torch.randn(1, BASE, 12, 12, 12)
    changed_features, changed_skip = features.clone(), skip.clone()
    changed_features[:, :, 0] += 1
    changed_skip[:, :, :2] += 1
    before, after = stage(features, skip), stage(changed_features, changed_skip)
    edge = 2 + stage.margin
    assert stage.margin == kernel // 2
    assert torch.equal(before[:, :, edge:], after[:, :, edge:])
    assert (before != after)[:, :, :edge].flatten(3).any(3).all(), "the margin is too wide"


@pytest.mark.parametrize("stride", [(2, 2, 2), (2, 2, 1)])
def test_last_stage_in_blocks_equals_the_whole(stride: Stride) -> None:
    torch.manual_seed(0)
    stage = LastStage(4 * BASE, BASE, stride, 5).eval()
    features = torch.randn(1, 4 * BASE, 8, 4, 8 // stride[2])
    skip = torch.randn(1, BASE, 16, 8, 8)
    whole = stage(features, skip)
    for start in range(0, 16, 4):
        low, high = max(0, start - stage.margin), min(16, start + 4 + stage.margin)
        block = stage(features[:, :, low // 2 : high // 2], skip[:, :, low:high])
        torch.testing.assert_close(
            block[:, :, start - low : start - low + 4], whole[:, :, start : start + 4]
        )
