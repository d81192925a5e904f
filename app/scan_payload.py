"""A scan on its way to the browser: int16 voxels, gzipped once, and what is needed to show them."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from caiseg import Volume
from caiseg.modality import in_hounsfield_units

_INT16 = np.iinfo(np.int16)

# Level and width in Hounsfield units, as radiology workstations name them.
_CT_WINDOWS = {
    "Soft tissue": (40, 400),
    "Lung": (-600, 1500),
    "Bone": (400, 1800),
    "Brain": (40, 80),
    "Liver": (60, 160),
}

# Enough voxels for a percentile that nobody can tell from the exact one.
_SAMPLE = 1_000_000

# Voxels that are stored together, so that memory stays small beside the scan.
_AT_ONCE = 1 << 20


def scan_payload(volume: Volume, scan_id: str, name: str, folder: Path) -> dict[str, Any]:
    """Write the voxels into ``folder`` and describe the scan for the viewer.

    Args:
        volume: The scan.
        scan_id: Names the scan in messages.
        name: Its name, for the person.
        folder: A folder inside Gradio's cache; the voxel file is served from there.

    Returns:
        A JSON document. ``file`` holds gzipped little-endian int16, ``i`` fastest, of
        ``(value - intercept) / slope``; ``affine`` maps voxels to RAS+ mm, row by row.
    """
    quantisation = Quantisation.of(volume.data)
    path = folder / "voxels.gz"
    # Level 1: the person waits for this, and noise does not compress better at level 9.
    with gzip.GzipFile(path, "wb", compresslevel=1, mtime=0) as file:
        for part in _parts(volume.data, "F"):
            file.write(quantisation.stored(part).data)
    return {
        "id": scan_id,
        "name": name,
        "shape": list(volume.shape),
        "spacing": [float(step) for step in volume.spacing],
        "affine": [[float(value) for value in row] for row in volume.affine],
        "slope": quantisation.slope,
        "intercept": quantisation.intercept,
        "windows": display_windows(volume.data),
        "notices": list(volume.notices),
        "file": {"path": str(path), "meta": {"_type": "gradio.FileData"}},
    }


@dataclass(frozen=True, slots=True)
class Quantisation:
    """How intensities are stored in 16 bits, so that ``data ≈ stored * slope + intercept``.

    Attributes:
        slope: Above 0.
        intercept: In the unit of the intensities.
    """

    slope: float
    intercept: float

    @classmethod
    def of(cls, data: NDArray[Any]) -> Quantisation:
        """The one for a scan; whole numbers that fit, such as Hounsfield units, are kept exactly.

        Args:
            data: Finite intensities ``(I, J, K)``.
        """
        low, high = float(data.min()), float(data.max())
        if _is_integral(data):
            if low >= _INT16.min and high <= _INT16.max:
                return cls(1.0, 0.0)
            if high - low <= _INT16.max - _INT16.min:
                return cls(1.0, low - _INT16.min)
        # A scan of one value has no range to divide.
        slope = (high - low) / (_INT16.max - _INT16.min) or 1.0
        return cls(slope, low - slope * _INT16.min)

    def stored(self, data: NDArray[Any]) -> NDArray[np.int16]:
        """Intensities as little-endian int16."""
        if (self.slope, self.intercept) == (1.0, 0.0):
            return data.astype("<i2")
        return np.rint((data.astype(np.float64) - self.intercept) / self.slope).astype("<i2")


def _is_integral(data: NDArray[Any]) -> bool:
    if np.issubdtype(data.dtype, np.integer):
        return True
    return all(bool(np.all(part == np.rint(part))) for part in _parts(data, "C"))


def _parts(data: NDArray[Any], order: Literal["C", "F"]) -> Iterator[NDArray[Any]]:
    """All voxels in an order, some at a time; each part is good until the next one."""
    yield from np.nditer(
        data, flags=["external_loop", "buffered"], order=order, buffersize=_AT_ONCE
    )  # fmt: skip


def display_windows(data: NDArray[Any]) -> list[dict[str, Any]]:
    """Grey-level windows to offer, the one to start with first.

    ``Auto`` spans the 1st to the 99.8th percentile of what is brighter than the background. Data
    in Hounsfield units get the usual CT windows too.
    """
    sample = data.ravel()[:: max(1, data.size // _SAMPLE)]
    darkest, brightest = float(sample.min()), float(sample.max())
    low, high = darkest, max(brightest, darkest + 1)
    inside = sample[sample > darkest]
    if inside.size and np.ptp(inside) > 0:
        low, high = (float(value) for value in np.percentile(inside, (1, 99.8)))
    automatic = {"name": "Auto", "low": low, "high": high}
    if not in_hounsfield_units(sample):
        return [automatic]
    presets = [
        {"name": name, "low": level - width / 2, "high": level + width / 2}
        for name, (level, width) in _CT_WINDOWS.items()
    ]
    return [*presets, automatic]
