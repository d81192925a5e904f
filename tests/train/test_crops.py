"""Where crops lie, and what is cut out of a scan before it is turned."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
import torchio as tio
from torch import Tensor

from tests.train.small_experiment import small_config
from train.config import DataConfig
from train.crops import CropFacts, choose_crop, cut, middle, random_crop, with_margin
from train.dataset import SampleKey, StoredCases, TrainingSamples
from train.prepared import PreparedCase

SIZE = (8, 6, 4)


def chosen(
    shape: tuple[int, int, int], scan_size: tuple[int, int, int] | None, seeds: int = 60
) -> list[tuple[slice, slice, slice]]:
    config = DataConfig(crop_size=SIZE, scan_size=scan_size, lesion_centred_share=0.0)
    image, nothing = torch.rand(shape), torch.zeros(shape, dtype=torch.bool)
    rngs = (np.random.default_rng(seed) for seed in range(seeds))
    facts = CropFacts.of(image, nothing, config)
    return [choose_crop(image, facts, config, rng) for rng in rngs]


def test_crops_stay_within_the_scan_size_around_the_centre() -> None:
    windows = chosen((40, 20, 4), (10, 8, 4))
    assert {window[0].start for window in windows} == {15, 16, 17}
    assert {window[1].start for window in windows} == {6, 7, 8}
    assert {window[2].start for window in windows} == {0}


def test_crops_reach_beyond_a_scan_that_is_smaller_than_the_scan_size() -> None:
    windows = chosen((10, 6, 4), (14, 6, 4), seeds=200)
    starts = {window[0].start for window in windows}
    assert starts == set(range(-2, 5))


def test_what_lies_beyond_a_scan_is_filled() -> None:
    array = torch.arange(24.0).reshape(2, 3, 4)
    part = cut(array, (slice(-1, 2), slice(1, 3), slice(2, 6)), -5.0)
    assert part.shape == (3, 2, 4)
    assert torch.equal(part[1:, :, :2], array[:, 1:, 2:])
    assert set(part[0].flatten().tolist()) == set(part[:, :, 2:].flatten().tolist()) == {-5.0}


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.8, 0.8, 5.0)])
@pytest.mark.parametrize("scale", [0.9, 1.1])
def test_the_margin_holds_all_that_a_rotation_brings_into_the_crop(
    spacing: tuple[float, float, float], scale: float
) -> None:
    size = (24, 20, 12)
    window = (slice(0, 24), slice(0, 20), slice(0, 12))
    margin = with_margin(window, spacing, 10, 0.9)
    shape = [part.stop - part.start for part in margin]
    image = tio.ScalarImage(tensor=torch.ones(1, *shape), affine=np.diag([*spacing, 1]))
    for about_i, about_j, about_k in itertools.product((-10.0, 10.0), repeat=3):
        turned = tio.Affine(
            scales=(scale,) * 3,
            degrees=(about_i, about_j, about_k),
            translation=(0, 0, 0),
            default_pad_value=0,
        )(image)
        inside = turned.data[0][middle(margin, size)]
        assert float(inside.min()) > 0.99, "the border of the block came into the crop"


def ct_samples(
    crop: tuple[int, int, int], **augmentation: float
) -> tuple[PreparedCase, TrainingSamples]:
    """A CT scan with one lesion, on a grid with thick slices."""
    config = small_config(
        preprocessing={"modality": "CT", "spacing": [1, 1, 4]},
        data={"crop_size": list(crop), "lesion_centred_share": 1.0},
        augmentation=augmentation,
    )
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(96, 96, 40, generator=generator)
    lesion = torch.zeros(96, 96, 40, dtype=torch.bool)
    lesion[40:44, 50:54, 20:22] = True
    image[lesion] += 3
    case = PreparedCase("a", image, lesion, torch.tensor([1.0, 1.0, 4.0]))
    return case, TrainingSamples(StoredCases([case]), config)


def test_an_unchanged_ct_crop_is_a_window_of_the_scan_in_the_scan_s_own_units() -> None:
    case, samples = ct_samples((32, 32, 16), p=0.0)
    sample = samples[SampleKey(0, 0, 0)]
    whole = (case.image - case.image.mean()) / case.image.std()
    found = [
        (i, j, k)
        for i, j, k in itertools.product(range(65), range(65), range(25))
        if torch.equal(whole[i, j, k : k + 16], sample["image"][0, 0, 0])
    ]
    (i, j, k) = found[0]
    window = (slice(i, i + 32), slice(j, j + 32), slice(k, k + 16))
    assert torch.equal(sample["image"][0], whole[window])
    assert torch.equal(sample["lesion"][0] > 0, case.lesion[window])


def test_a_turned_ct_crop_still_contains_the_lesion_and_moves_with_it() -> None:
    _, samples = ct_samples((32, 32, 16), p=1.0, noise_std=0.0)
    for repeat in range(12):
        sample = samples[SampleKey(0, 0, repeat)]
        inside = sample["lesion"][0] > 0
        assert sample["image"].shape == (1, 32, 32, 16)
        assert bool(inside.any())
        assert float(sample["image"][0][inside].mean()) > 2
        assert float(sample["image"][0][~inside].mean()) < 0.5


def test_rotations_are_about_millimetres() -> None:
    shape = (64, 64, 24)
    lesion = torch.zeros(shape, dtype=torch.bool)
    lesion[:, 30:34, 11:13] = True
    case = PreparedCase("bar", 3.0 * lesion + 0.01, lesion, torch.tensor([1.0, 1.0, 4.0]))
    config = small_config(
        data={"crop_size": [64, 64, 16]},
        augmentation={"p": 1.0, "scales": [1, 1], "noise_std": 0.0, "bias_field": False},
    )
    samples = TrainingSamples(StoredCases([case]), config)
    for repeat in range(6):
        bar = torch.nonzero(samples[SampleKey(0, 0, repeat)]["lesion"][0] > 0).double()
        millimetres = (bar - bar.mean(dim=0)) * torch.tensor([1.0, 1.0, 4.0])
        length = float(torch.linalg.svdvals(millimetres / len(bar) ** 0.5)[0])
        assert length == pytest.approx(64 / 12**0.5, rel=0.04), "64 mm, whichever way it points"


def crop(
    image: Tensor, lesion: Tensor, share: float, size: tuple[int, int, int], seed: int = 0
) -> tuple[Tensor, Tensor]:
    config = DataConfig(crop_size=size, lesion_centred_share=share)
    return random_crop(image, lesion, config, np.random.default_rng(seed))


def numbered_scan() -> tuple[Tensor, Tensor]:
    """A scan whose voxels all differ, with a lesion of one voxel in a corner."""
    image = torch.arange(20.0 * 18 * 12).reshape(20, 18, 12)
    lesion = torch.zeros(20, 18, 12, dtype=torch.bool)
    lesion[19, 0, 11] = True
    return image, lesion


def test_a_crop_contains_a_lesion_voxel_when_asked() -> None:
    image, lesion = numbered_scan()
    for seed in range(30):
        part, truth = crop(image, lesion, 1.0, (8, 6, 4), seed)
        assert part.shape == truth.shape == (8, 6, 4)
        assert bool(truth.any())


def test_other_crops_lie_anywhere_in_the_body() -> None:
    image, lesion = numbered_scan()
    body = image > image.mean()
    starts = set()
    for seed in range(30):
        part, truth = crop(image, lesion, 0.0, (8, 6, 4), seed)
        start = np.unravel_index(int(part[0, 0, 0]), image.shape)
        window = tuple(
            slice(int(n), int(n) + size) for n, size in zip(start, (8, 6, 4), strict=True)
        )
        assert torch.equal(part, image[window])
        assert torch.equal(truth, lesion[window])
        assert bool(body[window].any())
        starts.add(start)
    assert len(starts) > 20


def test_the_lesion_lies_anywhere_in_its_crop() -> None:
    image, lesion = torch.rand(30, 30, 30), torch.zeros(30, 30, 30, dtype=torch.bool)
    lesion[15, 15, 15] = True
    places = [
        tuple(torch.nonzero(crop(image, lesion, 1.0, (8, 8, 8), seed)[1])[0].tolist())
        for seed in range(60)
    ]
    for axis in range(3):
        assert {place[axis] for place in places} == set(range(8))


def test_the_share_of_crops_around_the_lesion_is_as_asked() -> None:
    image, lesion = numbered_scan()
    found = [bool(crop(image, lesion, 0.5, (2, 2, 2), seed)[1].any()) for seed in range(200)]
    assert 0.4 < np.mean(found) < 0.6


def test_a_scan_smaller_than_the_crop_is_padded_with_its_darkest_value() -> None:
    image, lesion = torch.rand(5, 20, 6) + 3, torch.ones(5, 20, 6, dtype=torch.bool)
    part, truth = crop(image, lesion, 1.0, (8, 10, 16))
    assert part.shape == truth.shape == (8, 10, 16)
    assert int(truth.sum()) == 5 * 10 * 6
    assert bool(truth[1:6, :, 5:11].all()), "the scan lies in the middle"
    assert set(part[~truth].tolist()) == {float(image.min())}


def test_a_scan_without_lesion_or_contrast_can_be_cropped() -> None:
    nothing = torch.zeros(20, 20, 20)
    part, truth = crop(nothing, nothing.bool(), 1.0, (8, 8, 8))
    assert part.shape == (8, 8, 8)
    assert not truth.any()
