"""Whatever the bytes of a file are, reading it gives a finite scan or one sentence.

More than 2,000 files in all.
"""

from __future__ import annotations

import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st

from caiseg.errors import InvalidInput
from caiseg.volume import load_volume
from tests.caiseg.scan_files import dicom_bytes, dicom_slice, itk_image, write_nifti

Edit = tuple[float, int, bytes]

edits = st.lists(
    st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 4), st.binary(max_size=4)),
    min_size=1,
    max_size=6,
)
"""Each: a place relative to the length, how many bytes go there, and what takes their place."""


def damaged(content: bytes, changes: list[Edit], *, header_only: bool) -> bytes:
    for place, removed, inserted in changes:
        start = int(place * (min(len(content), 400) if header_only else len(content)))
        content = content[:start] + inserted + content[start + removed :]
    return content


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("originals")
    for name in ("scan.nii", "scan.nii.gz"):
        write_nifti(folder / name)
    for name in ("scan.nrrd", "scan.mha"):
        sitk.WriteImage(itk_image(), str(folder / name), useCompression=True)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def check(path: Path) -> None:
    try:
        volume = load_volume(path)
    except InvalidInput:
        return
    assert np.isfinite(volume.data).all()
    assert np.isfinite(volume.affine).all()


@pytest.mark.parametrize("name", ["scan.nii", "scan.nii.gz", "scan.nrrd", "scan.mha"])
@settings(max_examples=350, deadline=None)
@given(changes=edits, header_only=st.booleans())
def test_a_damaged_scan_is_read_or_refused(
    originals: dict[str, bytes], name: str, changes: list[Edit], header_only: bool
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name)
        path.write_bytes(damaged(originals[name], changes, header_only=header_only))
        check(path)


@settings(max_examples=150, deadline=None)
@given(changes=edits, which=st.integers(0, 2))
@pytest.mark.filterwarnings("ignore::UserWarning:pydicom")
def test_a_damaged_series_is_read_or_refused(changes: list[Edit], which: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "ct.zip")
        with zipfile.ZipFile(path, "w") as archive:
            for index in range(3):
                content = dicom_bytes(dicom_slice(index))
                if index == which:
                    content = damaged(content, changes, header_only=False)
                archive.writestr(f"{index}.dcm", content)
        check(path)


@given(content=st.binary(max_size=400))
@settings(max_examples=80, deadline=None)
def test_any_bytes_are_refused(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name in ("a.nii", "a.nii.gz", "a.nrrd", "a.mha", "a.mhd", "a.zip"):
            path = Path(folder, name)
            path.write_bytes(content)
            with pytest.raises(InvalidInput):
                load_volume(path)
