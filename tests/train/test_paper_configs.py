"""The four configs of the paper, value by value, and the other built-in configs."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import torch
import torchio as tio

from caiseg.errors import InvalidInput
from caiseg.network_config import THICK_SLICES
from tests.train.paper_values import TABLE, Value, value_of
from train.config import ExperimentConfig, load_config
from train.config_document import CONFIG_FOLDER
from train.dataset import SampleKey, StoredCases, TrainingSamples, augmentation
from train.prepared import PreparedCase
from train.splits import draw_split

PAPER = ("msd_brain", "msd_colon", "msd_lung", "msd_pancreas")


@pytest.fixture(scope="module")
def configs() -> dict[str, ExperimentConfig]:
    return {name: load_config(name) for name in PAPER}


@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row.key} ({row.place})")
def test_the_paper_says(configs: dict[str, ExperimentConfig], row: Value) -> None:
    found = [value_of(config, row.key) for config in configs.values()]
    assert found == [row.brain, row.colon, row.lung, row.pancreas]


@pytest.mark.parametrize(
    ("name", "cases", "sizes"),
    [
        ("msd_brain", 484, {"train": 338, "val": 73, "test": 73}),
        ("msd_colon", 126, {"train": 88, "val": 19, "test": 19}),
        ("msd_lung", 63, {"train": 37, "val": 13, "test": 13}),
        ("msd_pancreas", 281, {"train": 197, "val": 42, "test": 42}),
    ],
)
def test_splits_have_the_sizes_of_section_iv_a(
    configs: dict[str, ExperimentConfig], name: str, cases: int, sizes: dict[str, int]
) -> None:
    patients = (str(number) for number in range(cases))
    split = draw_split(patients, configs[name].data.split_proportions, seed=0)
    assert Counter(split.values()) == sizes


def test_bias_field_is_drawn_for_mr_alone(configs: dict[str, ExperimentConfig]) -> None:
    kinds = {
        name: [
            type(transform)
            for transform in augmentation(
                config.augmentation, config.preprocessing.modality
            ).transforms
        ]
        for name, config in configs.items()
    }
    common = [tio.RandomAffine, tio.RandomFlip, tio.RandomNoise]
    assert kinds["msd_brain"] == [*common, tio.RandomBiasField]
    assert all(kinds[name] == common for name in PAPER[1:])


def test_a_scan_size_crops_and_pads_around_the_centre_before_training_crops() -> None:
    config = load_config(
        "brain_flair",
        ["data.scan_size=[32, 32, 16]", "data.crop_size=[32, 32, 16]", "augmentation.p=0"],
    )
    image = torch.zeros(44, 20, 16)
    image[2:6] = 1  # cropped away
    image[22] = torch.rand(20, 16) + 2
    lesion = image > 1.5
    case = PreparedCase("a", image, lesion, torch.tensor([2.0, 2.0, 4.0]))
    sample = TrainingSamples(StoredCases([case]), config)[SampleKey(0, 0, 0)]
    expected = torch.zeros(32, 32, 16, dtype=torch.bool)
    expected[16, 6:26] = True
    torch.testing.assert_close(sample["lesion"][0], expected.float())
    background = sample["image"][0][~expected]
    assert float(background.max()) == float(background.min())


def test_a_crop_larger_than_the_scan_size_is_refused() -> None:
    overrides = ["data.scan_size=[64, 64, 32]", "data.crop_size=[64, 64, 48]"]
    with pytest.raises(InvalidInput, match=r"data: crop_size \(64, 64, 48\) is larger than scan_"):
        load_config("msd_brain", overrides)


@pytest.mark.parametrize("shares", ["[0.7, 0.2, 0.2]", "[0, 0.5, 0.5]", "[1.5, -0.5, 0]"])
def test_shares_that_are_no_split_are_refused_by_the_key(shares: str) -> None:
    with pytest.raises(InvalidInput, match=r"data\.split_proportions"):
        load_config("msd_brain", [f"data.split_proportions={shares}"])


@pytest.mark.parametrize("path", sorted(CONFIG_FOLDER.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_built_in_config_is_valid_and_says_whose_data_it_learns_from(path: Any) -> None:
    config = load_config(path.stem)
    assert config.name == path.stem.replace("_", "-")
    assert config.data_licence != "not stated"


@pytest.mark.parametrize("modality", ["ct", "t1"])
def test_soft_tissue_scans_keep_their_slices(modality: str) -> None:
    config = load_config(f"soft_tissue_{modality}")
    assert config.network.strides == THICK_SLICES
    assert config.preprocessing.spacing[2] == 3.27
    assert config.preprocessing.modality == {"ct": "CT", "t1": "MR"}[modality]
