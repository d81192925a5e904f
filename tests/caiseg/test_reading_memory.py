"""Reading a scan holds little more than the scan, and what would hold too much is refused."""

from __future__ import annotations

import gzip
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk

from caiseg import InvalidInput, load_volume
from caiseg.volume import Volume, read_labels
from tests.caiseg.scan_files import (
    dicom_slice,
    itk_image,
    write_bytes,
    write_nifti,
    write_series,
)

SHAPE = (160, 150, 140)
VOXELS = 160 * 150 * 140
SLACK = 8 * 2**20
"""Bytes that are read at once, and what the interpreter happens to need."""


def peak_of_reading(path: Path, **settings: Any) -> tuple[int, Volume]:
    """Most bytes that arrays held at once, and the scan."""
    tracemalloc.start()
    try:
        volume = load_volume(path, **settings)
        return tracemalloc.get_traced_memory()[1], volume
    finally:
        tracemalloc.stop()


def values(dtype: Any) -> Any:
    """Smooth, so that files are small."""
    return np.broadcast_to(np.arange(140, dtype=dtype), SHAPE)


@pytest.mark.parametrize(
    ("dtype", "fields", "bytes_per_voxel"),
    [
        (np.float64, {}, 4),
        (np.int64, {}, 4),
        (np.int16, {}, 2),
        (np.int16, {"scl_slope": 0.5, "scl_inter": 3}, 4),
        (np.uint8, {}, 1),
    ],
)
@pytest.mark.parametrize("name", ["scan.nii", "scan.nii.gz"])
def test_a_nifti_scan_is_held_twice_and_no_more(
    tmp_path: Path, name: str, dtype: Any, fields: dict[str, float], bytes_per_voxel: int
) -> None:
    path = write_nifti(tmp_path / name, values(dtype), fields=fields)
    peak, volume = peak_of_reading(path)
    assert volume.data.nbytes == bytes_per_voxel * VOXELS
    assert peak < 2 * volume.data.nbytes + SLACK


def test_broken_voxels_take_no_more_memory(tmp_path: Path) -> None:
    data = values(np.float64).copy()
    data[3, 4, 5:9] = np.nan
    peak, volume = peak_of_reading(write_nifti(tmp_path / "scan.nii", data))
    assert "4 voxels" in volume.notices[0]
    assert volume.data.min() == 0
    assert peak < 2 * volume.data.nbytes + SLACK


def refused(path: Path, needed: int) -> None:
    """The limit is met exactly: a byte less is refused in a sentence before anything is read."""
    load_volume(path, max_bytes=needed)
    tracemalloc.start()
    try:
        with pytest.raises(InvalidInput, match=r"of memory, and .* may be used"):
            load_volume(path, max_bytes=needed - 1)
        assert tracemalloc.get_traced_memory()[1] < SLACK
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(("dtype", "kept"), [(np.float64, 4), (np.uint16, 2)])
def test_what_takes_too_much_memory_is_refused_by_its_header(
    tmp_path: Path, dtype: Any, kept: int
) -> None:
    refused(write_nifti(tmp_path / "scan.nii", values(dtype)), 2 * kept * VOXELS)
    # SimpleITK holds the file's own type until a copy has been made.
    image = itk_image(values(dtype))
    stored = np.dtype(dtype).itemsize
    for name in ("scan.nrrd", "scan.mha"):
        sitk.WriteImage(image, str(tmp_path / name))
        refused(tmp_path / name, (stored + kept) * VOXELS)


def test_one_volume_of_many_is_all_that_counts(tmp_path: Path) -> None:
    data = np.zeros((40, 40, 40, 50), np.int16)
    path = write_nifti(tmp_path / "dynamic.nii", data)
    peak, _ = peak_of_reading(path, volume_index=7)
    assert peak < data.nbytes // 50 * 2 + SLACK
    refused(path, 2 * 2 * 40**3)


def test_a_series_is_refused_by_its_headers_too(tmp_path: Path) -> None:
    path = write_series(tmp_path / "ct.zip", [dicom_slice(index) for index in range(5)])
    refused(path, 2 * 4 * 4 * 6 * 5)


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    header = write_nifti(tmp_path / "small.nii", np.zeros((1, 1, 1))).read_bytes()[:352]
    whole = bytearray(header)
    whole[42:48] = np.array([1000, 1000, 250], "<i2").tobytes()
    path = tmp_path / "bomb.nii.gz"
    path.write_bytes(gzip.compress(bytes(whole) + bytes(8 << 20)))
    with pytest.raises(InvalidInput, match=r"1000 × 1000 × 250 voxels .* 1\.86 GiB .* 1 GiB"):
        load_volume(path, max_bytes=2**30)


def test_the_masks_of_many_objects_are_made_one_by_one(tmp_path: Path) -> None:
    labels = values(np.uint8)
    scan = load_volume(write_nifti(tmp_path / "scan.nii", labels))
    path = write_bytes(tmp_path / "labels.nii.gz", (tmp_path / "scan.nii").read_bytes())
    tracemalloc.start()
    try:
        counts = {label: int(mask.sum()) for label, mask in read_labels(path, scan)}
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert counts == {label: 160 * 150 for label in range(1, 140)}
    assert peak < 6 * VOXELS + SLACK
