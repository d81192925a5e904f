"""A CT sample from the cache reads the block that it changes, and is what a whole look gives."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.train.labelled_scans import labels, save, small_config
from train.config import ExperimentConfig
from train.dataset import SampleKey, StoredCases, TrainingSamples
from train.manifest import Case
from train.prepared import PreparedCase, prepare_case

pytestmark = pytest.mark.usefixtures("one_thread")

SIZES = (
    "data.crop_size=[16, 16, 8]",
    "network.strides=[[2, 2, 1], [2, 2, 2], [2, 2, 2], [1, 1, 1]]",
)
KEYS = [SampleKey(0, 0, repeat) for repeat in range(12)]


def prepared(folder: Path, *overrides: str) -> tuple[PreparedCase, ExperimentConfig]:
    """A CT scan of 60 x 54 x 36 voxels with a lesion in one corner."""
    config = small_config(*SIZES, *overrides, base="soft_tissue_ct")
    noise = np.random.default_rng(0).normal(size=(60, 54, 36)).astype(np.float32)
    mask = np.zeros(noise.shape, dtype=np.uint8)
    mask[:20, :18, :12] = labels(1)
    case = Case("a", "a", save(folder / "a.nii", noise), save(folder / "mask.nii", mask), "train")
    return prepare_case(case, config.preprocessing, config.data, folder / "cache"), config


@pytest.mark.parametrize("scan_size", ["null", "[60, 48, 24]", "[80, 48, 36]"])
def test_samples_are_to_the_bit_those_of_a_scan_that_is_read_whole(
    tmp_path: Path, scan_size: str
) -> None:
    case, config = prepared(tmp_path, f"data.scan_size={scan_size}")
    assert case.facts is not None
    unread = replace(case, facts=None)
    stored, whole = (TrainingSamples(StoredCases([each]), config) for each in (case, unread))
    for key in KEYS:
        found, expected = stored[key], whole[key]
        assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())


def test_nothing_far_from_the_crop_is_read(tmp_path: Path) -> None:
    case, config = prepared(tmp_path, "data.lesion_centred_share=1", "augmentation.degrees=5")
    image = case.image.clone()
    image[56:], image[:, 50:], image[:, :, 34:] = (torch.nan,) * 3
    changed = TrainingSamples(StoredCases([replace(case, image=image)]), config)
    whole = TrainingSamples(StoredCases([case]), config)
    for key in KEYS:
        assert torch.equal(changed[key]["image"], whole[key]["image"])


def test_another_scan_size_is_prepared_again(tmp_path: Path) -> None:
    first, _ = prepared(tmp_path)
    second, _ = prepared(tmp_path, "data.scan_size=[16, 16, 8]")
    assert first.facts is not None
    assert second.facts is not None
    assert len(second.facts.crops.lesion) < len(first.facts.crops.lesion)


@pytest.mark.parametrize("threads", [1, 2])
def test_facts_do_not_depend_on_the_threads_of_whoever_prepares(
    tmp_path: Path, threads: int
) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    case, _ = prepared(tmp_path)
    assert torch.get_num_threads() == threads
    torch.set_num_threads(1)
    assert case.facts is not None
    assert torch.equal(case.facts.mean, case.image.mean())
    torch.set_num_threads(before)
