"""Experiment configs: the built-in ones load, any key can be replaced, a wrong one is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from caiseg.errors import InvalidInput
from caiseg.network_config import compact
from tests.train.paper_values import TABLE, value_of
from train.config import load_config
from train.config_document import CONFIG_FOLDER

BUILT_IN = sorted(path.stem for path in CONFIG_FOLDER.glob("*.yaml"))


def minimal() -> dict[str, Any]:
    return {
        "name": "small",
        "description": "Outlines something.",
        "anatomy": "brain",
        "lesion": "tumour",
        "network": {"preset": "compact"},
        "preprocessing": {"modality": "MR", "spacing": [2, 2, 2], "patch_size": [32, 32, 32]},
        "data": {"crop_size": [32, 32, 32]},
    }


def write(folder: Path, document: Any) -> str:
    path = folder / "experiment.yaml"
    path.write_text(document if isinstance(document, str) else yaml.safe_dump(document))
    return str(path)


def refusal(name: str, *overrides: str) -> str:
    with pytest.raises(InvalidInput) as caught:
        load_config(name, overrides)
    return str(caught.value)


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_built_in_config_loads(name: str) -> None:
    config = load_config(name)
    assert config.schedule.epochs > 0
    crop = zip(config.data.crop_size, config.network.total_stride, strict=True)
    assert all(size % stride == 0 for size, stride in crop)


def test_there_is_a_config_for_brain_flair() -> None:
    assert "brain_flair" in BUILT_IN
    assert load_config("brain_flair").preprocessing.modality == "MR"


def test_defaults_are_the_paper_s_values(tmp_path: Path) -> None:
    """Every key that a config leaves out is as in the paper's own configs, value by value."""
    config = load_config(write(tmp_path, minimal() | {"network": {"preset": "paper"}}))
    sections = {
        "network",
        "augmentation",
        "clicks",
        "relabelling",
        "other_objects",
        "loss",
        "schedule",
    }
    compared = [row for row in TABLE if row.key.split(".")[0] in sections]
    assert len(compared) > 40
    for row in compared:
        assert value_of(config, row.key) == row.brain, row


def test_a_preset_is_expanded_and_its_keys_replaced(tmp_path: Path) -> None:
    network = {"preset": "compact", "thick_slices": True, "kernel_size": 5}
    config = load_config(write(tmp_path, minimal() | {"network": network}))
    assert config.network == compact(thick_slices=True, kernel_size=5)


def test_a_network_may_be_written_out_without_a_preset(tmp_path: Path) -> None:
    network = {"base_channels": 4, "attention_heads": [4, 4, 2, 2], "affinity_heads": 2}
    config = load_config(write(tmp_path, minimal() | {"network": network}))
    assert config.network.base_channels == 4


@pytest.mark.parametrize(
    ("override", "key", "value"),
    [
        ("schedule.epochs=3", "schedule.epochs", 3),
        ("seed=7", "seed", 7),
        ("clicks.foreground=[2, 5]", "clicks.foreground", (2, 5)),
        ("loss.kind=dice", "loss.kind", "dice"),
        ("loss.deep_supervision=false", "loss.deep_supervision", False),
        ("schedule.gradient_clip=null", "schedule.gradient_clip", None),
        ("network.similarity=cosine", "network.similarity", "cosine"),
        ("network.preset=paper", "network.base_channels", 16),
        ("name=other", "name", "other"),
    ],
)
def test_any_key_can_be_replaced_on_the_command_line(override: str, key: str, value: Any) -> None:
    config: Any = load_config("brain_flair", [override])
    for part in key.split("."):
        config = getattr(config, part)
    assert config == value


def test_the_last_of_two_overrides_counts() -> None:
    assert load_config("brain_flair", ["seed=1", "seed=2"]).seed == 2


@pytest.mark.parametrize(
    ("override", "named"),
    [
        ("schedule.epoch=3", "schedule.epoch"),
        ("schedule.epochs=many", "schedule.epochs"),
        ("schedule.epochs=-1", "schedule.epochs"),
        ("clicks.rounds=[0, 3]", "clicks.rounds.0"),
        ("clicks.foreground=[5, 1]", "clicks.foreground: the smaller comes first"),
        ("clicks.foreground=[1, 1000000000]", "clicks.foreground.1"),
        ("clicks.rounds=[1, 1000000000]", "clicks.rounds.1"),
        ("clicks.band_mm=.inf", "clicks.band_mm"),
        ("clicks.erosion_mm=.inf", "clicks.erosion_mm"),
        ("augmentation.scales=[1.1, 0.9]", "augmentation.scales: the smaller comes first"),
        ("augmentation.scales=[-1, 1]", "augmentation.scales.0"),
        ("augmentation.scales=[0, 0]", "augmentation.scales.0"),
        ("augmentation.scales=[1, .nan]", "augmentation.scales.1"),
        ("augmentation.noise_std=.inf", "augmentation.noise_std"),
        ("augmentation.blur_mm=.inf", "augmentation.blur_mm"),
        ("augmentation.low_resolution=.inf", "augmentation.low_resolution"),
        ("relabelling.regions=[3, 1]", "relabelling.regions: the smaller comes first"),
        ("relabelling.radius_mm=[30, 10]", "relabelling.radius_mm: the smaller comes first"),
        ("relabelling.radius_mm=[10, .inf]", "relabelling.radius_mm.1"),
        ("relabelling.contrast=[2, 1]", "relabelling.contrast: the smaller comes first"),
        ("relabelling.rim_mm=[0, 1]", "relabelling.rim_mm.0"),
        ("relabelling.outline_mm=[8, 2]", "relabelling.outline_mm: the smaller comes first"),
        ("other_objects.radius_mm=[0, 10]", "other_objects.radius_mm.0"),
        ("other_objects.contrast=[2, 1]", "other_objects.contrast: the smaller comes first"),
        ("loss.first_mask=full", "loss.first_mask"),
        ("clicks.background=[-1, 1]", "clicks.background.0"),
        ("network.affinity_heads=5", "affinity_heads=5 does not divide"),
        ("network.preset=huge", "network.preset: 'huge' is unknown; use paper or compact"),
        ("network.preset=[paper]", "network.preset"),
        ("network.thick_slices=maybe", "network.thick_slices: 'maybe' is neither true nor false"),
        ("preprocessing.modality=PET", "preprocessing.modality"),
        ("data.crop_size=[96, 112, 30]", "data.crop_size: 30 is not a multiple of"),
        ("data.crop_size=[16, 16, 8]", "data.crop_size: (16, 16, 8) leaves one voxel"),
        ("data.crop_size=[0, 112, 32]", "data.crop_size.0"),
        ("data.crop_size=[96, 112, 1000000]", "data.crop_size.2"),
        ("data.scan_size=[1000000, 112, 40]", "data.scan_size.0"),
        ("data.label_values=[0]", "data.label_values.0"),
        ("data.label_values=[]", "data.label_values"),
        ("data.split_proportions=[.nan, 0.5, 0.5]", "data.split_proportions.0"),
        ("loss=3", "loss"),
        ("loss.nu=.nan", "loss.nu"),
        ("loss.mu=[5, -3]", "loss.mu.0"),
        ("loss.mu=[0.3, .nan]", "loss.mu.1"),
        ("loss.focus_lambda=.inf", "loss.focus_lambda"),
        ("loss.click_weight=.inf", "loss.click_weight"),
        ("schedule.learning_rate=.inf", "schedule.learning_rate"),
        ("schedule.weight_decay=.inf", "schedule.weight_decay"),
        ("schedule.gradient_clip=.inf", "schedule.gradient_clip"),
        ("synthetic.scan.lesion_radius=[5, .inf]", "synthetic.scan.lesion_radius.1"),
        ("optimiser.rate=3", "optimiser"),
        ("name.first=x", "name is not a section"),
        ("seed", "'seed' is not an override"),
        ("seed={", "not valid YAML"),
    ],
)
def test_a_wrong_key_or_value_is_named(override: str, named: str) -> None:
    sentence = refusal("brain_flair", override)
    assert named in sentence
    assert "\n" not in sentence
    assert sentence.endswith(".")


def test_a_schedule_without_any_epoch_is_refused() -> None:
    sentence = refusal("brain_flair", "schedule.pretrain_epochs=0", "schedule.epochs=0")
    assert "schedule: pretrain_epochs and epochs are both 0" in sentence


def test_more_frozen_epochs_than_there_are_are_refused() -> None:
    sentence = refusal("brain_flair", "schedule.epochs=2", "schedule.frozen_epochs=3")
    assert "frozen_epochs is 3" in sentence


def test_another_contrast_of_ct_is_refused() -> None:
    sentence = refusal("soft_tissue_ct", "augmentation.contrast=0.3")
    assert "augmentation.contrast: Hounsfield units mean the same everywhere" in sentence


def test_a_skull_strip_of_ct_is_refused() -> None:
    sentence = refusal("soft_tissue_ct", "augmentation.skull_strip=0.5")
    assert "augmentation.skull_strip: is for MR scans of heads" in sentence


@pytest.mark.parametrize(
    "override",
    ["augmentation.scales=[1, 1]", "relabelling.regions=[2, 2]", "loss.mu=[0.6, 0.3]"],
)
def test_equal_limits_and_a_falling_mu_are_possible(override: str) -> None:
    load_config("brain_flair", [override])


def test_a_missing_key_is_named(tmp_path: Path) -> None:
    document = minimal()
    del document["preprocessing"]["spacing"]
    assert "preprocessing.spacing: Field required" in refusal(write(tmp_path, document))


def test_an_unknown_config_is_answered_with_those_that_exist() -> None:
    sentence = refusal("brain_flare")
    assert "'brain_flare'" in sentence
    assert "brain_flair" in sentence


@pytest.mark.parametrize("text", ["", "- a\n- b\n", "just text", "a: [", "a: b: c"])
def test_a_file_that_is_no_mapping_is_refused(tmp_path: Path, text: str) -> None:
    sentence = refusal(write(tmp_path, text))
    assert "experiment.yaml" in sentence
    assert "\n" not in sentence


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    assert "x.yaml" in refusal(str(path))
    assert str(tmp_path) in refusal(str(tmp_path))


def test_a_yaml_file_cannot_run_code(tmp_path: Path) -> None:
    target = tmp_path / "ran"
    text = f"name: !!python/object/apply:os.mkdir ['{target}']\n"
    assert "not valid YAML" in refusal(write(tmp_path, text))
    assert not target.exists()


def test_the_seed_and_every_section_are_part_of_what_a_resume_compares() -> None:
    config = load_config("brain_flair")
    for override in (
        "seed=9",
        "loss.nu=0.4",
        "network.drop_path=0.1",
        "data.crop_size=[96, 96, 32]",
    ):
        assert load_config("brain_flair", [override]).model_dump_json() != config.model_dump_json()


def test_a_precision_may_be_written_as_the_number_that_it_looks_like() -> None:
    assert load_config("brain_flair", ["schedule.precision=32"]).schedule.precision == "32"
    assert "schedule.precision" in refusal("brain_flair", "schedule.precision=16")
