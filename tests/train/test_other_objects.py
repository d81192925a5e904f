"""Samples in which something else than the lesion is outlined."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from scipy import ndimage
from torch import Tensor

from tests.train.small_experiment import prepared_cases, small_config
from train.config import OtherObjectsConfig, RelabellingConfig
from train.dataset import SampleKey, TrainingSamples
from train.other_objects import LEAST_ML, LEAST_VOXELS, with_another_object
from train.relabelling import relabelled_batch

SHAPE = (48, 48, 24)
SPACING = (2.0, 2.0, 3.0)
PARTS = OtherObjectsConfig(share=1, implanted_share=0, radius_mm=(8, 20))
BLOBS = OtherObjectsConfig(share=1, implanted_share=1, radius_mm=(8, 14), contrast=(2, 3))


def scan() -> Tensor:
    """Air round two tissues of unlike brightness that meet in the middle."""
    image = torch.full(SHAPE, -5.0)
    image[6:24, 6:42, 3:21] = 0.0
    image[24:42, 6:42, 3:21] = 2.0
    noise = torch.randn(SHAPE, generator=torch.Generator().manual_seed(0))
    return image + 0.05 * noise


def lesion() -> Tensor:
    mask = torch.zeros(SHAPE, dtype=torch.bool)
    mask[10:14, 10:14, 8:12] = True
    return mask


def drawn(config: OtherObjectsConfig, count: int = 12) -> list[tuple[Tensor, npt.NDArray[Any]]]:
    """Images and objects of several choices."""
    found = []
    for seed in range(count):
        rng = np.random.default_rng(seed)
        image, _, target = with_another_object(scan(), lesion(), SPACING, config, rng)
        found.append((image, target.numpy()))
    return found


def test_a_part_of_the_scan_is_connected_and_of_one_tissue_and_leaves_the_scan_alone() -> None:
    for image, target in drawn(PARTS):
        assert torch.equal(image, scan())
        assert ndimage.label(target)[1] == 1
        assert target.sum() >= LEAST_VOXELS
        dark, bright = target[:23].sum(), target[25:].sum()
        assert min(dark, bright) < 0.05 * target.sum()


def test_a_blob_stands_out_from_what_it_was_set_into() -> None:
    for image, target in drawn(BLOBS):
        assert ndimage.label(target)[1] == 1
        core = ndimage.binary_erosion(target, iterations=2)
        moved = (image - scan()).numpy()
        assert np.abs(np.median(moved[target & ~core])) > 0.5
        assert not target[:5].any()


def test_blobs_of_the_same_kind_that_are_not_meant_lie_apart() -> None:
    apart = 0
    for image, target in drawn(BLOBS, 24):
        changed = np.abs((image - scan()).numpy()) > 1
        elsewhere = changed & ~ndimage.binary_dilation(target, iterations=3)
        apart += bool(elsewhere.sum() > LEAST_VOXELS)
    assert 4 < apart < 24


def test_sizes_are_those_asked_for() -> None:
    voxel = float(np.prod(SPACING))
    for config in (PARTS, BLOBS):
        largest = 4 / 3 * np.pi * (config.radius_mm[1] * 1.25 * 1.9) ** 3
        for _, target in drawn(config):
            assert LEAST_ML * 1000 <= target.sum() * voxel < largest


@pytest.mark.parametrize("config", [PARTS, BLOBS])
def test_the_same_choices_give_the_same_object_and_others_another(
    config: OtherObjectsConfig,
) -> None:
    first, again = drawn(config, 3), drawn(config, 3)
    for (image, target), (image_again, target_again) in zip(first, again, strict=True):
        assert torch.equal(image, image_again)
        assert np.array_equal(target, target_again)
    assert not np.array_equal(first[0][1], first[1][1])


def test_a_scan_without_contrast_keeps_its_lesion() -> None:
    flat = torch.zeros(SHAPE)
    rng = np.random.default_rng(0)
    image, left, target = with_another_object(flat, lesion(), SPACING, PARTS, rng)
    assert torch.equal(image, flat)
    assert torch.equal(left, lesion())
    assert torch.equal(target, lesion())


def test_the_lesion_stays_where_no_blob_covers_it() -> None:
    covered = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        image, left, target = with_another_object(scan(), lesion(), SPACING, BLOBS, rng)
        assert not (left & target).any()
        assert torch.equal(left & lesion(), left)
        gone = lesion() & ~left
        assert bool(((image - scan()).abs()[gone] > 0).all())
        covered += bool(gone.any())
    assert 0 < covered < 40
    rng = np.random.default_rng(0)
    assert torch.equal(with_another_object(scan(), lesion(), SPACING, PARTS, rng)[1], lesion())


def test_what_is_given_stays_as_it_is() -> None:
    image, mask = scan(), lesion()
    with_another_object(image, mask, SPACING, BLOBS, np.random.default_rng(0))
    assert torch.equal(image, scan())
    assert torch.equal(mask, lesion())


def test_only_a_share_of_samples_is_changed_and_the_others_are_as_without() -> None:
    cases = prepared_cases(2)
    plain = TrainingSamples(cases, small_config())
    mixed = TrainingSamples(
        cases, small_config(other_objects={"share": 0.5, "radius_mm": [20, 30]})
    )
    keys = [SampleKey(0, case, repeat) for case in range(2) for repeat in range(10)]
    same = [torch.equal(mixed[key]["target"], mixed[key]["lesion"]) for key in keys]
    assert 4 <= sum(same) <= 16
    for key, unchanged in zip(keys, same, strict=True):
        if unchanged:
            assert all(torch.equal(plain[key][part], mixed[key][part]) for part in plain[key])


def test_clicks_ask_for_the_other_object_and_the_first_mask_for_the_lesion() -> None:
    lesions = lesion()[None, None].float()
    target = torch.zeros_like(lesions)
    target[..., 30:36, 30:36, 8:12] = 1
    batch = {"lesion": lesions, "target": target}
    for rounds, wanted in ((1, lesions), (2, target)):
        got = relabelled_batch(batch, rounds, [(0, 0, 0, 0)], RelabellingConfig())
        assert torch.equal(got, wanted)
