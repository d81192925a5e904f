"""Scans in transit go with the process that needed them, however it ended."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from caiseg.private_folders import delete_abandoned, private_folder
from tests.caiseg.scan_files import dicom_slice, write_series

# Unpacks an archive and is held in the middle of it.
READER = """
import sys
from pathlib import Path
from caiseg.reading import Limits, dicom

def hold(path):
    print("reading", flush=True)
    sys.stdin.read()

dicom.read_slice = hold
dicom.read_dicom_archive(Path(sys.argv[1]), series=None, volume_index=None, limits=Limits(10**6))
"""


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of all temporary files."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.setenv("TMPDIR", str(folder))
    return folder


@contextmanager
def reader(archive: Path, repository: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", READER, str(archive)],
        cwd=repository,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "reading\n"
        yield process
        process.kill()


def test_a_folder_is_private_and_goes_at_the_end(scratch: Path) -> None:
    with private_folder() as folder:
        (folder / "scan").touch()
        assert folder.parent.stat().st_mode & 0o077 == 0
        assert list(scratch.iterdir()) == [folder.parent]
    assert list(scratch.iterdir()) == []


def test_an_unpacked_archive_goes_when_its_reader_was_killed_and_not_before(
    scratch: Path, tmp_path: Path, repository: Path
) -> None:
    archive = write_series(tmp_path / "ct.zip", [dicom_slice(0)])
    with reader(archive, repository) as process, private_folder() as own:
        (unpacked,) = scratch.rglob("*.dcm")
        delete_abandoned()
        assert unpacked.is_file()
        process.kill()
        process.wait()
        assert unpacked.is_file(), "a killed process deletes nothing"
        delete_abandoned()
        assert list(scratch.iterdir()) == [own.parent]


def test_what_others_have_put_there_stays(scratch: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "lock").touch()
    (scratch / "caiseg-link").symlink_to(kept)
    (scratch / "caiseg-results").mkdir()
    (scratch / "caiseg-notes.txt").touch()
    delete_abandoned()
    names = ["caiseg-link", "caiseg-notes.txt", "caiseg-results"]
    assert sorted(path.name for path in scratch.iterdir()) == names
    assert (kept / "lock").is_file()
