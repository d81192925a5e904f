"""NIfTI files: what is refused, in which words, and what is accepted with a notice."""

from __future__ import annotations

import gzip
import tracemalloc
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from caiseg.errors import InvalidInput
from caiseg.volume import Volume, load_volume
from tests.caiseg.scan_files import rotated_affine, voxels, write_bytes, write_nifti

PNG = b"\x89PNG\r\n\x1a\n" + bytes(400)


def refusal(path: Path, **options: Any) -> str:
    with pytest.raises(InvalidInput) as caught:
        load_volume(path, **options)
    message = str(caught.value)
    assert message.endswith("."), message
    assert "\n" not in message
    return message


def notice(volume: Volume, words: str) -> str:
    (found,) = [text for text in volume.notices if words in text]
    return found


def scan_bytes(**fields: Any) -> bytes:
    image = nib.Nifti1Image(voxels(), rotated_affine())
    content = image.to_bytes()
    header = nib.Nifti1Header(content[:348])
    for name, value in fields.items():
        header[name] = value
    return bytes(header.binaryblock) + content[348:]


def test_a_faultless_scan_has_no_notices(tmp_path: Path) -> None:
    assert load_volume(write_nifti(tmp_path / "scan.nii.gz")).notices == []


def test_files_that_are_not_there_or_not_scans_by_name_are_refused(tmp_path: Path) -> None:
    assert "no file 'gone.nii'" in refusal(tmp_path / "gone.nii")
    assert "is a folder" in refusal(tmp_path)
    (tmp_path / "scan.hdr").write_bytes(b"x")
    assert "unknown type" in refusal(tmp_path / "scan.hdr")
    assert "no file" in refusal(tmp_path / "nul\0.nii")


@pytest.mark.parametrize("name", ["scan.nii", "scan.nii.gz"])
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (PNG, "not a NIfTI scan"),
        (b"Dear doctor, please find attached the scan. " * 20, "not a NIfTI scan"),
        (b"\x5c\x01\x00", "ends before its last voxel"),
        (scan_bytes()[:200], "ends before its last voxel"),
        (scan_bytes()[:-1], "ends before its last voxel"),
        (scan_bytes(magic=b"ni1"), "pair"),
        (scan_bytes(magic=b"xyz"), "damaged"),
    ],
    ids=["empty", "png", "text", "stub", "half header", "cut off", "pair", "magic"],
)
def test_content_that_is_no_whole_scan_is_refused(
    tmp_path: Path, name: str, content: bytes, words: str
) -> None:
    assert words in refusal(write_bytes(tmp_path / name, content))
    (tmp_path / name).write_bytes(content)
    assert words in refusal(tmp_path / name)


def test_an_uncompressed_scan_named_gz_is_read(tmp_path: Path) -> None:
    (tmp_path / "scan.nii.gz").write_bytes(scan_bytes())
    np.testing.assert_array_equal(
        np.sort(load_volume(tmp_path / "scan.nii.gz").data, axis=None), np.arange(120)
    )


def test_a_wrong_checksum_is_noticed_though_every_voxel_was_read(tmp_path: Path) -> None:
    content = bytearray(gzip.compress(scan_bytes()))
    content[-6] ^= 1
    (tmp_path / "scan.nii.gz").write_bytes(content)
    assert "damaged" in refusal(tmp_path / "scan.nii.gz")


@pytest.mark.parametrize("lost", [1, 8, 60])
def test_a_compressed_file_that_was_cut_off_is_refused(tmp_path: Path, lost: int) -> None:
    (tmp_path / "scan.nii.gz").write_bytes(gzip.compress(scan_bytes())[:-lost])
    assert "cut off" in refusal(tmp_path / "scan.nii.gz")


def test_a_decompression_bomb_is_refused_without_being_unpacked(tmp_path: Path) -> None:
    bomb = gzip.compress(scan_bytes() + bytes(200_000_000), compresslevel=1)
    (tmp_path / "scan.nii.gz").write_bytes(bomb)
    tracemalloc.start()
    try:
        assert "more data than its header announces" in refusal(tmp_path / "scan.nii.gz")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 20_000_000


@pytest.mark.parametrize("name", ["scan.nii", "scan.nii.gz"])
def test_a_header_that_promises_much_gets_no_memory_before_the_file_can_hold_it(
    tmp_path: Path, name: str
) -> None:
    content = scan_bytes(dim=[3, 600, 600, 600, 1, 1, 1, 1])
    path = write_bytes(tmp_path / name, content)
    tracemalloc.start()
    try:
        assert "cut off" in refusal(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 5_000_000


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"dim": [3, 6, 0, 4, 1, 1, 1, 1]}, "no size"),
        ({"dim": [3, 6, -5, 4, 1, 1, 1, 1]}, "no size"),
        ({"dim": [3, 32767, 32767, 32767, 1, 1, 1, 1]}, "more than"),
        ({"dim": [7] + [32767] * 7}, "more than"),
        ({"dim": [0, 6, 5, 4, 1, 1, 1, 1]}, "0 dimensions"),
        ({"dim": [1, 6, 5, 4, 1, 1, 1, 1]}, "1 dimensions"),
        ({"dim": [-3, 6, 5, 4, 1, 1, 1, 1]}, "dimensions"),
        ({"pixdim": [1, np.nan, 1, 1, 0, 0, 0, 0]}, "voxel size is not a number"),
        ({"pixdim": [1, 1, np.inf, 1, 0, 0, 0, 0]}, "voxel size is not a number"),
        ({"srow_x": [np.nan, 0, 0, 0]}, "not numbers"),
        ({"srow_x": [np.inf, 0, 0, 0]}, "not numbers"),
        ({"srow_x": [0, 0, 0, 0]}, "singular"),
        ({"srow_x": [0, 0, 0, 0], "srow_y": [1, 1, 1, 0]}, "singular"),
        ({"srow_x": [0, 1, 0, 0], "srow_y": [0, 0, 1, 0], "srow_z": [0, 1, 1, 0]}, "singular"),
        ({"srow_x": [1e9, 1e9, 0, 0], "srow_y": [1e9, -1e9, 0, 0]}, "voxel size as"),
        ({"srow_z": [0, 0, 2, 1e9]}, "origin"),
        ({"sform_code": 0, "quatern_b": 0.9, "quatern_c": 0.9}, "qform"),
        ({"sform_code": 0, "quatern_b": np.nan}, "orientation"),
        ({"sform_code": 0, "qoffset_x": np.nan}, "not numbers"),
        ({"datatype": 32, "bitpix": 64}, "complex numbers"),
        ({"datatype": 128, "bitpix": 24}, "colours"),
        ({"datatype": 2304, "bitpix": 32}, "colours"),
        ({"datatype": 1, "bitpix": 1}, "damaged"),
        ({"datatype": 77}, "damaged"),
        ({"vox_offset": 1e30}, "begin far beyond"),
        ({"vox_offset": np.nan}, "begin far beyond"),
        ({"vox_offset": -16}, "damaged"),
        ({"vox_offset": 1_000_000}, "cut off"),
        ({"scl_slope": 2, "scl_inter": np.inf}, "offset is not a number"),
    ],
    ids=str,
)
def test_headers_that_describe_no_scan_are_refused(
    tmp_path: Path, fields: dict[str, Any], words: str
) -> None:
    assert words in refusal(write_nifti(tmp_path / "scan.nii", fields=fields))


def test_the_largest_size_can_be_chosen(tmp_path: Path) -> None:
    path = write_nifti(tmp_path / "scan.nii")
    assert "119" in refusal(path, max_voxels=119)
    assert load_volume(path, max_voxels=120).data.size == 120


def test_a_voxel_size_of_zero_is_noticed(tmp_path: Path) -> None:
    fields = {"pixdim": [1, 0, 2, 3, 0, 0, 0, 0], "sform_code": 0}
    volume = load_volume(write_nifti(tmp_path / "scan.nii", fields=fields))
    assert "1 mm is assumed" in notice(volume, "zero")
    assert sorted(volume.spacing) == pytest.approx([1, 2, 3], rel=1e-5)


def test_the_sform_is_used_where_the_forms_differ(tmp_path: Path) -> None:
    path = write_nifti(tmp_path / "scan.nii", fields={"qoffset_x": -50})
    volume = load_volume(path)
    assert "sform is used" in notice(volume, "differ")
    np.testing.assert_allclose(volume.affine, nib.as_closest_canonical(nib.load(path)).affine)
    assert volume.native.qform is not None
    assert volume.native.qform[0, 3] == -50


def test_forms_that_differ_by_rounding_only_are_not_mentioned(tmp_path: Path) -> None:
    # A sform in float32 and a qform from a quaternion never agree to the last digit.
    affine = rotated_affine()
    affine[:3, 3] += 1 / 3
    assert load_volume(write_nifti(tmp_path / "scan.nii", affine=affine)).notices == []


def test_voxels_that_are_no_numbers_are_counted_and_replaced(tmp_path: Path) -> None:
    data = voxels(dtype=np.float32) + 5
    data[0, 0, 0], data[1, 1, 1], data[2, 2, 2] = np.nan, np.inf, -np.inf
    volume = load_volume(write_nifti(tmp_path / "scan.nii", data))
    finite_minimum = np.nanmin(data[np.isfinite(data)])
    expected = np.where(np.isfinite(data), data, finite_minimum)
    np.testing.assert_array_equal(volume.to_native(volume.data), expected)
    assert "3 voxels are not" in notice(volume, "finite")


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_signalling_nan_is_replaced_without_a_signal(tmp_path: Path, order: str) -> None:
    """NumPy warns of one that is brought to another type, and warnings fail here."""
    data = voxels(dtype=np.dtype(f"{order}f4"))
    bits = data.view(f"{order}u4")
    bits[1, 1, 1] = 0x7F800001
    image = nib.Nifti1Image(data, np.eye(4), nib.Nifti1Header(endianness=order))
    (tmp_path / "scan.nii").write_bytes(image.to_bytes())
    volume = load_volume(tmp_path / "scan.nii")
    assert volume.data[1, 1, 1] == volume.data.min()
    assert any("1 voxel is not a finite number" in notice for notice in volume.notices)


def test_a_scan_without_any_number_is_refused(tmp_path: Path) -> None:
    path = write_nifti(tmp_path / "scan.nii", np.full((3, 3, 3), np.nan, np.float32))
    assert "no finite value" in refusal(path)


def test_a_constant_scan_and_a_single_slice_are_noticed(tmp_path: Path) -> None:
    volume = load_volume(write_nifti(tmp_path / "scan.nii", np.full((5, 5, 1), 3, np.int16)))
    assert "same value, 3" in notice(volume, "Every voxel")
    assert notice(volume, "single slice")


@pytest.mark.parametrize("name", ["scan.nii", "scan.nii.gz"])
def test_one_volume_of_a_4d_scan_is_read(tmp_path: Path, name: str) -> None:
    data = voxels((6, 5, 4, 3))
    path = write_nifti(tmp_path / name, data)
    first = load_volume(path)
    np.testing.assert_array_equal(first.to_native(first.data), data[..., 0])
    assert "first one is used" in notice(first, "3 volumes")
    last = load_volume(path, volume_index=2)
    assert (first.volumes, last.volumes) == (3, 3)
    np.testing.assert_array_equal(last.to_native(last.data), data[..., 2])
    assert last.notices == []
    assert "holds 3" in refusal(path, volume_index=3)
    assert "holds 3" in refusal(path, volume_index=-1)


def test_a_trailing_axis_of_length_one_is_no_4d_scan(tmp_path: Path) -> None:
    volume = load_volume(write_nifti(tmp_path / "scan.nii", voxels((6, 5, 4, 1))))
    assert volume.notices == []
    assert volume.native.shape == (6, 5, 4)


@pytest.mark.parametrize(
    ("stored", "kept"),
    [
        (np.uint8, np.uint8),
        (np.int8, np.int16),
        (np.int16, np.int16),
        (np.uint16, np.uint16),
        (np.int32, np.float32),
        (np.uint32, np.float32),
        (np.int64, np.float32),
        (np.uint64, np.float32),
        (np.float32, np.float32),
        (np.float64, np.float32),
    ],
)
def test_every_real_type_is_read_and_kept_small(tmp_path: Path, stored: Any, kept: Any) -> None:
    data = voxels(dtype=stored)
    volume = load_volume(write_nifti(tmp_path / "scan.nii", data))
    assert volume.data.dtype == kept
    assert volume.data.flags.c_contiguous
    np.testing.assert_array_equal(volume.to_native(volume.data), data.astype(kept))
    assert volume.notices == []


@pytest.mark.parametrize(
    ("stored", "values", "largest"),
    [
        (np.int64, [2**24 + 1, 2**62 + 1], "by 1 at most"),
        (np.uint64, [2**24 + 1, 2**64 - 3], "by 3 at most"),
        (np.int32, [2**24 + 1, 2**24 + 3], "by 1 at most"),
        (np.float64, [0.1, 1e-9], "by 1.5e-09 at most"),
    ],
)
def test_values_that_single_precision_cannot_keep_are_counted(
    tmp_path: Path, stored: Any, values: list[float], largest: str
) -> None:
    data = voxels(dtype=stored)
    data[0, 0, :2] = values
    (notice,) = load_volume(write_nifti(tmp_path / "scan.nii", data)).notices
    assert "2 of them were rounded" in notice
    assert largest in notice


@pytest.mark.parametrize(("intercept", "rounded"), [(0, False), (1024, False), (1e7, True)])
def test_scaling_rounds_only_what_can_no_longer_be_told_apart(
    tmp_path: Path, intercept: float, rounded: bool
) -> None:
    """Steps of 0.1 are no binary fractions; that alone is worth no notice."""
    fields = {"scl_slope": 0.1, "scl_inter": intercept}
    volume = load_volume(write_nifti(tmp_path / "scan.nii", fields=fields))
    assert any("single precision" in notice for notice in volume.notices) == rounded


@pytest.mark.parametrize(
    ("slope", "intercept", "kept"),
    [(0.5, -3, np.float32), (1, -1024, np.float32), (1, 0, np.int16), (0, 9, np.int16)],
)
def test_scaled_scans_measure_what_nibabel_says(
    tmp_path: Path, slope: float, intercept: float, kept: Any
) -> None:
    fields = {"scl_slope": slope, "scl_inter": intercept}
    path = write_nifti(tmp_path / "scan.nii", fields=fields)
    volume = load_volume(path)
    assert volume.data.dtype == kept
    np.testing.assert_array_equal(volume.to_native(volume.data), nib.load(path).get_fdata())


def test_extensions_between_header_and_voxels_are_passed_over(tmp_path: Path) -> None:
    image = nib.Nifti1Image(voxels(), rotated_affine())
    image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"remark" * 100))
    nib.save(image, tmp_path / "scan.nii.gz")
    volume = load_volume(tmp_path / "scan.nii.gz")
    np.testing.assert_array_equal(volume.to_native(volume.data), voxels())
    volume.save_mask(volume.data > 50, tmp_path / "mask.nii")
    mask = nib.load(tmp_path / "mask.nii")
    np.testing.assert_array_equal(mask.dataobj, voxels() > 50)
    assert len(mask.header.extensions) == 0


@pytest.mark.parametrize("time", [0, 8, 56], ids=["none", "seconds", "unheard of"])
@pytest.mark.parametrize(("code", "millimetres"), [(0, 1), (1, 1000), (2, 1), (3, 1e-3), (5, 1)])
def test_lengths_are_in_the_unit_that_the_header_gives_whatever_it_says_of_time(
    tmp_path: Path, code: int, millimetres: float, time: int
) -> None:
    affine = np.diag([2.0 / millimetres, 2.0 / millimetres, 3.0 / millimetres, 1.0])
    fields = {"xyzt_units": code + time}
    volume = load_volume(write_nifti(tmp_path / "scan.nii", affine=affine, fields=fields))
    np.testing.assert_allclose(volume.spacing, (2, 2, 3), rtol=1e-5)
