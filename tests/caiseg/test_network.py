"""CAISeg as a whole: what runs once, what a click runs, eqs. 9-10 and 13, initialisation."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from torch import Tensor, nn

from caiseg.feature_clustering import ClickCells
from caiseg.network import CAISeg, ScanFeatures
from caiseg.network_config import ISOTROPIC, THICK_SLICES, NetworkConfig
from caiseg.vnet import Stride

BACK, FORE = 0, 1
SHAPE = (32, 16, 16)


def small_network(
    strides: tuple[Stride, Stride, Stride, Stride] = ISOTROPIC, base_channels: int = 2
) -> CAISeg:
    torch.manual_seed(0)
    config = NetworkConfig(
        base_channels=base_channels, kernel_size=3, strides=strides, affinity_heads=2,
        attention_heads=(4, 4, 2, 2), position="mm", alpha=(8.0,), query_scale=0.3,
    )  # fmt: skip
    return CAISeg(config).eval()


def cells(*clicks: tuple[int, int, int, int]) -> ClickCells:
    """Clicks ``(i, j, k, label)`` on the grid of ``F``."""
    rows = torch.tensor(clicks, dtype=torch.long).reshape(-1, 4)
    return ClickCells.from_voxels(rows[:, :3], rows[:, 3], (1, 1, 1))


def scan(samples: int = 1) -> Tensor:
    return torch.randn(samples, 1, *SHAPE, generator=torch.Generator().manual_seed(1))


@contextmanager
def counted_calls(network: CAISeg) -> Iterator[dict[str, int]]:
    """How often each part of the network runs."""
    parts = {
        "input": network.backbone.input_stage,
        **{f"encoder {n}": stage for n, stage in enumerate(network.backbone.encoder)},
        **{f"decoder {n}": stage for n, stage in enumerate(network.backbone.decoder)},
        "head features": network.head_features,
        "clustering": network.interaction.clustering,
        "last stage": network.backbone.last_stage,
    }
    counts = dict.fromkeys(parts, 0)

    def count(name: str) -> object:
        def hook(*_: object) -> None:
            counts[name] += 1

        return hook

    handles = [part.register_forward_hook(count(name)) for name, part in parts.items()]  # type: ignore[arg-type]
    yield counts
    for handle in handles:
        handle.remove()


@torch.no_grad()
def test_features_are_computed_once_and_answers_run_clustering_and_last_stage_alone() -> None:
    network = small_network()
    mask, spacing = torch.zeros(1, 1, *SHAPE), torch.ones(1, 3)
    with counted_calls(network) as encoding:
        features = network.encode(scan())
    assert set(encoding.values()) == {0, 1}
    assert encoding["clustering"] == encoding["last stage"] == 0
    with counted_calls(network) as answering:
        for place in range(3):
            network.answer(features, [cells((place, 1, 2, FORE))], mask, spacing)
    assert answering.pop("clustering") == answering.pop("last stage") == 3
    assert not any(answering.values()), "a click ran a part that depends on the scan alone"


@torch.no_grad()
def test_an_answer_without_clicks_is_the_backbone_s() -> None:
    network, image = small_network(), scan()
    features = network.encode(image)
    mask = torch.rand(1, 1, *SHAPE)
    output = network.answer(features, [cells()], mask, torch.ones(1, 3))
    torch.testing.assert_close(output.logits, network.backbone(image), rtol=0, atol=0)
    assert torch.equal(output.adjusted, features.features)
    assert not output.affinity[0].value.any()


@torch.no_grad()
def test_a_click_moves_the_features_and_the_mask_follows() -> None:
    network = small_network()
    features = network.encode(scan())
    mask, spacing = torch.zeros(1, 1, *SHAPE), torch.ones(1, 3)
    output = network.answer(features, [cells((3, 4, 5, FORE))], mask, spacing)
    torch.testing.assert_close(
        output.adjusted[0, :, 3, 4, 5], features.head_features[0, FORE], rtol=1e-4, atol=1e-5
    )
    assert not torch.equal(output.logits, network.backbone(scan()))


@torch.no_grad()
def test_scans_of_a_batch_are_answered_independently() -> None:
    network = small_network()
    torch.nn.init.normal_(network.interaction.clustering.mask_fusion.weight)
    clicks = [cells((3, 4, 5, FORE), (10, 2, 1, BACK)), cells((7, 0, 0, BACK))]
    mask = torch.rand(2, 1, *SHAPE)
    spacing = torch.tensor([[1.0, 1.0, 1.0], [2.0, 1.0, 5.0]])
    together = network.answer(network.encode(scan(2)), clicks, mask, spacing)
    for n in range(2):
        alone = network.answer(
            network.encode(scan(2)[n : n + 1]), clicks[n : n + 1], mask[n : n + 1],
            spacing[n : n + 1],
        )  # fmt: skip
        torch.testing.assert_close(together.logits[n], alone.logits[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("strides", [ISOTROPIC, THICK_SLICES])
@torch.no_grad()
def test_eq_13_distances_are_spacing_times_down_sampling_ratio(
    strides: tuple[Stride, Stride, Stride, Stride], monkeypatch: pytest.MonkeyPatch
) -> None:
    network = small_network(strides)
    seen = []
    clustering = network.interaction.clustering
    forward = clustering.forward

    def spy(features: Tensor, mask: Tensor, clicks: ClickCells, cell_mm: Tensor) -> object:
        seen.append((cell_mm.tolist(), tuple(mask.shape)))
        return forward(features, mask, clicks, cell_mm)

    monkeypatch.setattr(clustering, "forward", spy)
    spacing = torch.tensor([[0.5, 0.75, 4.0]])
    features = network.encode(scan())
    network.answer(features, [cells((1, 1, 1, FORE))], torch.zeros(1, 1, *SHAPE), spacing)
    expected = [0.5 * strides[0][0], 0.75 * strides[0][1], 4.0 * strides[0][2]]
    assert seen == [(expected, tuple(features.features.shape[2:]))]
    assert network.feature_stride == strides[0]


@torch.no_grad()
def test_the_previous_mask_reaches_the_grid_of_f_as_a_share(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    network = small_network()
    seen = []
    forward = network.interaction.clustering.forward

    def spy(features: Tensor, mask: Tensor, clicks: ClickCells, cell_mm: Tensor) -> object:
        seen.append(mask)
        return forward(features, mask, clicks, cell_mm)

    monkeypatch.setattr(network.interaction.clustering, "forward", spy)
    mask = (torch.rand(1, 1, *SHAPE) > 0.5).float()
    network.answer(network.encode(scan()), [cells()], mask, torch.ones(1, 3))
    torch.testing.assert_close(seen[0], nn.functional.avg_pool3d(mask, 2)[0, 0])


def test_eqs_9_and_10_softmax_equals_the_sigmoid_of_classify() -> None:
    network = small_network()
    features = torch.randn(2, 8, 4, 3, 2).double()
    head_features = torch.randn(2, 2, 8).double()
    found = torch.sigmoid(network.classify(features, head_features, (4, 3, 2)))
    for sample in range(2):
        rows = features[sample].flatten(1).T
        q_h = torch.stack((head_features[sample, FORE], head_features[sample, BACK]))
        p_cls = torch.softmax(rows @ q_h.T / math.sqrt(8), dim=1)
        torch.testing.assert_close(found[sample, 0].flatten(), p_cls[:, 0])


def test_the_coarse_prediction_is_interpolated_to_the_scan_s_grid() -> None:
    network = small_network()
    features, head_features = torch.randn(1, 8, 4, 3, 2), torch.randn(1, 2, 8)
    coarse = network.classify(features, head_features, (4, 3, 2))
    fine = network.classify(features, head_features, (8, 6, 4))
    assert fine.shape == (1, 1, 8, 6, 4)
    expected = nn.functional.interpolate(coarse, size=(8, 6, 4), mode="trilinear")
    torch.testing.assert_close(fine, expected)


def test_detached_features_are_the_same_values_without_a_graph() -> None:
    features = small_network().encode(scan())
    assert features.features.requires_grad
    cut = features.detach()
    for name in ("features", "skip", "head_features"):
        assert not getattr(cut, name).requires_grad
        assert torch.equal(getattr(cut, name), getattr(features, name))


def test_nbytes_counts_every_tensor() -> None:
    features = ScanFeatures(torch.zeros(1, 8, 2, 2, 2), torch.zeros(1, 2, 4), torch.zeros(3))
    assert features.nbytes == 4 * (64 + 8 + 3)


def fan_in(layer: nn.Module) -> int:
    """Inputs that are summed into one output."""
    if isinstance(layer, nn.Linear):
        return layer.in_features
    if isinstance(layer, nn.ConvTranspose3d):
        return layer.in_channels
    assert isinstance(layer, nn.Conv3d)
    return layer.in_channels * math.prod(layer.kernel_size)


KINDS = (nn.Conv3d, nn.ConvTranspose3d, nn.Linear)


def test_he_initialisation_of_every_kind_of_layer() -> None:
    network = small_network(base_channels=8)
    checked: dict[type[nn.Module], int] = dict.fromkeys(KINDS, 0)
    clustering = network.interaction.clustering
    for layer in network.modules():
        if not isinstance(layer, KINDS):
            continue
        if layer.bias is not None:
            assert not layer.bias.any(), layer
        if layer in (clustering.mask_fusion, clustering.projection) or layer.weight.numel() < 1000:
            continue
        gain = 1 if isinstance(layer, nn.Linear) else 2
        expected = math.sqrt(gain / fan_in(layer))
        assert float(layer.weight.detach().std()) == pytest.approx(expected, rel=0.12), layer
        checked[next(kind for kind in KINDS if isinstance(layer, kind))] += 1
    assert checked[nn.Conv3d] > 15
    assert checked[nn.ConvTranspose3d] > 2
    assert checked[nn.Linear] > 12


def test_the_clustering_starts_without_the_mask_and_with_scaled_queries() -> None:
    clustering = small_network(base_channels=8).interaction.clustering
    assert not clustering.mask_fusion.weight.any()
    assert clustering.mask_fusion.bias is not None
    assert not clustering.mask_fusion.bias.any()
    expected = 0.3 / math.sqrt(clustering.projection.in_features)
    spread = float(clustering.projection.weight.detach().std())
    assert spread == pytest.approx(expected, rel=0.12)
