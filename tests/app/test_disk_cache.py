"""Files that nobody needs leave the disk; those of open scans stay."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from app.disk_cache import GRACE_SECONDS, KEEP_SECONDS, DiskCache

NOW = 1_000_000.0


@pytest.fixture
def cache(tmp_path: Path) -> DiskCache:
    return DiskCache(tmp_path, budget_bytes=250, clock=lambda: NOW)


def put(path: Path, age: float, size: int = 100) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(size))
    for changed in (path, path.parent):
        os.utime(changed, (NOW - age, NOW - age))
    return path


def test_old_files_go_with_their_folders_and_new_ones_stay(
    cache: DiskCache, tmp_path: Path
) -> None:
    old = put(tmp_path / "a" / "scan.nii.gz", KEEP_SECONDS + 1)
    new = put(tmp_path / "b" / "scan.nii.gz", KEEP_SECONDS - 1)
    cache.sweep(())
    assert not old.parent.exists()
    assert new.exists()


def test_beyond_the_budget_the_oldest_goes_first(cache: DiskCache, tmp_path: Path) -> None:
    files = [put(tmp_path / str(n) / "scan.nii.gz", 3000 - n) for n in range(4)]
    assert cache.nbytes == 400
    cache.sweep(())
    assert [file.exists() for file in files] == [False, False, True, True]


def test_what_has_just_arrived_stays_whatever_the_budget(cache: DiskCache, tmp_path: Path) -> None:
    file = put(tmp_path / "a" / "scan.nii.gz", GRACE_SECONDS - 1, size=1000)
    cache.sweep(())
    assert file.exists()


def test_the_files_of_open_scans_stay_but_not_their_downloads(
    cache: DiskCache, tmp_path: Path
) -> None:
    scan = put(tmp_path / "open" / "scan.nii.gz", 10 * KEEP_SECONDS, size=1000)
    download = put(scan.parent / "tmp1" / "mask.nii.gz", KEEP_SECONDS + 1)
    cache.sweep([scan.parent])
    assert scan.exists()
    assert not download.exists()


def test_a_file_with_two_names_counts_once_and_one_name_may_go(
    cache: DiskCache, tmp_path: Path
) -> None:
    upload = put(tmp_path / "upload" / "scan.nii.gz", KEEP_SECONDS + 1)
    (tmp_path / "open").mkdir()
    os.link(upload, tmp_path / "open" / "scan.nii.gz")
    assert cache.nbytes == 100
    cache.sweep([tmp_path / "open"])
    assert not upload.exists()
    assert (tmp_path / "open" / "scan.nii.gz").stat().st_size == 100
