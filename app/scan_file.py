"""The file that a scan is read from, and which of its volumes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from caiseg import Volume, load_volume
from caiseg.reading import SUFFIXES


@dataclass(frozen=True, slots=True)
class ScanFile:
    """A scan in a folder of its own, to be read now and again after an eviction.

    Attributes:
        path: The file.
        series: UID of the DICOM series; none where there is only one.
        volume: Which volume of a 4-D scan, from 0; none where nobody has chosen.
        max_bytes: Memory that reading it may take; none where that has no limit.
    """

    path: Path
    series: str | None = None
    volume: int | None = None
    max_bytes: int | None = None

    @property
    def folder(self) -> Path:
        """The folder, which holds nothing else and is deleted with the scan."""
        return self.path.parent

    @property
    def name(self) -> str:
        """The file's name without its suffix."""
        name = self.path.name
        suffix = next((s for s in SUFFIXES if name.lower().endswith(s)), self.path.suffix)
        return name[: len(name) - len(suffix)] or name

    def load(self) -> Volume:
        """Read it.

        Raises:
            SeveralSeries: It holds several DICOM series, and none was chosen.
            InvalidInput: It cannot be used.
        """
        return load_volume(
            self.path, series=self.series, volume_index=self.volume, max_bytes=self.max_bytes
        )
