"""Whatever the bytes of a file are: one sentence, or the scan and the masks that others read in it.

About 2,300 files in all.
"""

from __future__ import annotations

import faulthandler
import gzip
import os
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st

from caiseg.errors import InvalidInput
from caiseg.volume import Volume, load_volume
from tests.caiseg.scan_files import dicom_bytes, dicom_slice, itk_image, voxels, write_nifti

Edit = tuple[float, int, bytes]
Files = dict[str, bytes]
"""Contents of the files of one scan by name, the one to open first."""
Scan = tuple[npt.NDArray[Any], npt.NDArray[np.float64], float]
"""Values ``(I, J, K)``, RAS+ affine, and how many mm its unit has."""

SECONDS = 120
"""No file of a few hundred bytes takes nearly as long, whatever else the machine does."""

changes = st.lists(
    st.one_of(
        st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 4), st.binary(max_size=4)),
        # In place, so that what follows keeps its meaning.
        st.builds(
            lambda place, put: (place, len(put), put),
            st.floats(0, 1, exclude_max=True),
            st.binary(min_size=1, max_size=4),
        ),
    ),
    min_size=1,
    max_size=4,
)
"""Each: a place relative to the length, how many bytes go there, and what takes their place."""


def damaged(content: bytes, edits: list[Edit], reach: int) -> bytes:
    for place, removed, inserted in edits:
        start = int(place * min(len(content), reach))
        content = content[:start] + inserted + content[start + removed :]
    return content


@contextmanager
def watched(terminal: int) -> Iterator[None]:
    """End everything with a traceback when this takes for ever, in code that is not Python too."""
    faulthandler.dump_traceback_later(SECONDS, exit=True, file=terminal)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()


@pytest.fixture(scope="module")
def terminal(request: pytest.FixtureRequest) -> Iterator[int]:
    """Where a traceback is seen although pytest collects what is printed."""
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        copy = os.dup(2)
    yield copy
    os.close(copy)


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Files]:
    folder = tmp_path_factory.mktemp("originals")
    write_nifti(folder / "scan.nii", fields={"scl_slope": 0.5, "scl_inter": -3})
    write_nifti(folder / "two.nii", header_class=nib.Nifti2Header)
    big = nib.Nifti1Image(voxels(dtype=np.float32), np.diag([-2.0, 1.5, 3.0, 1.0]))
    (folder / "big.nii").write_bytes(
        nib.Nifti1Image(
            big.get_fdata().astype(">f4"), big.affine, big.header.as_byteswapped(">")
        ).to_bytes()
    )
    for name in ("scan.nrrd", "scan.mha"):
        sitk.WriteImage(itk_image(), str(folder / name), useCompression=True)
    sitk.WriteImage(itk_image(), str(folder / "plain.nrrd"))
    sitk.WriteImage(itk_image(), str(folder / "pair.mhd"))
    made = {path.name: {path.name: path.read_bytes()} for path in folder.iterdir()}
    made["pair.mhd"] |= made.pop("pair.raw")
    return made


def read_by_nibabel(path: Path) -> Scan:
    image = nib.load(path)
    # It warns of a value beyond 64 bits, which a damaged header may ask for in 128, and of a NaN
    # that signals.
    with np.errstate(over="ignore", invalid="ignore"):
        data = np.asarray(image.dataobj, dtype=np.float64)
    first = data.reshape((*image.shape[:3], -1), order="F")[..., 0]
    # The lower three bits; of what has no name nothing is known.
    unit = {1: 1e3, 3: 1e-3}.get(int(image.header["xyzt_units"]) % 8, 1.0)
    return first.reshape((*first.shape, 1)[:3]), image.affine, unit


def read_by_simpleitk(path: Path) -> Scan:
    image = sitk.ReadImage(str(path))
    data = sitk.GetArrayFromImage(image).astype(np.float64)
    data = data[0] if data.ndim == 4 else data
    used, dimensions = min(3, image.GetDimension()), image.GetDimension()
    axes = np.reshape(image.GetDirection(), (dimensions, dimensions)) * image.GetSpacing()
    affine = np.eye(4)
    affine[:used, :used] = axes[:used, :used]
    affine[:used, 3] = image.GetOrigin()[:used]
    affine[:2] *= -1
    first = data.transpose()
    return first.reshape((*first.shape, 1)[:3]), affine, 1.0


def check_alike(volume: Volume, expected: Scan, folder: Path) -> None:
    """The scan has the values that others read, and a mask of it lies where they see them."""
    _, affine, millimetres = expected
    placed = volume.reorientation.native.affine[:3]
    np.testing.assert_allclose(placed, affine[:3] * millimetres, rtol=1e-5, atol=1e-4)
    with np.errstate(over="ignore"):
        values = expected[0].astype(np.float32).astype(np.float64)
    finite = np.isfinite(values)
    values = np.where(finite, values, values[finite].min())
    read = volume.to_native(volume.data)
    tolerance = 1e-5 * np.abs(values).max()
    np.testing.assert_allclose(read, values, rtol=1e-5, atol=tolerance)

    # Of float32 the sum may be beyond what it can hold.
    middle = volume.data.mean(dtype=np.float64)
    bright = volume.data > middle
    volume.save_mask(bright, folder / "mask.nii")
    mask = nib.load(folder / "mask.nii")
    written = np.asarray(mask.dataobj).reshape(values.shape) > 0
    np.testing.assert_array_equal(written, read > middle)
    np.testing.assert_allclose(mask.affine, affine, rtol=1e-5, atol=1e-4)


def check(files: Files, terminal: int, read: Callable[[Path], Scan] | None) -> bool:
    """Whether a scan is read; it must be the one that others read in its file."""
    with tempfile.TemporaryDirectory() as name, watched(terminal):
        folder = Path(name)
        for file, content in files.items():
            (folder / file).write_bytes(content)
        path = folder / next(iter(files))
        try:
            volume = load_volume(path)
        except InvalidInput:
            return False
        assert np.isfinite(volume.data).all()
        assert np.isfinite(volume.affine).all()
        if read is not None:
            check_alike(volume, read(path), folder)
        return True


@pytest.mark.parametrize(
    ("name", "zipped", "files"),
    [
        ("scan.nii", False, 350),
        ("scan.nii", True, 250),
        ("two.nii", False, 300),
        ("big.nii", False, 300),
        ("scan.nrrd", False, 200),
        ("plain.nrrd", False, 250),
        ("scan.mha", False, 200),
        ("pair.mhd", False, 300),
    ],
)
def test_a_damaged_scan_is_refused_or_read_as_others_read_it(
    originals: dict[str, Files], terminal: int, name: str, zipped: bool, files: int
) -> None:
    read = read_by_nibabel if name.endswith(".nii") else read_by_simpleitk
    outcomes = []

    @settings(max_examples=files, deadline=None)
    @given(edits=changes, reach=st.sampled_from([400, 10**9]), second=st.booleans())
    def one(edits: list[Edit], reach: int, second: bool) -> None:
        content = dict(originals[name])
        hurt = list(content)[-1 if second else 0]
        content[hurt] = damaged(content[hurt], edits, reach)
        if zipped:
            content = {f"{name}.gz": gzip.compress(content[name], mtime=0)}
        outcomes.append(check(content, terminal, read))

    one()
    assert any(outcomes), "some damage is harmless"
    assert not all(outcomes)


@settings(max_examples=150, deadline=None)
@given(edits=changes, name=st.sampled_from(["scan.nii", "two.nii", "big.nii"]))
def test_a_damaged_gzip_file_is_read_or_refused(
    originals: dict[str, Files], terminal: int, edits: list[Edit], name: str
) -> None:
    packed = gzip.compress(originals[name][name], mtime=0)
    check({f"{name}.gz": damaged(packed, edits, 10**9)}, terminal, read_by_nibabel)


@settings(max_examples=150, deadline=None)
@given(edits=changes, which=st.integers(0, 2))
@pytest.mark.filterwarnings("ignore::UserWarning:pydicom")
def test_a_damaged_series_is_read_or_refused(terminal: int, edits: list[Edit], which: int) -> None:
    with tempfile.TemporaryFile() as file:
        with zipfile.ZipFile(file, "w") as archive:
            for index in range(3):
                content = dicom_bytes(dicom_slice(index))
                if index == which:
                    content = damaged(content, edits, 10**9)
                archive.writestr(f"{index}.dcm", content)
        file.seek(0)
        check({"ct.zip": file.read()}, terminal, None)


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.nrrd", "a.mha", "a.mhd", "a.zip"])
@settings(max_examples=10, deadline=None)
@given(content=st.binary(max_size=400))
def test_any_bytes_are_refused(terminal: int, name: str, content: bytes) -> None:
    assert not check({name: content}, terminal, None)
