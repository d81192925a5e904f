"""Task folders of the Medical Segmentation Decathlon, as downloaded."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from caiseg.errors import InvalidInput
from tests.train.labelled_scans import SHAPE, labels, scan, small_config, write_decathlon
from train.sources import read_decathlon

BRAIN_LABELS = {
    "0": "background",
    "1": "edema",
    "2": "non-enhancing tumor",
    "3": "enhancing tumour",
}
PANCREAS_LABELS = {"0": "background", "1": "pancreas", "2": "cancer"}


@pytest.fixture
def brain(tmp_path: Path) -> Path:
    return write_decathlon(
        tmp_path / "Task01_BrainTumour",
        {"BRATS_457": labels(1, 2, 3), "BRATS_306": labels(3)},
        modality=["FLAIR", "T1w", "t1gd", "T2w"],
        names=BRAIN_LABELS,
    )


@pytest.fixture
def pancreas(tmp_path: Path) -> Path:
    return write_decathlon(
        tmp_path / "Task07_Pancreas",
        {"pancreas_001": labels(1, 2)},
        modality=["CT"],
        names=PANCREAS_LABELS,
    )


def test_the_listed_training_cases_are_found_and_nothing_else(brain: Path) -> None:
    cases = read_decathlon(brain, small_config("data.channel=0").data)
    assert [case.name for case in cases] == ["BRATS_457", "BRATS_306"]
    assert [case.patient for case in cases] == ["BRATS_457", "BRATS_306"]
    assert {case.split for case in cases} == {""}


def test_files_of_macos_are_skipped_where_they_are_listed(brain: Path) -> None:
    path = brain / "dataset.json"
    document = json.loads(path.read_text())
    document["training"].append(
        {"image": "./imagesTr/._BRATS_457.nii.gz", "label": "./labelsTr/._BRATS_457.nii.gz"}
    )
    path.write_text(json.dumps(document))
    assert len(read_decathlon(brain, small_config("data.channel=0").data)) == 2


@pytest.mark.parametrize("channel", [0, 2])
def test_the_channel_of_the_config_is_read_from_a_4d_scan(brain: Path, channel: int) -> None:
    data = small_config(f"data.channel={channel}").data
    volume, lesion = read_decathlon(brain, data)[0].load(data.label_values)
    np.testing.assert_array_equal(volume.data, scan(0, 4)[..., channel])
    assert volume.shape == SHAPE
    assert not any("first one" in notice for notice in volume.notices)
    np.testing.assert_array_equal(lesion, labels(1, 1, 1) > 0)


def test_several_channels_ask_for_a_choice_and_name_them(brain: Path) -> None:
    with pytest.raises(InvalidInput, match=r"0 FLAIR, 1 T1w, 2 t1gd, 3 T2w.*data\.channel"):
        read_decathlon(brain, small_config().data)


def test_a_channel_that_is_not_there_is_refused(brain: Path) -> None:
    with pytest.raises(InvalidInput, match=r"no channel 4, which data\.channel asks for"):
        read_decathlon(brain, small_config("data.channel=4").data)


def test_the_tumour_alone_is_the_lesion_where_the_config_says_so(pancreas: Path) -> None:
    data = small_config("data.label_values=[2]").data
    volume, lesion = read_decathlon(pancreas, data)[0].load(data.label_values)
    np.testing.assert_array_equal(lesion, labels(1, 2) == 2)
    np.testing.assert_array_equal(volume.data, scan(0))


def test_a_label_that_the_task_does_not_have_is_refused(pancreas: Path) -> None:
    with pytest.raises(InvalidInput, match=r"no label 3, .*background 0, pancreas 1, cancer 2"):
        read_decathlon(pancreas, small_config("data.label_values=[2, 3]").data)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "dataset.json is not the dataset.json of a Medical Segmentation Decathlon task"),
        ('{"labels": {}, "training": []}', "modality: Field required"),
        ('{"modality": {"0": "CT"}, "labels": {}, "training": [{"image": "a"}]}', "training.0"),
        ('{"modality": {"0": "CT"}, "labels": {}, "training": []}', "lists no training case"),
        ('{"modality": {}, "labels": {}, "training": []}', "modality: .* at least 1 item"),
    ],
)
def test_a_dataset_json_of_another_kind_is_refused_by_the_key(
    tmp_path: Path, content: str, message: str
) -> None:
    (tmp_path / "dataset.json").write_text(content)
    with pytest.raises(InvalidInput, match=message):
        read_decathlon(tmp_path, small_config().data)


def test_a_folder_without_dataset_json_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"No such file or directory.*holds dataset\.json"):
        read_decathlon(tmp_path, small_config().data)
