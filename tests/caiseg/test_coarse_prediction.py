"""The coarse prediction of a whole scan, before and after the adjustment by clicks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from caiseg import CAISegPredictor, Click, Label, load_volume
from caiseg.coarse_prediction import ModelClicks, coarse_logits
from caiseg.feature_clustering import ClickCells
from caiseg.network import CAISeg
from caiseg.network_config import compact
from caiseg.tiling import EncodedTiles
from tests.networks import SMALL, write_scan, write_small_checkpoint

SPACING = torch.tensor([2.0, 2.0, 4.0])


@pytest.fixture
def network() -> CAISeg:
    torch.manual_seed(0)
    return CAISeg(compact(thick_slices=True, **SMALL)).eval().requires_grad_(False)


def scan_of(shape: tuple[int, int, int]) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


def test_one_tile_gives_what_the_network_classifies(network: CAISeg) -> None:
    image = scan_of((32, 32, 16))
    tiles = EncodedTiles(network, image, SPACING, (32, 32, 16))
    voxels, labels = torch.tensor([[5, 8, 3], [20, 21, 9]]), torch.tensor([1, 0])
    mask = (scan_of((32, 32, 16)) > 0.5).float()
    found = coarse_logits(tiles, ModelClicks(voxels, labels, mask))
    with torch.inference_mode():
        features = network.encode(image[None, None])
        cells = ClickCells.from_voxels(voxels, labels, network.feature_stride)
        answer = network.answer(features, [cells], mask[None, None], SPACING[None])
        for place, map_of_features in enumerate((features.features, answer.adjusted)):
            expected = network.classify(map_of_features, features.head_features, (32, 32, 16))
            torch.testing.assert_close(found[place], expected[0, 0], rtol=1e-4, atol=1e-5)


def test_clicks_change_only_the_tiles_that_contain_them(network: CAISeg) -> None:
    tiles = EncodedTiles(network, scan_of((80, 32, 16)), SPACING, (32, 32, 16))
    assert len(tiles.tiles) > 2
    click = ModelClicks(torch.tensor([[3, 16, 8]]), torch.tensor([1]), torch.zeros(80, 32, 16))
    before, after = coarse_logits(tiles, click)
    first = next(tile.box[0].stop for tile in tiles.tiles if tile.box[0].start == 0)
    assert not torch.equal(before[:first], after[:first])
    torch.testing.assert_close(before[first:], after[first:])


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
