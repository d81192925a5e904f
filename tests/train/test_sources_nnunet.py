"""Raw data sets of nnU-Net v2."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from caiseg.errors import InvalidInput
from tests.train.labelled_scans import labels, save, scan, small_config, write_nnunet
from train.sources import read_nnunet

MASKS = {"tumour_02": labels(1), "tumour_01": labels(0, 1)}


def test_each_pair_is_a_case_and_a_patient(tmp_path: Path) -> None:
    folder = write_nnunet(tmp_path / "Dataset001_Tumour", MASKS)
    (folder / "imagesTr" / "._tumour_01_0000.nii.gz").write_bytes(b"\0\5\26\7")
    cases = read_nnunet(folder, small_config().data)
    assert [(case.name, case.patient, case.split) for case in cases] == [
        ("tumour_01", "tumour_01", ""),
        ("tumour_02", "tumour_02", ""),
    ]
    volume, lesion = cases[1].load()
    np.testing.assert_array_equal(volume.data, scan(0))
    np.testing.assert_array_equal(lesion, labels(1) > 0)


def test_the_channel_of_the_config_chooses_the_file(tmp_path: Path) -> None:
    folder = write_nnunet(tmp_path, MASKS, channels=3)
    data = small_config("data.channel=1").data
    volume, _ = read_nnunet(folder, data)[1].load(channel=data.channel)
    assert volume.name == "tumour_02_0001.nii.gz"
    np.testing.assert_array_equal(volume.data, scan(0) + 100)


def test_several_channels_ask_for_a_choice(tmp_path: Path) -> None:
    folder = write_nnunet(tmp_path, MASKS, channels=2)
    with pytest.raises(InvalidInput, match="0 sequence 0, 1 sequence 1"):
        read_nnunet(folder, small_config().data)


def test_files_of_the_named_ending_are_read(tmp_path: Path) -> None:
    folder = write_nnunet(tmp_path, {"a": labels(1)}, file_ending=".mha")
    for part, name in (("imagesTr", "a_0000"), ("labelsTr", "a")):
        image = sitk.ReadImage(folder / part / f"{name}.nii.gz")
        sitk.WriteImage(image, folder / part / f"{name}.mha")
    (case,) = read_nnunet(folder, small_config().data)
    volume, lesion = case.load()
    assert volume.name == "a_0000.mha"
    np.testing.assert_allclose(volume.data, scan(0))
    assert lesion.sum() == (labels(1) > 0).sum()


def test_an_ending_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    folder = write_nnunet(tmp_path, MASKS, file_ending=".png")
    with pytest.raises(InvalidInput, match=r"holds \.png files; scans are read as \.nii\.gz"):
        read_nnunet(folder, small_config().data)


def test_a_scan_without_mask_and_a_mask_without_scan_are_cases_to_refuse(tmp_path: Path) -> None:
    folder = write_nnunet(tmp_path, MASKS)
    (folder / "labelsTr" / "tumour_01.nii.gz").unlink()
    (folder / "imagesTr" / "tumour_02_0000.nii.gz").unlink()
    for case in read_nnunet(folder, small_config().data):
        with pytest.raises(InvalidInput, match=f"Case {case.name}: .* There is no file"):
            case.load()


def test_files_may_be_listed_wherever_they_lie(tmp_path: Path) -> None:
    image = save(tmp_path / "elsewhere" / "scan.nii.gz", scan(5))
    save(tmp_path / "raw" / "masks" / "m.nii.gz", labels(1))
    listing = {"case": {"images": [str(image)], "label": "masks/m.nii.gz"}}
    write_nnunet(tmp_path / "raw", {}, dataset=listing)
    (case,) = read_nnunet(tmp_path / "raw", small_config().data)
    volume, lesion = case.load()
    np.testing.assert_array_equal(volume.data, scan(5))
    assert lesion.any()


def test_a_listing_that_lacks_the_channel_is_refused(tmp_path: Path) -> None:
    listing = {"case": {"images": ["a.nii.gz"], "label": "m.nii.gz"}}
    names = {"0": "CT", "1": "PET"}
    write_nnunet(tmp_path / "raw", {"case": labels(1)}, dataset=listing, channel_names=names)
    with pytest.raises(InvalidInput, match="lists no channel 1 of case"):
        read_nnunet(tmp_path / "raw", small_config("data.channel=1").data)


def test_values_of_regions_are_labels(tmp_path: Path) -> None:
    regions = {"background": 0, "whole": [1, 2, 3], "core": [2, 3]}
    folder = write_nnunet(tmp_path, MASKS, labels=regions)
    assert read_nnunet(folder, small_config("data.label_values=[2, 3]").data)
    with pytest.raises(InvalidInput, match=r"no label 4, .*whole 1 and 2 and 3"):
        read_nnunet(folder, small_config("data.label_values=[4]").data)


def test_an_ignore_label_is_not_taken_for_lesion(tmp_path: Path) -> None:
    folder = write_nnunet(tmp_path, MASKS, labels={"background": 0, "tumour": 1, "ignore": 2})
    with pytest.raises(InvalidInput, match=r"label 'ignore'.*data\.label_values"):
        read_nnunet(folder, small_config().data)
    assert read_nnunet(folder, small_config("data.label_values=[1]").data)


def test_a_data_set_of_version_1_is_refused_by_the_key(tmp_path: Path) -> None:
    document = {"modality": {"0": "CT"}, "labels": {"0": "background", "1": "tumour"}}
    (tmp_path / "dataset.json").write_text(json.dumps(document))
    with pytest.raises(InvalidInput, match="nnU-Net v2 raw data set: channel_names"):
        read_nnunet(tmp_path, small_config().data)


def test_an_empty_data_set_is_refused(tmp_path: Path) -> None:
    tmp_path.joinpath("raw").mkdir()
    write_nnunet(tmp_path / "raw", {})
    with pytest.raises(InvalidInput, match="holds no training case"):
        read_nnunet(tmp_path / "raw", small_config().data)
