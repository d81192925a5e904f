"""Scans of random regions, to learn borders from."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from tests.train.small_experiment import prepared_cases, small_config
from train.dataset import SampleKey, TrainingSamples
from train.random_shapes import HIDDEN, SIZES, adhering_blob, random_shapes

SHAPE = (48, 40, 24)
SPACING = (2.0, 2.0, 3.0)
SEEDS = range(30)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_region_is_one_piece_and_no_intensity_is_below_air(seed: int) -> None:
    image, region = random_shapes(SHAPE, SPACING, np.random.default_rng(seed))
    assert image.shape == region.shape == SHAPE
    assert np.isfinite(image).all()
    assert image.min() >= 0
    assert ndimage.label(region)[1] == 1


def test_the_same_choices_give_the_same_scan() -> None:
    first, second, other = (
        random_shapes(SHAPE, SPACING, np.random.default_rng(n)) for n in (4, 4, 5)
    )
    np.testing.assert_array_equal(first[0], second[0])
    np.testing.assert_array_equal(first[1], second[1])
    assert not np.array_equal(first[0], other[0])


def test_regions_are_neither_the_whole_scan_nor_a_few_voxels() -> None:
    shares = [
        random_shapes(SHAPE, SPACING, np.random.default_rng(seed))[1].mean() for seed in SEEDS
    ]
    fitting = [SIZES[0] <= share <= SIZES[1] for share in shares]
    assert np.mean(fitting) > 0.9
    assert max(shares) > 20 * min(shares)


def test_most_regions_stand_out_from_what_lies_round_them() -> None:
    outstanding = []
    for seed in SEEDS:
        image, region = random_shapes(SHAPE, SPACING, np.random.default_rng(seed))
        round_it = ndimage.binary_dilation(region, iterations=3) & ~region
        gap = abs(np.median(image[region]) - np.median(image[round_it]))
        outstanding.append(gap > 0.3)
    assert np.mean(outstanding) > 0.7


@pytest.mark.parametrize("seed", SEEDS)
def test_a_blob_adheres_to_a_neighbour_that_it_hardly_reaches_into(seed: int) -> None:
    rng = np.random.default_rng(seed)
    before = np.zeros(SHAPE, dtype=np.intp)
    before[:] = (np.arange(SHAPE[0]) // 12)[:, None, None]
    labels = before.copy()
    blob = adhering_blob(labels, np.ones(SHAPE, dtype=bool), SPACING, rng)
    assert blob is not None
    assert ndimage.label(blob)[1] == 1
    (label,) = np.unique(labels[blob])
    assert (before[blob] == label).mean() <= HIDDEN
    round_it = ndimage.binary_dilation(blob) & ~blob
    assert (labels[round_it] == label).any()
    np.testing.assert_array_equal(labels[~blob], before[~blob])


def test_no_blob_adheres_where_nothing_lies_beside_it() -> None:
    labels = np.zeros(SHAPE, dtype=np.intp)
    body = np.ones(SHAPE, dtype=bool)
    assert adhering_blob(labels, body, SPACING, np.random.default_rng(0)) is None
    assert not labels.any()


def test_so_many_samples_show_random_regions() -> None:
    objects = {"share": 1.0, "shapes_share": 0.5}
    config = small_config(data={"crop_size": [32, 32, 16]}, other_objects=objects)
    samples = TrainingSamples(prepared_cases(1), config)
    drawn = [samples[SampleKey(0, 0, repeat)] for repeat in range(40)]
    shapes = [sample for sample in drawn if not sample["lesion"].any()]
    assert 0.25 < len(shapes) / len(drawn) < 0.75
    for sample in shapes:
        assert sample["image"].shape == sample["target"].shape
        assert sample["target"].any()
