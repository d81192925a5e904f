"""The coarse prediction of a whole scan, before and after the adjustment by clicks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from caiseg import CAISegPredictor, Click, Label, load_volume
from caiseg.encoded_features import EncodedFeatures
from caiseg.feature_clustering import ClickCells
from caiseg.network import CAISeg
from caiseg.network_config import compact
from tests.networks import SMALL, write_scan, write_small_checkpoint

SPACING = torch.tensor([2.0, 2.0, 4.0])


@pytest.fixture
def network() -> CAISeg:
    torch.manual_seed(0)
    return CAISeg(compact(thick_slices=True, **SMALL)).eval().requires_grad_(False)


def scan_of(shape: tuple[int, int, int]) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


def test_one_patch_gives_what_the_network_classifies(network: CAISeg) -> None:
    image = scan_of((32, 32, 16))
    scan = EncodedFeatures(network, image, SPACING, (32, 32, 16))
    voxels, labels = torch.tensor([[5, 8, 3], [20, 21, 9]]), torch.tensor([1, 0])
    mask = (scan_of((32, 32, 16)) > 0.5).float()
    found = scan.coarse_logits(scan.answer(voxels, labels, mask))
    with torch.inference_mode():
        features = network.encode(image[None, None])
        cells = ClickCells.from_voxels(voxels, labels, network.feature_stride)
        answer = network.answer(features, [cells], mask[None, None], SPACING[None])
        for place, map_of_features in enumerate((features.features, answer.adjusted)):
            expected = network.classify(map_of_features, features.head_features, (32, 32, 16))
            torch.testing.assert_close(found[place], expected[0, 0], rtol=1e-4, atol=1e-5)


def test_a_click_changes_it_only_within_a_patch_s_size_of_itself(network: CAISeg) -> None:
    scan = EncodedFeatures(network, scan_of((80, 32, 16)), SPACING, (32, 32, 16))
    assert len(scan.boxes) > 2
    answer = scan.answer(torch.tensor([[3, 16, 8]]), torch.tensor([1]), torch.zeros(80, 32, 16))
    before, after = scan.coarse_logits(answer)
    assert not torch.equal(before[:32], after[:32])
    torch.testing.assert_close(before[34:], after[34:])
    torch.testing.assert_close(before, scan.coarse_logits(None)[0])


def test_a_result_offers_it_on_the_display_grid(tmp_path: Path) -> None:
    predictor = CAISegPredictor.from_checkpoint(write_small_checkpoint(tmp_path / "c.safetensors"))
    volume = load_volume(write_scan(tmp_path / "scan.nii.gz"))
    scan = predictor.encode(volume)
    first = predictor.segment(scan, [])
    assert first.coarse.shape == (2, *volume.shape)
    np.testing.assert_array_equal(first.coarse[0], first.coarse[1])
    click = Click((10, 20, 5), Label.FOREGROUND)
    result = predictor.segment(scan, [click], first.mask)
    before, after = result.coarse
    assert result.coarse.dtype == np.float32
    assert 0 <= before.min() <= before.max() <= 1
    np.testing.assert_allclose(before, first.coarse[0], atol=1e-6)
    assert not np.allclose(before, after)
    elsewhere = predictor.segment(scan, [Click((10, 20, 5), Label.BACKGROUND)], first.mask)
    assert after[click.voxel] > elsewhere.coarse[1][click.voxel]
