"""Compressed DICOM images: decoded, unless they announce another size than their header."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from pydicom.encaps import encapsulate, get_frame
from pydicom.uid import (
    HEVCMP51,
    UID,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
)

from caiseg.errors import InvalidInput
from caiseg.volume import load_volume
from tests.caiseg.codestreams import frame_ls, jpeg, jpeg_2000, jpeg_ls, segment
from tests.caiseg.scan_files import dicom_slice, write_series
from train.benchmark.memory import PeakMemory

HUGE = (20_000, 20_000)
ROWS, COLUMNS = 4, 6


def compressed(
    *fragments: bytes, syntax: UID, rows: int = ROWS, columns: int = COLUMNS
) -> pydicom.Dataset:
    bits = 8 if syntax == JPEGBaseline8Bit else 16
    dataset = dicom_slice(
        0, Rows=rows, Columns=columns, BitsAllocated=bits, BitsStored=bits, HighBit=bits - 1
    )
    dataset.PixelRepresentation = int(bits == 16)
    dataset.PixelData = encapsulate(list(fragments))
    dataset["PixelData"].VR = "OB"
    dataset.file_meta.TransferSyntaxUID = syntax
    return dataset


@pytest.mark.parametrize(
    ("compressor", "syntax"), [("JPEG2000", JPEG2000Lossless), ("JPEG", JPEGLosslessSV1)]
)
def test_what_others_have_compressed_is_decoded(
    tmp_path: Path, compressor: str, syntax: UID
) -> None:
    pixels = np.random.default_rng(0).integers(-900, 900, (16, 20)).astype(np.int16)
    writer = sitk.ImageFileWriter()
    writer.SetFileName(str(tmp_path / "one.dcm"))
    writer.SetImageIO("GDCMImageIO")
    writer.UseCompressionOn()
    writer.SetCompressor(compressor)
    writer.Execute(sitk.GetImageFromArray(pixels[np.newaxis]))
    written = pydicom.dcmread(tmp_path / "one.dcm")
    assert written.file_meta.TransferSyntaxUID == syntax
    frame = get_frame(written.PixelData, 0, number_of_frames=1)
    whole, parts = (compressed(frame, syntax=syntax, rows=16, columns=20) for _ in range(2))
    parts.PixelData = encapsulate([frame], fragments_per_frame=2)
    for dataset in (whole, parts):
        volume = load_volume(write_series(tmp_path / "ct.zip", [dataset]))
        np.testing.assert_array_equal(volume.to_native(volume.data)[:, :, 0], pixels.T)


@pytest.mark.parametrize(
    ("image", "syntax"),
    [
        (jpeg(ROWS, COLUMNS), JPEGBaseline8Bit),
        (b"\xff\xd8\xff\xff" + jpeg(ROWS, COLUMNS)[3:], JPEGBaseline8Bit),
        (jpeg_2000(ROWS, COLUMNS), JPEG2000Lossless),
    ],
)
def test_images_made_by_hand_are_decoded(tmp_path: Path, image: bytes, syntax: UID) -> None:
    """Or the refusals below would say nothing."""
    volume = load_volume(write_series(tmp_path / "ct.zip", [compressed(image, syntax=syntax)]))
    assert volume.native.shape == (COLUMNS, ROWS, 1)


@pytest.mark.parametrize(
    ("fragments", "syntax", "words"),
    [
        ([jpeg(*HUGE)], JPEGBaseline8Bit, "not of the size"),
        ([jpeg(0, COLUMNS)], JPEGBaseline8Bit, "not of the size"),
        ([jpeg(ROWS, COLUMNS, samples=3)], JPEGBaseline8Bit, "not of the size"),
        ([jpeg_ls(*HUGE)], JPEGLSLossless, "not of the size"),
        ([jpeg_ls(ROWS, COLUMNS, again=frame_ls(*HUGE))], JPEGLSLossless, "damaged"),
        ([jpeg_2000(*HUGE)], JPEG2000Lossless, "not of the size"),
        ([jpeg_2000(ROWS, COLUMNS, samples=16_000)], JPEG2000Lossless, "not of the size"),
        ([jpeg_2000(ROWS, COLUMNS, tile=(0, 1))], JPEG2000Lossless, "damaged"),
        ([jpeg(ROWS, COLUMNS)[:30]], JPEGBaseline8Bit, "damaged"),
        ([jpeg_2000(ROWS, COLUMNS)[:30]], JPEG2000Lossless, "damaged"),
        ([jpeg_2000(ROWS, COLUMNS)], JPEGBaseline8Bit, "damaged"),
        ([jpeg(ROWS, COLUMNS)], JPEG2000Lossless, "damaged"),
        ([b"\xff\xd8" + segment(0xE0, b"") + bytes(40)], JPEGBaseline8Bit, "damaged"),
        ([jpeg(ROWS, COLUMNS)], HEVCMP51, "dcm2niix"),
    ],
)
def test_an_image_that_is_not_what_its_header_says_takes_no_memory(
    tmp_path: Path, fragments: list[bytes], syntax: UID, words: str
) -> None:
    path = write_series(tmp_path / "bomb.zip", [compressed(*fragments, syntax=syntax)])
    assert path.stat().st_size < 2000
    with PeakMemory() as memory, pytest.raises(InvalidInput, match=words):
        load_volume(path)
    assert memory.mebibytes < 50


def test_a_large_image_in_tiny_tiles_takes_no_memory(tmp_path: Path) -> None:
    image = jpeg_2000(512, 512, tile=(2, 3))
    bomb = compressed(image, syntax=JPEG2000Lossless, rows=512, columns=512)
    path = write_series(tmp_path / "bomb.zip", [bomb])
    with PeakMemory() as memory, pytest.raises(InvalidInput, match="not of the size"):
        load_volume(path)
    assert memory.mebibytes < 50


def test_a_second_image_behind_the_first_is_not_decoded(tmp_path: Path) -> None:
    bomb = compressed(jpeg(ROWS, COLUMNS), jpeg(*HUGE), syntax=JPEGBaseline8Bit)
    with PeakMemory() as memory:
        volume = load_volume(write_series(tmp_path / "bomb.zip", [bomb]))
    assert volume.native.shape == (COLUMNS, ROWS, 1)
    assert memory.mebibytes < 50
