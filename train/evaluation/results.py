"""The result file of an evaluation: one row per case, seed and round."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from caiseg.errors import InvalidInput
from train.files import replacing


class RoundRecord(BaseModel):
    """One row: a case after so many clicks.

    A session that ends early because its mask is perfect still has a row for every round; those
    after the last click have no click and repeat its metrics.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: str
    case: str
    patient: str
    lesion_ml: float
    """Volume of the true lesion; 0 for a case without one."""
    seed: int
    round: int
    """Clicks so far, unless the mask became perfect before."""
    click_i: int | None = None
    """Voxel of this round's click on the display grid."""
    click_j: int | None = None
    click_k: int | None = None
    click_label: Literal["fg", "bg"] | None = None
    dice: float
    jaccard: float
    precision: float
    recall: float
    hd95_mm: float | None = None
    """Surface metrics are measured in some rounds only."""
    asd_mm: float | None = None
    nsd: float | None = None
    obeyed: bool | None = None
    """Whether the clicked voxel took the clicked label."""
    harmful: bool | None = None
    """Whether the click lowered Dice."""
    encode_seconds: float
    """Once per case; the same in all its rows."""
    click_seconds: float | None = None
    """From the clicks to the mask; in round 0, from no clicks to the first mask."""


def write_results(path: Path, records: Iterable[RoundRecord]) -> None:
    """Write rows as CSV, complete or not at all; what was not measured stays empty.

    Raises:
        InvalidInput: The file cannot be written.
    """
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(RoundRecord.model_fields), lineterminator="\n")
    writer.writeheader()
    writer.writerows(record.model_dump() for record in records)
    write_text(path, text.getvalue())


def read_results(path: Path) -> list[RoundRecord]:
    """Read what :func:`write_results` wrote.

    Raises:
        InvalidInput: The file is missing or is no result file.
    """
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            return [
                RoundRecord.model_validate({key: value or None for key, value in row.items()})
                for row in csv.DictReader(stream)
            ]
    except OSError as error:
        raise InvalidInput(f"Results {path} cannot be read: {error.strerror}.") from error
    except (ValidationError, UnicodeDecodeError, csv.Error) as error:
        raise InvalidInput(
            f"{path} is not a result file of this version; delete it and evaluate again."
        ) from error


def write_text(path: Path, text: str) -> None:
    """Write a text file, complete or not at all; its folder is created when missing.

    Raises:
        InvalidInput: The disk is full or the folder cannot be written.
    """
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8", newline="")
