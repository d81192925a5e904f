"""The browser gets the intensities of the scan, in the order that it reads them in."""

from __future__ import annotations

import gzip
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from app.scan_payload import Quantisation, display_windows, scan_payload
from caiseg import load_volume
from tests.app.stand_in import write_scan


def restored(data: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    quantisation = Quantisation.of(data)
    stored = quantisation.stored(data)
    assert stored.dtype == np.dtype("<i2")
    return stored.astype(np.float64) * quantisation.slope + quantisation.intercept


@pytest.mark.parametrize(
    "data",
    [
        np.array([-1024, 0, 3071], np.int16),
        np.array([-1024.0, 0.0, 3071.0], np.float32),
        np.array([0, 40_000, 65_535], np.uint16),
        np.array([100_000.0, 100_001.0, 165_000.0]),
        np.array([7, 7], np.uint8),
        np.array([0.5, 0.5], np.float32),
    ],
    ids=["int16", "whole floats", "uint16", "far from zero", "constant", "a constant fraction"],
)
def test_whole_numbers_and_constants_arrive_exactly(data: npt.NDArray[Any]) -> None:
    np.testing.assert_array_equal(restored(data), data.astype(np.float64))


def test_other_numbers_arrive_to_a_65000th_of_their_range() -> None:
    data = np.random.default_rng(0).normal(0, 1e-3, 1000).astype(np.float32)
    error = np.abs(restored(data) - data).max()
    assert error <= np.ptp(data) / 65_535


def test_the_file_holds_i_fastest(tmp_path: Path) -> None:
    data = np.arange(2 * 3 * 4, dtype=np.int16).reshape(2, 3, 4)
    volume = load_volume(write_scan(tmp_path / "scan.nii.gz", data, (1, 2, 3)))
    payload = scan_payload(volume, "id", "scan", tmp_path)
    stored = np.frombuffer(gzip.decompress(Path(payload["file"]["path"]).read_bytes()), "<i2")
    np.testing.assert_array_equal(stored.reshape(data.shape, order="F"), data)
    assert payload["shape"] == [2, 3, 4]
    np.testing.assert_allclose(payload["spacing"], [1, 2, 3])
    np.testing.assert_allclose(payload["affine"], np.diag([1, 2, 3, 1]))


@pytest.mark.parametrize("dtype", [np.float32, np.int16, np.uint16])
def test_writing_the_file_takes_little_memory_beside_the_scan(tmp_path: Path, dtype: Any) -> None:
    data = np.broadcast_to(np.arange(100, dtype=dtype) / 3, (300, 200, 100)).astype(dtype)
    volume = load_volume(write_scan(tmp_path / "scan.nii", data))
    tracemalloc.start()
    try:
        scan_payload(volume, "id", "scan", tmp_path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 36 * 2**20, "a million voxels at a time"
    assert data.size == 6_000_000


def test_the_window_of_an_mr_scan_ignores_the_background_and_a_bright_speck() -> None:
    data = np.zeros((40, 40, 40))
    data[10:30, 10:30, 10:30] = np.random.default_rng(0).uniform(300, 500, (20, 20, 20))
    data[0, 0, 0] = 10_000
    (window,) = display_windows(data)
    assert window["name"] == "Auto"
    assert 290 < window["low"] < 320
    assert 480 < window["high"] < 510


def test_a_ct_scan_starts_with_the_soft_tissue_window() -> None:
    data = np.full((30, 30, 30), -1000.0)
    data[5:25, 5:25, 5:25] = 50
    names = {window["name"]: window for window in display_windows(data)}
    assert next(iter(names)) == "Soft tissue"
    assert (names["Soft tissue"]["low"], names["Soft tissue"]["high"]) == (-160, 240)
    assert {"Lung", "Bone", "Auto"} <= set(names)


def test_a_constant_scan_has_a_window() -> None:
    (window,) = display_windows(np.full((3, 3, 3), 5.0))
    assert window["high"] > window["low"]


def test_a_scan_of_two_values_shows_both() -> None:
    data = np.full((9, 9, 9), 20)
    data[4, 4, 4] = 90
    (window,) = display_windows(data)
    assert (window["low"], window["high"]) == (20, 90)
