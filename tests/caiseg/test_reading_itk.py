"""NRRD and MetaImage scans lie where the same scan lies as NIfTI, and keep to their own file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from caiseg.errors import InvalidInput
from caiseg.volume import load_volume
from tests.caiseg.scan_files import itk_image, voxels


def refusal(path: Path) -> str:
    with pytest.raises(InvalidInput) as caught:
        load_volume(path)
    assert str(caught.value).endswith(".")
    return str(caught.value)


def write(path: Path, image: sitk.Image | None = None, *, compressed: bool = False) -> bytes:
    image = itk_image() if image is None else image
    sitk.WriteImage(image, str(path), useCompression=compressed)
    return path.read_bytes()


@pytest.mark.parametrize("name", ["scan.nrrd", "scan.mha", "scan.mhd"])
@pytest.mark.parametrize("compressed", [False, True])
def test_a_scan_lies_where_nibabel_finds_it_as_nifti(
    tmp_path: Path, name: str, compressed: bool
) -> None:
    write(tmp_path / "reference.nii")
    write(tmp_path / name, compressed=compressed)
    reference, volume = load_volume(tmp_path / "reference.nii"), load_volume(tmp_path / name)
    np.testing.assert_allclose(volume.affine, reference.affine, atol=1e-4)
    np.testing.assert_array_equal(volume.data, reference.data)
    np.testing.assert_allclose(volume.native.affine, reference.native.affine, atol=1e-4)
    assert volume.data.dtype == np.int16
    assert volume.notices == []


@pytest.mark.parametrize("name", ["scan.nrrd", "scan.mha"])
@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("lost", [1, 30, 150])
def test_a_file_that_was_cut_off_is_refused(
    tmp_path: Path, name: str, compressed: bool, lost: int
) -> None:
    content = write(tmp_path / name, compressed=compressed)
    (tmp_path / name).write_bytes(content[:-lost])
    assert "ends before its last voxel" in refusal(tmp_path / name)


@pytest.mark.parametrize("name", ["scan.nrrd", "scan.mha"])
@pytest.mark.parametrize("place", [-3, -60])
def test_damaged_compressed_voxels_are_refused(tmp_path: Path, name: str, place: int) -> None:
    content = bytearray(write(tmp_path / name, compressed=True))
    content[place] ^= 0xFF
    (tmp_path / name).write_bytes(content)
    assert "damaged" in refusal(tmp_path / name)


@pytest.mark.parametrize("name", ["scan.nrrd", "scan.mha"])
@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("size", [b"6 5 2000", b"60000 60000 60000", b"6 0 4", b"6 -5 4", b"6 5"])
def test_sizes_that_the_file_does_not_hold_are_refused(
    tmp_path: Path, name: str, compressed: bool, size: bytes
) -> None:
    content = write(tmp_path / name, compressed=compressed)
    assert b"6 5 4" in content
    (tmp_path / name).write_bytes(content.replace(b"6 5 4", size, 1))
    refusal(tmp_path / name)


@pytest.mark.parametrize("name", ["scan.nrrd", "scan.mha"])
def test_compressed_voxels_that_unpack_to_more_than_announced_are_refused(
    tmp_path: Path, name: str
) -> None:
    content = write(tmp_path / name, compressed=True)
    (tmp_path / name).write_bytes(content.replace(b"6 5 4", b"6 5 3", 1))
    assert "damaged" in refusal(tmp_path / name)


@pytest.mark.parametrize("field", ["data file", "datafile", "Data File"])
def test_an_nrrd_header_cannot_name_another_file(tmp_path: Path, field: str) -> None:
    secret = tmp_path / "secret.raw"
    secret.write_bytes(voxels().tobytes())
    header, _, _ = write(tmp_path / "scan.nrrd").partition(b"\n\n")
    for ending in ("", "\n\n"):
        text = header + f"\n{field}: {secret}{ending}".encode()
        (tmp_path / "scan.nrrd").write_bytes(text)
        assert "in another file" in refusal(tmp_path / "scan.nrrd")


@pytest.mark.parametrize(
    "data_file",
    ["{secret}", "../secret.raw", "LIST\nsecret.raw", "slice%03d.raw 1 4 1", "link.raw", "no.raw"],
)
@pytest.mark.parametrize("name", ["scan.mha", "scan.mhd"])
def test_a_metaimage_header_cannot_name_a_file_elsewhere(
    tmp_path: Path, name: str, data_file: str
) -> None:
    folder = tmp_path / "upload"
    folder.mkdir()
    secret = tmp_path / "secret.raw"
    secret.write_bytes(voxels().tobytes())
    (folder / "link.raw").symlink_to(secret)
    for trap in ("LIST", "slice%03d.raw 1 4 1"):
        (folder / trap).write_bytes(voxels().tobytes())
    header, _, _ = write(folder / "scan.mha").partition(b"LOCAL")
    (folder / name).write_bytes(header + data_file.format(secret=secret).encode() + b"\n")
    assert "one .mha file" in refusal(folder / name)


@pytest.mark.parametrize(
    "trick",
    [
        b"Comment = a\rElementDataFile = secret.raw\n",
        b"ElementDataFile : secret.raw = b\n",
        b"DimSize = 6 5 4\n",
        b"Comment = a\0b\n",
    ],
)
def test_header_lines_that_readers_take_differently_are_refused(
    tmp_path: Path, trick: bytes
) -> None:
    (tmp_path / "secret.raw").write_bytes(voxels().tobytes())
    content = write(tmp_path / "scan.mha")
    (tmp_path / "scan.mha").write_bytes(
        content.replace(b"ElementSpacing", trick + b"ElementSpacing")
    )
    assert "header is damaged" in refusal(tmp_path / "scan.mha")


@pytest.mark.parametrize(
    ("name", "old", "new", "words"),
    [
        ("scan.nrrd", b"encoding: raw", b"encoding: ascii", "unusual way"),
        ("scan.nrrd", b"encoding: raw", b"encoding: raw\nbyte skip: -1", "unusual way"),
        ("scan.nrrd", b"NRRD0004", b"NERD0004", "not an NRRD"),
        ("scan.nrrd", b"(-33,57,101)", b"(nan,57,101)", ""),
        ("scan.mha", b"BinaryData = True", b"BinaryData = False", "unusual way"),
        ("scan.mha", b"NDims = 3", b"NDims = 9", "2, 3 or 4 dimensions"),
        ("scan.mha", b"ElementSpacing = ", b"ElementSpacing = 0 ", ""),
        ("scan.mha", b"ElementSpacing = ", b"ElementSpacing = nan ", ""),
        ("scan.mha", b"MET_SHORT", b"MET_OTHER", ""),
    ],
)
def test_headers_that_describe_no_scan_are_refused(
    tmp_path: Path, name: str, old: bytes, new: bytes, words: str
) -> None:
    content = write(tmp_path / name)
    assert old in content
    (tmp_path / name).write_bytes(content.replace(old, new, 1))
    assert words in refusal(tmp_path / name)


@pytest.mark.parametrize("name", ["scan.nrrd", "scan.mha"])
def test_files_of_another_kind_are_refused(tmp_path: Path, name: str) -> None:
    for content in (b"", b"\x89PNG\r\n\x1a\n" + bytes(400), b"Dear doctor,\n\n", bytes(3_000_000)):
        (tmp_path / name).write_bytes(content)
        refusal(tmp_path / name)


@pytest.mark.parametrize("name", ["scan.nrrd", "scan.mha"])
def test_colours_and_complex_numbers_are_refused(tmp_path: Path, name: str) -> None:
    colours = sitk.GetImageFromArray(np.zeros((4, 5, 6, 3), np.uint8), isVector=True)
    write(tmp_path / name, colours)
    assert "colours" in refusal(tmp_path / name)


@pytest.mark.parametrize("name", ["scan.nrrd", "scan.mha"])
def test_the_largest_size_can_be_chosen(tmp_path: Path, name: str) -> None:
    write(tmp_path / name)
    with pytest.raises(InvalidInput, match="more than the 119"):
        load_volume(tmp_path / name, max_voxels=119)
    assert load_volume(tmp_path / name, max_voxels=120).data.size == 120


@pytest.mark.parametrize("name", ["scan.nrrd", "scan.mha"])
def test_one_volume_of_a_4d_scan_is_read(tmp_path: Path, name: str) -> None:
    data = voxels((6, 5, 4, 3))
    image = sitk.GetImageFromArray(data.transpose(), isVector=False)
    image.SetSpacing((0.7, 1.3, 4.0, 30.0))
    image.SetOrigin((1.0, 2.0, 3.0, 0.0))
    write(tmp_path / name, image)
    first, last = load_volume(tmp_path / name), load_volume(tmp_path / name, volume_index=2)
    np.testing.assert_array_equal(first.to_native(first.data), data[..., 0])
    np.testing.assert_array_equal(last.to_native(last.data), data[..., 2])
    assert first.spacing == pytest.approx((0.7, 1.3, 4.0))
    assert (first.volumes, last.volumes) == (3, 3)
    assert len(first.notices) == 1
    assert last.notices == []


@pytest.mark.parametrize("name", ["scan.nrrd", "scan.mha"])
def test_a_2d_scan_is_one_slice(tmp_path: Path, name: str) -> None:
    write(tmp_path / name, itk_image(voxels((7, 5))))
    volume = load_volume(tmp_path / name)
    assert volume.shape == (7, 5, 1)
    assert any("single slice" in notice for notice in volume.notices)
    volume.save_mask(volume.data > 9, tmp_path / "mask.nii.gz")
    assert sitk.ReadImage(str(tmp_path / "mask.nii.gz")).GetSize() == (7, 5)


def test_a_header_without_voxel_size_is_noticed(tmp_path: Path) -> None:
    content = write(tmp_path / "scan.mha")
    lines = [line for line in content.split(b"\n") if not line.startswith(b"ElementSpacing")]
    (tmp_path / "scan.mha").write_bytes(b"\n".join(lines))
    volume = load_volume(tmp_path / "scan.mha")
    assert volume.spacing == pytest.approx((1, 1, 1))
    assert any("1 mm is assumed" in notice for notice in volume.notices)
