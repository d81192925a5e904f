"""The CSV manifest: the general format for anyone's labelled scans."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from caiseg.errors import InvalidInput
from caiseg.volume import Volume, load_volume

COLUMNS = ("case", "patient", "image", "mask", "split")


@dataclass(frozen=True)
class Case:
    """One labelled scan.

    Attributes:
        name: Unique in the manifest.
        patient: Cases of one patient never lie in two splits.
        image: Path of the scan.
        mask: Path of its mask, on the same grid.
        split: ``train``, ``val`` or any other name.
    """

    name: str
    patient: str
    image: Path
    mask: Path
    split: str

    def load(
        self, label_values: Iterable[int] | None = None
    ) -> tuple[Volume, npt.NDArray[np.bool_]]:
        """Read the scan and its lesion mask, both on the display grid.

        Args:
            label_values: Mask values that are lesion; all above 0 when left out.

        Raises:
            InvalidInput: A file cannot be read, or the two do not share a grid.
        """
        try:
            volume = load_volume(self.image)
            labels = load_volume(self.mask)
        except InvalidInput as error:
            raise InvalidInput(f"Case {self.name}: {error}") from error
        if not volume.grid.coincides_with(labels.grid):
            raise InvalidInput(
                f"Case {self.name}: the mask {self.mask} lies on another grid than the scan "
                f"{self.image}; resample one to the other."
            )
        if label_values is None:
            return volume, labels.data > 0
        return volume, np.isin(labels.data, list(label_values))


def read_manifest(path: Path) -> list[Case]:
    """Read a manifest; paths in it are relative to the file.

    Raises:
        InvalidInput: The file is missing or malformed, a case is listed twice, or a patient
            appears in more than one split.
    """
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            reader = csv.DictReader(stream)
            missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
            if missing:
                raise InvalidInput(
                    f"Manifest {path} lacks the column {missing[0]}; it needs {', '.join(COLUMNS)}."
                )
            rows = list(reader)
    except OSError as error:
        raise InvalidInput(f"Manifest {path} cannot be read: {error.strerror}.") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise InvalidInput(f"Manifest {path} is not a CSV text file: {error}.") from error
    if not rows:
        raise InvalidInput(f"Manifest {path} lists no case.")
    cases = [_case(path, line, row) for line, row in enumerate(rows, start=2)]
    _check_unique(path, cases)
    return cases


def select(cases: Iterable[Case], split: str) -> list[Case]:
    """The cases of one split, in manifest order.

    Raises:
        InvalidInput: There is none.
    """
    chosen = [case for case in cases if case.split == split]
    if not chosen:
        raise InvalidInput(f"The manifest has no case of the split '{split}'.")
    return chosen


def split_hash(cases: Iterable[Case]) -> str:
    """Which case is in which split, as a short hash that does not depend on row order."""
    lines = sorted(f"{case.name},{case.patient},{case.split}" for case in cases)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def _case(path: Path, line: int, row: dict[str, str | None]) -> Case:
    values = {name: (row[name] or "").strip() for name in COLUMNS}
    empty = [name for name, value in values.items() if not value]
    if empty:
        raise InvalidInput(f"Manifest {path}, line {line}: the column {empty[0]} is empty.")
    folder = path.parent
    return Case(
        values["case"], values["patient"], folder / values["image"], folder / values["mask"],
        values["split"],
    )  # fmt: skip


def _check_unique(path: Path, cases: list[Case]) -> None:
    seen: set[str] = set()
    splits: dict[str, str] = {}
    for case in cases:
        if case.name in seen:
            raise InvalidInput(f"Manifest {path} lists the case {case.name} twice.")
        seen.add(case.name)
        if splits.setdefault(case.patient, case.split) != case.split:
            raise InvalidInput(
                f"Manifest {path}: patient {case.patient} is in the splits "
                f"{splits[case.patient]} and {case.split}; keep a patient in one split."
            )
