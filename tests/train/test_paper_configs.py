"""The four configs of the paper, value by value, and the other built-in configs."""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

import pytest
import torch
import torchio as tio

from caiseg.errors import InvalidInput
from caiseg.network_config import ISOTROPIC, THICK_SLICES
from train.config import ExperimentConfig, load_config
from train.config_document import CONFIG_FOLDER
from train.dataset import SampleKey, StoredCases, TrainingSamples, augmentation
from train.prepared import PreparedCase
from train.splits import draw_split

PAPER = ("msd_brain", "msd_colon", "msd_lung", "msd_pancreas")


class Value(NamedTuple):
    """A value of the paper, in this project's axis order ``(i, j, k)``, and where it stands."""

    key: str
    brain: Any
    colon: Any
    lung: Any
    pancreas: Any
    place: str


def everywhere(key: str, value: Any, place: str) -> Value:
    return Value(key, value, value, value, value, place)


FULL, PATCH = (128, 128, 96), (128, 128, 48)
TABLE = [
    # What is read.
    Value("preprocessing.modality", "MR", "CT", "CT", "CT", "IV-A: Flair; CT image"),
    Value("data.channel", 0, None, None, None, "IV-A: we selectively employ the Flair sequence"),
    Value("data.label_values", None, (1,), (1,), (2,), "IV-A: entire brain tumor region; cancer"),
    Value(
        "data.split_proportions",
        (0.70, 0.15, 0.15), (0.70, 0.15, 0.15), (0.60, 0.20, 0.20), (0.70, 0.15, 0.15),
        "IV-A: 70, 15 and 15 %; lung 60, 20 and 20 %",
    ),
    Value(
        "preprocessing.spacing",
        (1.5, 1.5, 1.5), (0.78, 0.78, 5.00), (0.79, 0.79, 1.24), (0.80, 0.80, 2.50),
        "IV-A: voxel spacings underwent a resampling, D x H x W",
    ),
    Value(
        "data.scan_size", FULL, (512, 512, 80), (512, 512, 256), (512, 512, 96),
        "IV-A: cropped from the scan's center; cropped or padded",
    ),
    Value(
        "data.crop_size", FULL, PATCH, (128, 128, 64), PATCH,
        "IV-B3: preprocessed images directly for brain; patch sizes",
    ),
    Value("preprocessing.patch_size", FULL, PATCH, (128, 128, 64), PATCH, "IV-B3: inference"),
    # Augmentation.
    everywhere("augmentation.p", 0.5, "IV-A: 50 %, four times"),
    everywhere("augmentation.flip_axes", (0, 1, 2), "IV-A: random flips"),
    everywhere("augmentation.scales", (0.9, 1.1), "IV-A: scaling between 0.9 and 1.1"),
    everywhere("augmentation.degrees", 10, "IV-A: within +-10 degrees"),
    Value("augmentation.bias_field", True, False, False, False, "IV-A: MRI-specific artifacts"),
    everywhere("augmentation.gamma", 0, "IV-A: not among the augmentations"),
    everywhere("augmentation.blur_mm", 0, "IV-A: not among the augmentations"),
    everywhere("augmentation.low_resolution", 1, "IV-A: not among the augmentations"),
    # Network.
    Value(
        "network.strides", ISOTROPIC, THICK_SLICES, THICK_SLICES, THICK_SLICES,
        "IV-B1: feature map of D/2 or D, x H/2 x W/2",
    ),
    everywhere("network.base_channels", 16, "IV-B1: VNet [16]"),
    everywhere("network.kernel_size", 5, "IV-B1: VNet [16]"),
    everywhere("network.attention_heads", (16, 16, 8, 4), "IV-B1: strides of 16, 8, 4, and 2"),
    everywhere("network.drop_path", 0.2, "IV-B3: regularization probability"),
    everywhere("network.similarity", "gaussian", "eq. 5, Table III no. 4"),
    everywhere("network.position", "minmax", "eq. 4: min-max normalization"),
    everywhere("network.alpha", (1.0,), "eq. 4: a learnable parameter"),
    everywhere("network.query_scale", 1, "IV-B1: He initialization of all parameters"),
    # Clicks.
    everywhere("clicks.rounds", (3, 3), "IV-B2: n = 3"),
    everywhere("clicks.foreground", (1, 10), "IV-B2: between 1 to 10 points"),
    everywhere("clicks.background", (0, 20), "IV-B2: 0 to 20 points"),
    everywhere("clicks.component_share", 0.1, "IV-B2: 10 % of the lesion volume"),
    everywhere("clicks.zero_click_share", 0, "IV-B2: the first round always has points"),
    everywhere("clicks.centre_share", 0, "III-F: a point is sampled from each region"),
    everywhere("clicks.largest_only_share", 0, "III-F: each of these selected regions"),
    # Loss.
    everywhere("loss.kind", "focus_guided", "eqs. 8 and 11"),
    everywhere("loss.focus_lambda", 2, "IV-B3: lambda in (8)"),
    everywhere("loss.mu", (0.3, 0.6), "IV-B3: mu in (11), from 0.3 to 0.6"),
    everywhere("loss.nu", 0.5, "IV-B3: nu in (12)"),
    everywhere("loss.deep_supervision", True, "eq. 12, Table IV"),
    # Schedule.
    everywhere("schedule.pretrain_epochs", 200, "IV-B3: pre-trained for 200 epochs"),
    everywhere("schedule.epochs", 200, "IV-B3: another 200 epochs"),
    everywhere("schedule.batch_size", 2, "IV-B3: consistently set to 2"),
    everywhere("schedule.learning_rate", 1e-3, "IV-B3: initial learning rate of 0.001"),
    everywhere("schedule.weight_decay", 1e-4, "IV-B3: L2 regularization of 0.0001"),
    everywhere("schedule.decay", "step", "IV-B3: step decay strategy"),
    everywhere("schedule.warmup_steps", 0, "IV-B3: initial learning rate"),
    everywhere("schedule.gradient_clip", None, "IV-B3: not mentioned"),
    everywhere("schedule.ema_decay", None, "IV-B3: not mentioned"),
    everywhere("schedule.precision", "32", "IV-B3: not mentioned"),
]  # fmt: skip


@pytest.fixture(scope="module")
def configs() -> dict[str, ExperimentConfig]:
    return {name: load_config(name) for name in PAPER}


def value_of(config: ExperimentConfig, key: str) -> Any:
    value: Any = config
    for name in key.split("."):
        value = getattr(value, name)
    return value


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
