"""Whether a scan is of the modality that a method was trained for."""

from __future__ import annotations

from caiseg.errors import InvalidInput
from caiseg.modality import modality_of
from caiseg.preprocessing import Intensities
from caiseg.volume import Volume
from train.manifest import Case


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
    # What speaks for MR is only that nothing is negative, too little to refuse a case.
    found = case.modality or ("CT" if modality_of(volume.data) == "CT" else None)
    if found is not None and modality not in (None, "any", found):
        source = "is marked" if case.modality else "has the intensities of"
        raise InvalidInput(
            f"Case {case.name}: the scan {source} {found}, and {asked_by} for {modality}; "
            f"{instead} for {found}, or leave it out."
        )
