"""One DICOM image: the header values that decide where it belongs."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from pydicom.filereader import read_file_meta_info
from pydicom.uid import DeflatedExplicitVRLittleEndian

from caiseg.errors import InvalidInput
from caiseg.reading.scan import FloatArray

_TAGS = [
    "SeriesInstanceUID",
    "SeriesDescription",
    "SOPInstanceUID",
    "InstanceNumber",
    "Rows",
    "Columns",
    "NumberOfFrames",
    "PhotometricInterpretation",
    "BitsAllocated",
    "PixelRepresentation",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "PixelSpacing",
    "SpacingBetweenSlices",
    "SliceThickness",
    "RescaleSlope",
    "RescaleIntercept",
]


# pydicom quotes values that it finds odd, on the terminal and so in a server's log, and they may be
# a patient's. What matters of them is checked here.
pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
warnings.filterwarnings("ignore", module="pydicom")


@dataclass(frozen=True, eq=False)
class Slice:
    """What the header of one DICOM file says; the pixels stay in the file.

    Attributes:
        path: The file.
        series: Series instance UID.
        description: Series description, or an empty string.
        uid: SOP instance UID, which tells the same image twice from two images.
        number: Instance number, the order in which images of one place were taken.
        has_pixels: Whether the file holds an image at all.
        header: The parsed header.
    """

    path: Path
    series: str
    description: str
    uid: str
    number: int
    has_pixels: bool
    header: pydicom.Dataset

    @property
    def size(self) -> tuple[int, int]:
        """Number of columns and rows."""
        return int(self.header.get("Columns", 0)), int(self.header.get("Rows", 0))

    @property
    def position(self) -> FloatArray:
        """Centre of the first pixel in mm, LPS."""
        return self._numbers("ImagePositionPatient", 3)

    @property
    def orientation(self) -> FloatArray:
        """Unit vectors, one a row of ``(2, 3)``, along which columns and rows are counted; LPS."""
        return self._numbers("ImageOrientationPatient", 6).reshape(2, 3)

    @property
    def normal(self) -> FloatArray:
        """Unit vector perpendicular to the image, LPS."""
        normal: FloatArray = np.cross(*self.orientation)
        return normal

    @property
    def pixel_spacing(self) -> FloatArray:
        """Distance between columns and between rows in mm; DICOM stores them the other way."""
        return self._numbers("PixelSpacing", 2)[::-1]

    @property
    def thickness(self) -> float | None:
        """Distance to a neighbouring slice in mm, as far as one header tells."""
        for tag in ("SpacingBetweenSlices", "SliceThickness"):
            if self.header.get(tag):
                return abs(float(self._numbers(tag, 1)[0]))
        return None

    @property
    def scaling(self) -> tuple[float, float]:
        """Slope and intercept from stored to measured values."""
        slope, intercept = self.header.get("RescaleSlope"), self.header.get("RescaleIntercept")
        return float(1 if slope is None else slope), float(0 if intercept is None else intercept)

    @property
    def pixel_type(self) -> tuple[int, bool]:
        """Bits of a stored value, and whether it is signed."""
        bits = int(self.header.get("BitsAllocated", 0))
        return bits, bool(self.header.get("PixelRepresentation", 0))

    def check_plain(self) -> None:
        """Refuse images that are no single grey-scale slice.

        Raises:
            InvalidInput: The file holds colours or several frames.
        """
        colours = str(self.header.get("PhotometricInterpretation", "MONOCHROME2"))
        if not colours.startswith("MONOCHROME"):
            raise InvalidInput("The DICOM images are in colour; zip a grey-scale series.")
        if int(self.header.get("NumberOfFrames") or 1) != 1:
            raise InvalidInput(
                "The DICOM file holds many frames at once (enhanced DICOM), which is not read; "
                "convert the series to NIfTI, with dcm2niix for example."
            )

    def _numbers(self, tag: str, count: int) -> FloatArray:
        try:
            values = np.array(self.header[tag].value, dtype=np.float64).reshape(count)
        except (KeyError, TypeError, ValueError):
            values = np.full(count, np.nan)
        if not np.isfinite(values).all():
            raise InvalidInput(
                f"A DICOM image does not say where it lies (no valid {tag}); export the series "
                "again, or convert it to NIfTI."
            )
        return values


def read_slice(path: Path) -> Slice:
    """Read the header of a DICOM file.

    Raises:
        InvalidInput: The file is compressed as a whole, header and all.
    """
    syntax = read_file_meta_info(path).get("TransferSyntaxUID")
    # pydicom would inflate such a file without any limit.
    if syntax == DeflatedExplicitVRLittleEndian:
        raise InvalidInput(
            "The DICOM files are deflated, which is not read; convert the series to NIfTI."
        )
    with path.open("rb") as file:
        header = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=list(_TAGS))
        # The reader stops in front of the pixels, or at the end where there are none.
        has_pixels = bool(file.read(1))
    return Slice(
        path=path,
        series=str(header.get("SeriesInstanceUID", "")),
        description=str(header.get("SeriesDescription", "")),
        uid=str(header.get("SOPInstanceUID", path.name)),
        number=int(header.get("InstanceNumber") or 0),
        has_pixels=has_pixels,
        header=header,
    )
