"""CSV manifests as a source of cases, and as what preparing writes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from caiseg.errors import InvalidInput
from tests.train.labelled_scans import labels, save, scan, small_config, write_manifest_csv
from train.manifest import Case, read_manifest, write_manifest
from train.sources import read_csv_manifest


def test_the_split_column_may_be_left_out(tmp_path: Path) -> None:
    path = write_manifest_csv(tmp_path / "m.csv", "a,ann,a.nii,am.nii", "b,bob,b.nii,bm.nii")
    cases = read_csv_manifest(path, small_config().data)
    assert [(case.name, case.patient, case.split) for case in cases] == [
        ("a", "ann", ""),
        ("b", "bob", ""),
    ]
    with pytest.raises(InvalidInput, match="lacks the column split"):
        read_manifest(path)


def test_a_split_for_some_cases_only_is_refused(tmp_path: Path) -> None:
    path = write_manifest_csv(
        tmp_path / "m.csv",
        "a,ann,a.nii,am.nii,train",
        "b,bob,b.nii,bm.nii,",
        header="case,patient,image,mask,split",
    )
    with pytest.raises(InvalidInput, match="gives the split of some cases only"):
        read_csv_manifest(path, small_config().data)
    with pytest.raises(InvalidInput, match="line 3: the column split is empty"):
        read_manifest(path)


def test_a_patient_in_two_splits_is_refused(tmp_path: Path) -> None:
    path = write_manifest_csv(
        tmp_path / "m.csv",
        "a,ann,a.nii,am.nii,train",
        "b,ann,b.nii,bm.nii,val",
        header="case,patient,image,mask,split",
    )
    with pytest.raises(InvalidInput, match="patient ann is in the splits train and val"):
        read_csv_manifest(path, small_config().data)


def test_a_channel_of_the_manifest_goes_before_that_of_the_config(tmp_path: Path) -> None:
    save(tmp_path / "scan.nii.gz", scan(0, volumes=3))
    save(tmp_path / "mask.nii.gz", labels(1))
    path = write_manifest_csv(
        tmp_path / "m.csv",
        "a,ann,scan.nii.gz,mask.nii.gz,2",
        "b,bob,scan.nii.gz,mask.nii.gz,",
        header="case,patient,image,mask,channel",
    )
    own, configured = read_csv_manifest(path, small_config("data.channel=1").data)
    np.testing.assert_array_equal(own.load(channel=1)[0].data, scan(0, volumes=3)[..., 2])
    np.testing.assert_array_equal(configured.load()[0].data, scan(0, volumes=3)[..., 1])


def test_a_channel_that_is_no_number_is_refused(tmp_path: Path) -> None:
    path = write_manifest_csv(
        tmp_path / "m.csv", "a,ann,a.nii,m.nii,FLAIR", header="case,patient,image,mask,channel"
    )
    with pytest.raises(InvalidInput, match="line 2: the channel 'FLAIR' is not a number"):
        read_csv_manifest(path, small_config().data)


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    prepared = tmp_path / "data" / "prepared"
    inside = Case(
        "a, b", "ann", tmp_path / "data" / "a.nii", tmp_path / "data" / "m.nii", "train", 3
    )
    outside = Case("ü", "bob", tmp_path / "b.nii", tmp_path / "n.nii", "val")
    write_manifest(prepared / "manifest.csv", [inside, outside])
    text = (prepared / "manifest.csv").read_text(encoding="utf-8")
    assert '"a, b",ann,../a.nii,../m.nii,train,3' in text
    assert f"ü,bob,{tmp_path}/b.nii,{tmp_path}/n.nii,val," in text
    first, second = read_manifest(prepared / "manifest.csv")
    assert (first.image.resolve(), first.mask.resolve()) == (inside.image, inside.mask)
    assert (first.name, first.patient, first.split, first.channel) == ("a, b", "ann", "train", 3)
    assert second == outside


def test_values_between_labels_are_refused_and_rounding_is_not(tmp_path: Path) -> None:
    image = save(tmp_path / "scan.nii.gz", scan(0))
    soft = save(tmp_path / "soft.nii.gz", labels(1).astype(np.float32) * 0.6)
    with pytest.raises(InvalidInput, match=r"soft\.nii\.gz holds values between whole numbers"):
        Case("a", "a", image, soft, "").load()
    rounded = save(tmp_path / "rounded.nii.gz", labels(1, 2).astype(np.float32) * 0.99999)
    _, lesion = Case("a", "a", image, rounded, "").load([2])
    np.testing.assert_array_equal(lesion, labels(1, 2) == 2)


def test_an_unreadable_file_is_named(tmp_path: Path) -> None:
    image = save(tmp_path / "scan.nii.gz", scan(0))
    (tmp_path / "mask.nii.gz").write_bytes(b"no NIfTI")
    with pytest.raises(InvalidInput, match=r"Case a: .*mask\.nii\.gz: "):
        Case("a", "a", image, tmp_path / "mask.nii.gz", "").load()
