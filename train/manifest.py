"""The CSV manifest: the general format for anyone's labelled scans."""

from __future__ import annotations

import csv
import hashlib
import io
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from caiseg.errors import InvalidInput
from caiseg.volume import Volume, load_volume
from train.files import replacing

COLUMNS = ("case", "patient", "image", "mask", "split")
OPTIONAL_COLUMNS = ("channel", "modality")

MAX_LABEL_ROUNDING = 1e-3
"""Labels that were stored with a scaling come back this close to whole numbers."""


@dataclass(frozen=True)
class Case:
    """One labelled scan.

    Attributes:
        name: Unique in the manifest.
        patient: Cases of one patient never lie in two splits.
        image: Path of the scan.
        mask: Path of its mask, on the same grid.
        split: ``train``, ``val`` or any other name; empty before one has been drawn.
        channel: Which volume of a 4-D scan, from 0; ``None`` where the manifest does not say.
        modality: ``MR`` or ``CT``; ``None`` where the manifest does not say.
    """

    name: str
    patient: str
    image: Path
    mask: Path
    split: str
    channel: int | None = None
    modality: Literal["MR", "CT"] | None = None

    def load(
        self, label_values: Iterable[int] | None = None, channel: int | None = None
    ) -> tuple[Volume, npt.NDArray[np.bool_]]:
        """Read the scan and its lesion mask, both on the display grid.

        Args:
            label_values: Mask values that are lesion; all above 0 when left out.
            channel: Which volume of a 4-D scan, where the case does not say; the first when left
                out.

        Raises:
            InvalidInput: A file cannot be read, the two do not share a grid, or the mask holds
                no labels.
        """
        volume = self._read(self.image, self.volume_index(channel))
        labels = self._read(self.mask, None)
        if not volume.grid.coincides_with(labels.grid):
            raise InvalidInput(
                f"Case {self.name}: the mask {self.mask} lies on another grid than the scan "
                f"{self.image}; resample one to the other."
            )
        values = labels.data
        if np.issubdtype(values.dtype, np.floating):
            values = np.rint(values)
            if np.abs(values - labels.data).max() > MAX_LABEL_ROUNDING:
                raise InvalidInput(
                    f"Case {self.name}: the mask {self.mask} holds values between whole numbers, "
                    "which are no labels; threshold it."
                )
        if label_values is None:
            return volume, values > 0
        return volume, np.isin(values, list(label_values))

    def volume_index(self, channel: int | None) -> int | None:
        """Which volume of a 4-D scan is read, where the config says ``channel``."""
        return channel if self.channel is None else self.channel

    def _read(self, path: Path, volume_index: int | None) -> Volume:
        try:
            return load_volume(path, volume_index=volume_index)
        except InvalidInput as error:
            raise InvalidInput(f"Case {self.name}: {path}: {error}") from error


def read_manifest(path: Path, *, split_required: bool = True) -> list[Case]:
    """Read a manifest; paths in it are relative to the file.

    Args:
        path: A CSV file with :data:`COLUMNS` and, where wanted, :data:`OPTIONAL_COLUMNS`.
        split_required: Whether every case must name its split; otherwise all or none must.

    Raises:
        InvalidInput: The file is missing or malformed, a case is listed twice, or a patient
            appears in more than one split.
    """
    needed = COLUMNS if split_required else COLUMNS[:-1]
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream)
            missing = [name for name in needed if name not in (reader.fieldnames or ())]
            if missing:
                raise InvalidInput(
                    f"Manifest {path} lacks the column {missing[0]}; it needs {', '.join(needed)}."
                )
            cases = [_case(path, reader.line_num, row, needed) for row in reader]
    except OSError as error:
        raise InvalidInput(f"Manifest {path} cannot be read: {error.strerror}.") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise InvalidInput(f"Manifest {path} is not a CSV text file: {error}.") from error
    if not cases:
        raise InvalidInput(f"Manifest {path} lists no case.")
    _check_unique(path, cases)
    return cases


def write_manifest(path: Path, cases: Iterable[Case]) -> None:
    """Write a manifest, complete or not at all.

    Paths of scans in the folder that the manifest's own folder lies in are written relative to
    the manifest, so that both can be moved together; all others are written absolute.

    Raises:
        CannotWrite: The disk is full or the folder cannot be written.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*COLUMNS, *OPTIONAL_COLUMNS])
    for case in cases:
        image, mask = (_written(file, path.parent) for file in (case.image, case.mask))
        writer.writerow(
            [case.name, case.patient, image, mask, case.split, case.channel, case.modality]
        )
    with replacing(path) as partial:
        partial.write_text(text.getvalue(), encoding="utf-8", newline="")


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


def _case(path: Path, line: int, row: dict[str, str | None], needed: Sequence[str]) -> Case:
    values = {name: (row.get(name) or "").strip() for name in (*COLUMNS, *OPTIONAL_COLUMNS)}
    empty = [name for name in needed if not values[name]]
    if empty:
        raise InvalidInput(f"Manifest {path}, line {line}: the column {empty[0]} is empty.")
    channel = values["channel"]
    if channel and not channel.isdecimal():
        raise InvalidInput(
            f"Manifest {path}, line {line}: the channel '{channel}' is not a number counted from 0."
        )
    modality = values["modality"].upper()
    if modality and modality not in ("MR", "CT"):
        raise InvalidInput(
            f"Manifest {path}, line {line}: the modality '{values['modality']}' is neither MR nor "
            "CT."
        )
    folder = path.parent
    return Case(
        values["case"], values["patient"], folder / values["image"], folder / values["mask"],
        values["split"], int(channel) if channel else None,
        "MR" if modality == "MR" else "CT" if modality == "CT" else None,
    )  # fmt: skip


def _written(file: Path, folder: Path) -> str:
    file, folder = file.resolve(), folder.resolve()
    if file.is_relative_to(folder.parent):
        return Path(os.path.relpath(file, folder)).as_posix()
    return str(file)


def _check_unique(path: Path, cases: list[Case]) -> None:
    seen: set[str] = set()
    splits: dict[str, str] = {}
    if len({bool(case.split) for case in cases}) > 1:
        raise InvalidInput(
            f"Manifest {path} gives the split of some cases only; fill the column or leave it out."
        )
    for case in cases:
        if case.name in seen:
            raise InvalidInput(f"Manifest {path} lists the case {case.name} twice.")
        seen.add(case.name)
        if splits.setdefault(case.patient, case.split) != case.split:
            raise InvalidInput(
                f"Manifest {path}: patient {case.patient} is in the splits "
                f"{splits[case.patient]} and {case.split}; keep a patient in one split."
            )
