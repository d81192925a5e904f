"""Whether a scan is of the modality that a method was trained for."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from caiseg.errors import InvalidInput
from caiseg.preprocessing import Intensities
from caiseg.volume import Volume
from train.manifest import Case

AIR_BELOW = -200
"""Hounsfield units: fat lies above, lung and air below; no other modality reaches that far."""
AIR_SHARE = 0.05


def check_modality(
    case: Case,
    volume: Volume,
    modality: Intensities | None,
    *,
    asked_by: str = "the weights are",
    instead: str = "evaluate it with a checkpoint",
) -> None:
    """Refuse a case of another modality, where the manifest or the intensities tell it.

    Args:
        case: The case.
        volume: Its scan.
        modality: What is wanted; ``any``, or left out, is anything.
        asked_by: Who wants it, for the sentence.
        instead: What to do with the other modality, for the sentence.

    Raises:
        InvalidInput: It is.
    """
    found = case.modality or ("CT" if shows_air(volume.data) else None)
    if found is not None and modality not in (None, "any", found):
        source = "is marked" if case.modality else "has the intensities of"
        raise InvalidInput(
            f"Case {case.name}: the scan {source} {found}, and {asked_by} for {modality}; "
            f"{instead} for {found}, or leave it out."
        )


def shows_air(data: npt.NDArray[Any]) -> bool:
    """Whether intensities are Hounsfield units: a good share of any CT is air."""
    return bool(np.mean(data < AIR_BELOW) >= AIR_SHARE)
