"""Another contrast: intensities go through one curve, and shapes stay what they are."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from caiseg.preprocessing import normalise_intensities
from tests.train.small_experiment import prepared_cases, small_config
from train.contrast import AIR, with_another_contrast
from train.dataset import SampleKey, TrainingSamples

SEEDS = range(40)


@pytest.fixture(scope="module")
def image() -> Tensor:
    """Air, and tissues of all intensities."""
    rng = np.random.default_rng(0)
    values = rng.uniform(0, 400, (20, 20, 20)).astype(np.float32)
    values[:8] = rng.uniform(0, 15, (8, 20, 20))
    return torch.from_numpy(values)


@pytest.mark.parametrize("seed", SEEDS)
def test_equal_voxels_stay_equal_and_air_stays_air(image: Tensor, seed: int) -> None:
    coarse = image.round(decimals=-1)
    changed = with_another_contrast(coarse, np.random.default_rng(seed))
    for value in coarse.unique():
        assert len(changed[coarse == value].unique()) == 1
    air = coarse < AIR * 0.9 * float(coarse.max())
    torch.testing.assert_close(changed[air], coarse[air])
    assert changed[~air].min() > coarse[air].max()


@pytest.mark.parametrize("seed", SEEDS)
def test_the_span_of_intensities_stays(image: Tensor, seed: int) -> None:
    changed = with_another_contrast(image, np.random.default_rng(seed))
    assert changed.min() == image.min()
    assert changed.max() <= image.max()


def test_some_contrasts_rise_and_some_fall(image: Tensor) -> None:
    tissue = image > 100

    def rises(seed: int) -> bool:
        changed = with_another_contrast(image, np.random.default_rng(seed))
        both = torch.stack((image[tissue], changed[tissue]))
        return float(torch.corrcoef(both)[0, 1]) > 0

    rising = sum(map(rises, SEEDS))
    assert 0.5 * len(SEEDS) < rising < 0.9 * len(SEEDS)


def test_a_scan_without_contrast_stays_as_it_is() -> None:
    flat = torch.full((4, 4, 4), 7.0)
    assert torch.equal(with_another_contrast(flat, np.random.default_rng(0)), flat)


def test_so_many_samples_get_another_contrast() -> None:
    cases = prepared_cases(1)
    config = small_config(
        data={"crop_size": [16, 16, 16]}, augmentation={"p": 0.0, "contrast": 0.5}
    )
    samples = [
        TrainingSamples(cases, config)[SampleKey(0, 0, repeat)]["image"] for repeat in range(60)
    ]
    own = normalise_intensities(cases[0].image, "MR").unique()
    kept = sum(bool(torch.isin(sample, own).all()) for sample in samples)
    assert 0.3 * len(samples) < kept < 0.7 * len(samples)
