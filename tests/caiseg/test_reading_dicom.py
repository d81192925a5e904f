"""Zipped DICOM series: stacked as the standard says, and unpacked without trust."""

from __future__ import annotations

import stat
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from pydicom.uid import DeflatedExplicitVRLittleEndian, RLELossless

from caiseg.errors import InvalidInput, Series, SeveralSeries
from caiseg.volume import load_volume
from tests.caiseg.scan_files import (
    dicom_bytes,
    dicom_slice,
    slice_pixels,
    write_series,
    write_zip,
)


def refusal(path: Path, **options: Any) -> str:
    with pytest.raises(InvalidInput) as caught:
        load_volume(path, **options)
    assert str(caught.value).endswith(".")
    return str(caught.value)


def series(count: int = 5, **elements: Any) -> list[Any]:
    return [dicom_slice(index, **elements) for index in range(count)]


EXPECTED = np.stack([slice_pixels(index).T for index in range(5)], axis=-1)


def test_a_series_lies_where_simpleitk_puts_it(tmp_path: Path) -> None:
    for index, dataset in enumerate(series()):
        (tmp_path / f"{index}.dcm").write_bytes(dicom_bytes(dataset))
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames([str(tmp_path / f"{index}.dcm") for index in range(5)])
    sitk.WriteImage(reader.Execute(), str(tmp_path / "reference.nii"))
    reference = load_volume(tmp_path / "reference.nii")
    volume = load_volume(write_series(tmp_path / "ct.zip", series()))
    np.testing.assert_allclose(volume.affine, reference.affine, atol=1e-4)
    np.testing.assert_array_equal(volume.data, reference.data)
    np.testing.assert_array_equal(volume.to_native(volume.data), EXPECTED)
    assert volume.data.dtype == np.int16
    assert sorted(volume.spacing) == pytest.approx([0.6, 0.9, 2.5])
    assert volume.notices == []


def test_the_order_of_the_files_does_not_matter(tmp_path: Path) -> None:
    shuffled = [series()[index] for index in (3, 0, 4, 2, 1)]
    volume = load_volume(write_series(tmp_path / "ct.zip", shuffled))
    np.testing.assert_array_equal(volume.to_native(volume.data), EXPECTED)


def test_an_image_that_is_there_twice_counts_once(tmp_path: Path) -> None:
    volume = load_volume(write_series(tmp_path / "ct.zip", [*series(), series()[2]]))
    np.testing.assert_array_equal(volume.to_native(volume.data), EXPECTED)


def test_a_tilted_gantry_gives_a_sheared_affine(tmp_path: Path) -> None:
    slices = series()
    for index, dataset in enumerate(slices):
        dataset.ImagePositionPatient[2] += 0.8 * index
    volume = load_volume(write_series(tmp_path / "ct.zip", slices))
    last = np.array([*slices[-1].ImagePositionPatient], dtype=float) * (-1, -1, 1)
    np.testing.assert_allclose(volume.native.affine @ (0, 0, 4, 1), (*last, 1))
    assert any("shear" in notice for notice in volume.notices)


def test_each_slice_has_its_own_scaling(tmp_path: Path) -> None:
    slices = series()
    for index, dataset in enumerate(slices):
        dataset.RescaleSlope, dataset.RescaleIntercept = 0.5 + index, -1024
    volume = load_volume(write_series(tmp_path / "pet.zip", slices))
    expected = EXPECTED * (0.5 + np.arange(5)) - 1024
    np.testing.assert_allclose(volume.to_native(volume.data), expected)
    assert volume.data.dtype == np.float32


def test_compressed_images_are_decoded(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(-900, 900, (3, 16, 20), dtype=np.int16)
    slices = series(3, Rows=16, Columns=20, RescaleIntercept=-1000, RescaleSlope=1)
    for dataset, image in zip(slices, pixels, strict=True):
        dataset.compress(RLELossless, image, encoding_plugin="pydicom")
    volume = load_volume(write_series(tmp_path / "ct.zip", slices))
    np.testing.assert_array_equal(volume.to_native(volume.data), pixels.transpose() - 1000.0)


def test_other_files_and_folders_in_the_archive_do_no_harm(tmp_path: Path) -> None:
    members = [(f"A/B/IM{n}", dicom_bytes(dataset)) for n, dataset in enumerate(series())]
    extra = [("A/", b""), ("A/README.txt", b"hello"), ("DICOMDIR", b"\0" * 200), (".DS_Store", b"")]
    volume = load_volume(write_zip(tmp_path / "ct.zip", [*extra, *members]))
    np.testing.assert_array_equal(volume.to_native(volume.data), EXPECTED)


def test_a_single_slice_takes_its_thickness_from_the_header(tmp_path: Path) -> None:
    volume = load_volume(write_series(tmp_path / "ct.zip", series(1, SliceThickness=7)))
    assert sorted(volume.spacing) == pytest.approx([0.6, 0.9, 7])
    assert any("single slice" in notice for notice in volume.notices)


def test_several_images_at_each_position_are_several_volumes(tmp_path: Path) -> None:
    later = [
        dicom_slice(n, SOPInstanceUID=f"9.{n}", InstanceNumber=50 + n, PixelData=bytes(48))
        for n in range(5)
    ]
    path = write_series(tmp_path / "dynamic.zip", [*later, *series()])
    first, second = load_volume(path), load_volume(path, volume_index=1)
    np.testing.assert_array_equal(first.to_native(first.data), EXPECTED)
    assert any("2 images at each position" in notice for notice in first.notices)
    assert not second.data.any()
    assert "holds 2" in refusal(path, volume_index=2)
    assert (first.volumes, second.volumes) == (2, 2)


def test_of_several_series_one_must_be_chosen(tmp_path: Path) -> None:
    other = series(3, SeriesInstanceUID="5.6.7", SeriesDescription="scout", PixelData=bytes(48))
    for dataset in other:
        dataset.SOPInstanceUID += ".9"
    path = write_series(tmp_path / "two.zip", [*other, *series()])
    message = refusal(path)
    assert "1.2.3.4 (CT thorax, 5 images)" in message
    assert "5.6.7 (scout, 3 images)" in message
    with pytest.raises(SeveralSeries) as caught:
        load_volume(path)
    assert caught.value.series == (
        Series("5.6.7", "scout", 3),
        Series("1.2.3.4", "CT thorax", 5),
    )
    for wanted in ("1.2.3.4", "CT thorax"):
        volume = load_volume(path, series=wanted)
        np.testing.assert_array_equal(volume.to_native(volume.data), EXPECTED)
    assert "no single series 'MR'" in refusal(path, series="MR")


def with_changes(index: int, **elements: Any) -> list[Any]:
    slices = series()
    slices[index] = dicom_slice(index, **elements)
    return slices


@pytest.mark.parametrize(
    ("slices", "words"),
    [
        (series(PixelData=None), "no pixel data"),
        (with_changes(2, PixelData=None), "not evenly spaced"),
        (with_changes(2, PixelData=bytes(20)), "ends before its last voxel"),
        ([*series()[:2], *series()[3:]], "not evenly spaced"),
        (with_changes(2, Rows=2, Columns=12), "mixes images"),
        (with_changes(2, PixelSpacing=[0.9, 0.7]), "mixes images"),
        (with_changes(2, ImageOrientationPatient=[1, 0, 0, 0, 1, 0]), "mixes images"),
        (with_changes(2, PixelRepresentation=0), "mixes images"),
        ([*series(), dicom_slice(2, SOPInstanceUID="9.9")], "more often"),
        (series(ImagePositionPatient=None), "ImagePositionPatient"),
        (series(ImageOrientationPatient=None), "ImageOrientationPatient"),
        (series(ImageOrientationPatient=[0, 0, 0, 0, 0, 0]), ""),
        (series(PixelSpacing=None), "PixelSpacing"),
        (series(PixelSpacing=[0, 0]), "singular"),
        (series(SamplesPerPixel=3, PhotometricInterpretation="RGB"), "colour"),
        (series(PhotometricInterpretation="PALETTE COLOR"), "colour"),
        (series(1, NumberOfFrames=2), "dcm2niix"),
        (series(Rows=0), "no size"),
    ],
)
def test_what_is_no_regular_series_is_refused(
    tmp_path: Path, slices: list[Any], words: str
) -> None:
    assert words in refusal(write_series(tmp_path / "ct.zip", slices))


def test_outlines_beside_the_images_are_passed_over(tmp_path: Path) -> None:
    outline = dicom_slice(0, SOPInstanceUID="8.8", SeriesInstanceUID="8", PixelData=None)
    volume = load_volume(write_series(tmp_path / "ct.zip", [outline, *series()]))
    np.testing.assert_array_equal(volume.to_native(volume.data), EXPECTED)


def test_images_larger_than_allowed_are_refused_by_their_header(tmp_path: Path) -> None:
    path = write_series(tmp_path / "ct.zip", series(Rows=60_000, Columns=60_000))
    assert "60000 × 60000 × 5" in refusal(path)


def test_deflated_dicom_is_refused_before_it_is_inflated(tmp_path: Path) -> None:
    dataset = dicom_slice(0)
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    assert "deflated" in refusal(write_series(tmp_path / "ct.zip", [dataset]))


@pytest.mark.parametrize(
    "name", ["../evil.dcm", "a/../../evil.dcm", "/evil.dcm", "..\\evil.dcm", "C:\\evil.dcm"]
)
def test_paths_that_leave_the_archive_are_refused(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "upload"
    folder.mkdir()
    path = write_zip(folder / "ct.zip", [(name, dicom_bytes(dicom_slice(0)))])
    assert "out of its folder" in refusal(path)
    assert not list(tmp_path.rglob("evil*"))


def test_links_in_the_archive_are_refused(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("link.dcm")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    assert "links" in refusal(write_zip(tmp_path / "ct.zip", [(link, b"/etc/hostname")]))


def test_an_archive_that_unpacks_to_too_much_is_refused(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "ct.zip", [("a.dcm", dicom_bytes(dicom_slice(0)) + bytes(5000))])
    assert "too large" in refusal(path, max_voxels=1000)
    many = [(str(number), b"") for number in range(20_001)]
    assert "too large" in refusal(write_zip(tmp_path / "many.zip", many))


def test_an_encrypted_archive_is_refused(tmp_path: Path) -> None:
    content = bytearray(write_series(tmp_path / "ct.zip", series()).read_bytes())
    # The flag stands in the central directory, 8 bytes after each of its signatures.
    place = content.find(b"PK\x01\x02")
    content[place + 8] |= 1
    (tmp_path / "ct.zip").write_bytes(content)
    assert "password" in refusal(tmp_path / "ct.zip")


def test_archives_that_are_damaged_or_hold_no_dicom_are_refused(tmp_path: Path) -> None:
    content = bytearray(write_series(tmp_path / "ct.zip", series()).read_bytes())
    (tmp_path / "short.zip").write_bytes(content[:-50])
    assert "damaged" in refusal(tmp_path / "short.zip")
    content[120] ^= 0xFF
    (tmp_path / "flipped.zip").write_bytes(content)
    assert "damaged" in refusal(tmp_path / "flipped.zip")
    (tmp_path / "empty.zip").write_bytes(b"")
    assert "damaged" in refusal(tmp_path / "empty.zip")
    assert "no DICOM" in refusal(write_zip(tmp_path / "text.zip", [("a.txt", b"hello" * 99)]))
    assert "no DICOM" in refusal(write_zip(tmp_path / "none.zip", []))


def test_nothing_is_left_behind_in_the_temporary_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    load_volume(write_series(tmp_path / "ct.zip", series()))
    refusal(write_series(tmp_path / "bad.zip", series(Rows=0)))
    assert list(scratch.iterdir()) == []
